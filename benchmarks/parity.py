"""How equal pysift and cv2.SIFT are, photograph by photograph, in both upscale modes."""
from __future__ import annotations

from pathlib import Path

import cv2

import pysift
from benchmarks import record
from benchmarks.photographs import PHOTOGRAPHS
from pysift.parity import Parity, compare

_PICTURES = {".ppm", ".pgm", ".png", ".jpg"}


def run(*, quick: bool = False, data: str | None = None) -> list[Parity]:
    """Compare every photograph, and those under `data`; returns the reports."""
    images = {name: load for name, load in list(PHOTOGRAPHS.items())[:: 6 if quick else 1]}
    more = sorted(p for p in Path(data).rglob("*") if p.suffix in _PICTURES) if data else []
    for path in more:
        images["/".join(path.parts[-2:])] = lambda path=path: cv2.imread(str(path))
    columns = ("cv2", 7), ("pysift", 8), ("bit-equal", 11), ("entries off", 13)
    head = "".join(f"{name:>{width}}" for name, width in columns)
    print(f"{'photograph':<30}{'mode':>9}{head}  first departure")
    reports, rows = [], []
    for name, load in images.items():
        for precise in (False, True):
            report = compare(load(), pysift.SIFTParams(precise_upscale=precise), label=name)
            mode = "precise" if precise else "default"
            print(f"{name:<30}{mode:>9}{report.theirs:>7}{report.ours:>8}{report.bit_equal:>11}"
                  f"{report.entries - report.entries_equal:>13}  {report.first_departure or '-'}", flush=True)
            reports.append(report)
            rows.append({"mode": mode, **report.to_dict()})
    total = {key: sum(getattr(r, key) for r in reports) for key in ("theirs", "ours", "bit_equal", "entries",
                                                                   "entries_equal")}
    print(f"{len(reports)} comparisons: " + ", ".join(f"{key} {value}" for key, value in total.items()))
    record.write("parity", quick, lanes=pysift.cv.native_lanes(), total=total, rows=rows)
    return reports
