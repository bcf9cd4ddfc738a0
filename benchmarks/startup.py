"""How long one waits for pysift before it works: imports, --help, the first call, the first compilation ever.

Every sample is a fresh process, or the first calls in one; programs take turns, and the table has medians.
What becomes of pysift when the cache is shared or nowhere is tried as well: benchmarks/kernel_cache.py.
"""
from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from benchmarks import kernel_cache, record
from benchmarks.photographs import sized
from pysift.threads import get_num_threads

ROOT = Path(__file__).parent.parent
WANTED = {"import pysift": 0.3, "pysift --help": 0.3, "pysift: first call beyond a warm one": 1.0,
          "pysift: first call ever": 40.0}                              # seconds at most
PROCESSES = {                                                           # name → package that it needs, arguments
    "python alone": (None, ["-c", "pass"]),
    "import pysift": (None, ["-c", "import pysift"]),
    "import pysift, SIFT": (None, ["-c", "from pysift import sift"]),
    "pysift --help": (None, ["-m", "pysift", "--help"]),
    "import cv2": (None, ["-c", "import cv2"]),
    "import skimage": ("skimage", ["-c", "import skimage"]),
    "import skimage, SIFT": ("skimage", ["-c", "from skimage.feature import SIFT"]),
    "import kornia": ("kornia", ["-c", "import kornia"]),
    "import pycolmap": ("pycolmap", ["-c", "import pycolmap"]),
}
CALLS = {
    "pysift": "import pysift\ndef call(): pysift.sift(image, pysift.SIFTParams.opencv())",
    "cv2": "import cv2\ndef call(): cv2.SIFT_create().detectAndCompute(image, None)",
}
_FIRST = """
import json, sys, time
import numpy as np
image = np.load(sys.argv[1])
{imports}
clocks = []
for _ in range(4):
    start = time.perf_counter(), time.process_time()
    call()
    clocks.append([time.perf_counter() - start[0], time.process_time() - start[1]])
print(json.dumps(clocks))
"""


def run(*, quick: bool = False, data: str | None = None) -> dict:
    """Time and try everything; returns {what: samples in seconds}."""
    rounds, colds = (3, 1) if quick else (9, 3)
    missing = sorted({need for need, _ in PROCESSES.values() if need and find_spec(need) is None})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "image.npy", sized(512, 512))
        print("compiling from nothing …", flush=True)
        cold = [_calls("pysift", folder, f"cold {i}")[0] for i in range(colds)]
        samples = {"pysift: first call ever": [wall for wall, _ in cold],
                   "… in seconds of a processor": [processor for _, processor in cold]}
        command = _command(folder)
        print("importing, calling …", flush=True)
        for _ in range(rounds):
            for what, (need, arguments) in PROCESSES.items():
                if need not in missing:
                    samples.setdefault(what, []).append(_seconds(arguments))
            for program in CALLS:
                first, *warm = (wall for wall, _ in _calls(program, folder, "cold 0"))
                samples.setdefault(f"{program}: first call", []).append(first)
                samples.setdefault(f"{program}: warm call", []).append(statistics.median(warm))
        samples["pysift: first call beyond a warm one"] = [
            a - b for a, b in zip(samples["pysift: first call"], samples["pysift: warm call"])]
        print("sharing a cache, having none …", flush=True)
        behaviour = {"command": command, **_behaviour(folder, quick)}
    _print(samples, behaviour, missing)
    record.write("startup", quick, image="512 × 512", threads={"pysift": get_num_threads(), "cv2": cv2.getNumThreads()},
                 ipp=bool(cv2.ipp.useIPP()), wanted=WANTED, seconds=samples, behaviour=behaviour, missing=missing)
    record.save_figure(draw(samples), "startup", quick)
    return samples


def _seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _calls(program: str, folder: Path, cache: str) -> list[list[float]]:
    """[wall, processor] seconds of the first four calls in a fresh process.

    What the first call imports is counted with it: `import pysift` leaves numba for later.
    """
    done = subprocess.run([sys.executable, "-c", _FIRST.format(imports=CALLS[program]), folder / "image.npy"],
                          cwd=ROOT, env=os.environ | {"NUMBA_CACHE_DIR": str(folder / cache)}, check=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def _command(folder: Path) -> dict:
    """`pysift detect` on an empty cache: seconds, and what it says on stderr."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "pysift", "detect", ROOT / "pysift" / "photos" / "camera.png",
                           "-o", folder / "camera.npz"], cwd=ROOT, check=True, capture_output=True, text=True,
                          env=os.environ | {"NUMBA_CACHE_DIR": str(folder / "cold command")})
    return {"seconds": time.perf_counter() - start, "stderr": done.stderr,
            "announced": "compiling" in done.stderr}


def _behaviour(folder: Path, quick: bool) -> dict:
    """Try the cache nowhere and shared; a quick run compiles the search for extrema alone."""
    program = kernel_cache.EXTREMA if quick else kernel_cache.SIFT
    first, second, third = kernel_cache.two_at_once(folder, program)
    alone = kernel_cache.nowhere(folder, program)
    return {"two at once": [_row(o, folder) for o in (first, second)], "the third": _row(third, folder),
            "shared cache works": first.digest == second.digest == third.digest is not None and third.compiled == 0,
            "nowhere": _row(alone, folder), "nowhere works": alone.digest == third.digest is not None}


def _row(outcome: kernel_cache.Outcome, folder: Path) -> dict:
    """Return what is recorded; of stderr its last line, without the name that a temporary folder has by chance."""
    return {"code": outcome.code, "digest": outcome.digest, "compiled": outcome.compiled,
            "seconds": outcome.seconds, "last words": outcome.last_words.replace(f"{folder}/", "")}


def _print(samples: dict[str, list[float]], behaviour: dict, missing: list[str]) -> None:
    print(f"{'':<38}{'median [s]':>11}{'least':>9}{'most':>9}{'wanted':>9}")
    for what, seconds in samples.items():
        middle, wanted = statistics.median(seconds), WANTED.get(what)
        print(f"{what:<38}{middle:>11.3f}{min(seconds):>9.3f}{max(seconds):>9.3f}"
              + (f"{wanted:>9}  {'met' if middle < wanted else 'MISSED'}" if wanted else ""))
    for name in missing:
        print(f"{name}: not installed, so not timed")
    command, alone = behaviour["command"], behaviour["nowhere"]
    print(f"pysift detect on an empty cache: {command['seconds']:.1f} s, "
          f"{'announced' if command['announced'] else 'NOT ANNOUNCED'} on stderr")
    print("two processes at once on an empty cache, then a third: "
          + ("equal results, the third compiled nothing" if behaviour["shared cache works"] else "FAILED"))
    print("no folder to cache in: " + ("the same result" if behaviour["nowhere works"] else "FAILED")
          + (f"; it says: {alone['last words']}" if alone["last words"] else ""))


def draw(samples: dict[str, list[float]]):
    """One row of dots a program, on a logarithmic axis, and a bar at what is wanted."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    names = list(samples)[::-1]
    for row, what in enumerate(names):
        colour = "C0" if "pysift" in what or "…" in what else "C1"
        axes.plot(samples[what], [row] * len(samples[what]), "o", color=colour, alpha=0.3, ms=5, mew=0)
        axes.plot(statistics.median(samples[what]), row, "|", color=colour, ms=14, mew=2)
        if what in WANTED:
            axes.plot(WANTED[what], row, "<", color="0.4", ms=7)
    axes.set(xscale="log", xlabel="seconds; each dot one process, the bar their median",
             title="Waiting for the first result")
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="x", color="0.9")
    handles = [axes.plot([], [], "<", color="0.4", label="wanted: left of this")[0]]
    axes.legend(handles=handles, frameon=False, loc="center right")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
