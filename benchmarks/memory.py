"""Peak memory of one detectAndCompute, pysift and cv2.SIFT, against what `pysift.pipeline.peak_bytes` says.

    fresh process, everything but the call  →  peak a
    fresh process, the call as well         →  peak b            the call needs  b − a

"Everything" is the imports, the image, and the same call on 64 × 64 pixels of it, which loads the compiled
kernels.  A peak is VmHWM of /proc/self/status, the most that was ever resident, read by the process itself at
its end: what wait4 and /usr/bin/time report is the same, except that a child may inherit its parent's peak there.
"""
from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks import record
from benchmarks.photographs import sized
from pysift.params import SIFTParams
from pysift.pipeline import peak_bytes
from pysift.threads import get_num_threads

ROOT = Path(__file__).parent.parent
SIZES = ((512, 512), (1000, 1000), (1280, 854), (1600, 1200), (2310, 1732), (3264, 2448), (4000, 3000))
WANTED = 2 << 30                                        # bytes for 12 megapixels
CALLS = {
    "pysift": "import pysift\npysift.set_num_threads({threads})\n"
              "def call(image): return len(pysift.sift(image, pysift.SIFTParams.opencv()).keypoints)",
    "cv2": "import cv2\ncv2.setNumThreads({threads})\n"
           "def call(image): return len(cv2.SIFT_create().detectAndCompute(image, None)[0])",
}
_CHILD = """
import sys
import numpy as np
{imports}
image = np.load(sys.argv[1])
call(np.ascontiguousarray(image[:64, :64]))
found = call(image) if sys.argv[2] == "call" else 0
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024, found)
"""


def peak(imports: str, image: Path, call: bool) -> tuple[int, int]:
    """Return the peak in bytes of a fresh process, and what its call returned.

    Parameters
    ----------
    imports : Python source that defines call(image) → int
    image : file of np.save
    call : whether to make the call on the whole image

    Raises
    ------
    RuntimeError : the process failed; its own words are the message
    OSError : not on Linux, where no process can read its peak
    """
    if not Path("/proc/self/status").exists():
        raise OSError(f"{sys.platform} has no /proc/self/status, from which a process reads its peak: use Linux")
    done = subprocess.run([sys.executable, "-c", _CHILD.format(imports=imports), image, "call" if call else "idle"],
                          capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"the measured process ended with {done.returncode}: {done.stderr.strip()}")
    most, found = done.stdout.split()
    return int(most), int(found)


def net(imports: str, image: np.ndarray, repeats: int = 1) -> dict:
    """Return idle and busy peaks, each `repeats` times, their medians' difference, and what the call returned."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.npy"
        np.save(path, image)
        idle = [peak(imports, path, False)[0] for _ in range(repeats)]
        busy, found = zip(*(peak(imports, path, True) for _ in range(repeats)))
    return {"idle": idle, "busy": busy, "net": int(statistics.median(busy) - statistics.median(idle)),
            "keypoints": found[0]}


def run(*, quick: bool = False, data: str | None = None) -> list[dict]:
    """Measure all sizes; returns one row a size and program."""
    threads = get_num_threads()
    programs = {name: source.format(threads=threads) for name, source in CALLS.items()}
    rows = []
    print(f"{'size':<14}{'':<9}{'keypoints':>10}{'idle [MB]':>11}{'busy [MB]':>11}{'net [MB]':>10}"
          f"{'formula [MB]':>14}{'bytes/pixel':>13}")
    for width, height in SIZES[:4] if quick else SIZES:
        image = sized(height, width)
        for name, source in programs.items():
            row = {"width": width, "height": height, "program": name, **net(source, image, 1 if quick else 3)}
            row["formula"] = peak_bytes(height, width, SIFTParams.opencv()) if name == "pysift" else None
            rows.append(row)
            print(_line(row), flush=True)
    record.write("memory", quick, threads=threads, ipp=bool(cv2.ipp.useIPP()), unit="bytes", rows=rows)
    record.save_figure(draw(rows), "memory", quick)
    return rows


def _line(row: dict) -> str:
    idle, busy = (statistics.median(row[key]) / 1e6 for key in ("idle", "busy"))
    formula = f"{row['formula'] / 1e6:.0f}" if row["formula"] else "-"
    size = f"{row['width']} × {row['height']}"
    return (f"{size:<14}{row['program']:<9}{row['keypoints']:>10}{idle:>11.0f}{busy:>11.0f}{row['net'] / 1e6:>10.0f}"
            f"{formula:>14}{row['net'] / (row['width'] * row['height']):>13.0f}")


def draw(rows: list[dict]):
    """Net peak against megapixels, one curve a program, and the formula."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    colours = {"pysift": "C0", "cv2": "C1"}
    for name, colour in colours.items():
        mine = [row for row in rows if row["program"] == name]
        megapixels = [row["width"] * row["height"] / 1e6 for row in mine]
        axes.plot(megapixels, [row["net"] / 2**30 for row in mine], "o-", color=colour, label=f"{name}, measured")
        if name == "pysift":
            axes.plot(megapixels, [row["formula"] / 2**30 for row in mine], "--", color=colour,
                      label="pysift.pipeline.peak_bytes")
    axes.axhline(WANTED / 2**30, color="0.6", lw=1, ls=":")
    axes.annotate("wanted at 12 megapixels: 2 GiB", (0.02, WANTED / 2**30), xycoords=("axes fraction", "data"),
                  va="bottom", color="0.4", fontsize=9)
    axes.set(xlabel="megapixels", ylabel="peak of one call [GiB]", xlim=(0, None), ylim=(0, None),
             title="Memory of one detectAndCompute, process and image not counted")
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
