"""The tables of docs/benchmarks.md, each from one file of benchmarks/results, and the figure beside it.

    read(name)  →  record  →  made(record): a line on where it comes from;  TABLES[name](record): a Markdown table
"""
from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"
WITH_DATA = ("parity", "matching")              # their records are of pictures that are not bundled
_VERSIONS = ("python", "numpy", "numba", "opencv-python-headless", "torch", "scikit-image", "kornia", "pycolmap")
_MEMORY = {"as installed": "as installed", "kept": "memory kept", "kept, huge pages": "memory kept, huge pages"}


def read(name: str) -> dict:
    """Return the committed record of a benchmark."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def made(record: dict) -> str:
    """Return the line under a headline: the command, the day, the machine, the versions that matter most."""
    name, machine = record["benchmark"], record["machine"]
    command = f"python -m benchmarks {name}{' --data DIR' if name in WITH_DATA else ''}"
    versions = ", ".join(f"{key} {machine['versions'][key]}" for key in _VERSIONS if key in machine["versions"])
    return (f"`{command}` on {record['date']}: {machine['processor']}, {machine['cores']} cores, {machine['system']}; "
            f"{versions}. All versions: `benchmarks/results/{name}.json`.")


def wide(figure, alt: str):
    """Return a figure as HTML, in 128 colours, that scrolls sideways where it would be too small to read."""
    from IPython.display import HTML
    from matplotlib import pyplot
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    pyplot.close(figure)
    Image.open(drawn).convert("RGB").quantize(128).save(small, format="png", optimize=True)
    code = base64.b64encode(small.getvalue()).decode()
    inches = figure.get_size_inches()[0]
    return HTML(f'<div style="overflow-x: auto"><img alt="{alt}" style="min-width: {80 * inches:.0f}px; width: 100%; '
                f'max-width: {100 * inches:.0f}px" src="data:image/png;base64,{code}"></div>')


def grid(head: list[str], rows: list[list]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    table = "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
    return table.replace(" × ", "\N{NBSP}×\N{NBSP}")


def parity(record: dict) -> str:
    """Counts of both modes, and of all."""
    rows = []
    for mode in dict.fromkeys(row["mode"] for row in record["rows"]):
        mine = [row for row in record["rows"] if row["mode"] == mode]
        sums = [sum(row[key] for row in mine) for key in ("theirs", "ours", "bit_equal", "entries", "entries_equal")]
        rows.append([mode, len(mine), *sums, sum(row["same_order"] for row in mine)])
    return grid(["cv2's upscaling", "photographs", "keypoints of cv2", "of pysift", "equal to the bit",
                 "descriptor entries", "equal", "photographs in cv2's order"], rows)


def speed(record: dict) -> str:
    """Milliseconds as installed, and ratios in every way to hand out memory."""
    rows = []
    for row in record["rows"]:
        ways = row["regimes"]
        rows.append([row["image"], row["threads"], row["keypoints"],
                     *(f"{1e3 * median(row['seconds'][who]):.0f}" for who in ("cv2", "pysift")),
                     *(f"{ways[way]['all']['ratio']:.2f}" for way in _MEMORY), f"{row['conservative']['ratio']:.2f}"])
    head = ["image", "threads", "keypoints", "cv2 [ms]", "pysift [ms]", *_MEMORY.values(), "against cv2's best"]
    return grid(head, rows)


def peers(record: dict) -> str:
    """How many times as fast as cv2 each program is, on one thread."""
    rows = [row for row in record["rows"] if row["threads"] == 1]
    names = list(dict.fromkeys(name for row in rows for name in row["peers"]["ratios"]))
    return grid(["image", *names], [[row["image"], *(f"{row['peers']['ratios'][name][0]:.2f}" if name in
                                     row["peers"]["ratios"] else "left out" for name in names)] for row in rows])


def memory(record: dict) -> str:
    """Peaks of a call, and what the formula promises."""
    ours, theirs = ([row for row in record["rows"] if row["program"] == who] for who in ("pysift", "cv2"))
    return grid(["image", "pysift [MB]", "formula [MB]", "cv2 [MB]", "cv2 / pysift"],
                [[f"{a['width']} × {a['height']}", *(f"{n / 1e6:.0f}" for n in (a["net"], a["formula"], b["net"])),
                  f"{b['net'] / a['net']:.2f}"] for a, b in zip(ours, theirs)])


def startup(record: dict) -> str:
    """Medians in seconds, and what is wanted."""
    return grid(["", "seconds", "wanted below"],
                [[f"`{what}`", f"{median(values):.2f}", record["wanted"].get(what, "")]
                 for what, values in record["seconds"].items()])


def cost(record: dict) -> str:
    """Exponents of the time, with their intervals."""
    rows = []
    for name, curve in record["curves"].items():
        fits = [curve["exponents"].get(who) for who in ("pysift", "cv2")]
        rows.append([name, *("–" if fit is None else f"{fit[0]:.2f} ({fit[1][0]:.2f} … {fit[1][1]:.2f})"
                             for fit in fits)])
    return grid(["time against", "pysift", "cv2"], rows)


def limit(record: dict) -> str:
    """Share of the bound that each stage reaches."""
    images = list(dict.fromkeys(row["image"] for row in record["rows"]))
    shares = {(row["stage"], row["image"]): row["share"] for row in record["rows"]}
    stages = list(dict.fromkeys(row["stage"] for row in record["rows"]))
    return grid(["stage", *images],
                [[stage, *("no bound" if shares[stage, image] is None else f"{shares[stage, image]:.0%}"
                           for image in images)] for stage in stages])


def matching(record: dict) -> str:
    """Means over all pairs, and the areas under the curve of the corner error."""
    rows = []
    for name, areas in record["auc"].items():
        mine = [row for row in record["rows"] if row["peer"] == name]
        means = [mean(row[key] for row in mine if row[key] is not None)
                 for key in ("repeatability", "within 3 px", "correct")]
        rows.append([name, f"{mean(row['keypoints'][0] for row in mine):.0f}", f"{means[0]:.3f}", f"{means[1]:.3f}",
                     f"{means[2]:.0f}", *(f"{area:.3f}" for area in areas.values())])
    return grid(["", "keypoints of image 1", "repeatability", "share within 3 px", "correct matches",
                 *(f"AUC @ {at}" for at in record["auc"]["pysift"])], rows)


def localisation(record: dict) -> str:
    """Mean and spread of x and σ, octave 0, and the misses of all octaves."""
    rows = []
    for row in (row for row in record["rows"] if row["octave"] == 0):
        missed = [(r["missed"], r["blobs"]) for r in record["rows"] if r["peer"] == row["peer"]]
        cells = ["–" if (e := row[key]) is None else f"{e['mean']:+.3f} ± {e['std']:.3f}"
                 for key in ("x [px]", "y [px]", "sigma [%]")]
        rows.append([row["peer"], *cells, " of ".join(str(sum(column)) for column in zip(*missed))])
    return grid(["octave 0", "x [px]", "y [px]", "σ [%]", "missed in all octaves"], rows)


def invariance(record: dict) -> str:
    """Means over the levels of each distortion."""
    programs = list(dict.fromkeys(row["program"] for row in record["rows"]))
    rows = []
    for distortion in dict.fromkeys(row["distortion"] for row in record["rows"]):
        of = {name: [row for row in record["rows"] if (row["distortion"], row["program"]) == (distortion, name)]
              for name in programs}
        rows.append([distortion, *(f"{100 * mean(row['repeatability'] or 0 for row in of[name]):.1f} / "
                                   f"{100 * mean(row['matched'] or 0 for row in of[name]):.1f}" for name in programs)])
    return grid(["mean over the levels, repeatable / matched [%]", *programs], rows)


def gradients(record: dict) -> str:
    """Speed of forward and backward relative to the base, memory as installed."""
    rows = [row for row in record["rows"] if row["regime"] == "as installed"]
    names = list(rows[0]["ratios"])
    return grid(["image, keypoints, threads", *names],
                [[f"{r['side']} × {r['side']}, {r['slots']}, {r['threads']}",
                  *(f"{r['ratios'][name]:.2f}" for name in names)] for r in rows])


def gradients_cuda(record: dict) -> str:
    """Milliseconds of forward and backward, of a whole batch."""
    took = {(row["width"], row["height"], row["batch"], row["contestant"]): sum(row["median"].values())
            for row in record["rows"] if "median" in row}
    names = list(dict.fromkeys(row["contestant"] for row in record["rows"]))
    return grid(["images, milliseconds", *names],
                [[f"{batch} of {width} × {height}",
                  *(f"{took[width, height, batch, name]:.0f}" if (width, height, batch, name) in took else "left out"
                    for name in names)]
                 for width, height, batch in sorted({key[:3] for key in took})])


def tape(record: dict) -> str:
    """Time of the tape over torch's."""
    threads = sorted({row["threads"] for row in record["rows"]})
    of = {(row["shape"], row["threads"]): row for row in record["rows"]}
    return grid(["shape", *(f"{step}, {n} thread{'s' * (n > 1)}" for step in ("forward", "backward") for n in threads)],
                [[shape, *(f"{of[shape, n][step]['ratio']:.2f}" for step in ("forward", "backward") for n in threads)]
                 for shape in dict.fromkeys(row["shape"] for row in record["rows"])])


TABLES: dict[str, Callable[[dict], str]] = {
    "parity": parity, "speed": speed, "memory": memory, "startup": startup, "cost": cost, "limit": limit,
    "matching": matching, "localisation": localisation, "invariance": invariance, "gradients": gradients,
    "gradients_cuda": gradients_cuda, "tape": tape,
}
