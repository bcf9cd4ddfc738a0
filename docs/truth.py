"""Measure how truly keypoints follow a blob: python docs/truth.py.

Prints the numbers of limit.md and writes docs/truth.json.  A Gaussian blob of standard deviation s at (x₀, y₀) has its
extremum at (x₀, y₀) and σ̂ = √((s² − ¼)/k), k = 2^(1/3)  (benchmarks/blobs.py derives it), so the truth is

    ∂x/∂x₀ = 1,     ∂σ/∂s = s/(kσ̂)

Both are compared with the derivatives of diffsift, through the rendered pixels, in mode "opencv" (Lowe's quadratic)
and "smooth".  Doubling blurs by 1/8 px² on average, which SIFT does not account for: with s² + 1/8 in the place of s²
the closed form does.
"""
from __future__ import annotations

import datetime
import json
import math
import os
from pathlib import Path

import torch
from truth_sources import worst

from benchmarks.record import machine
from diffsift import Softness
from diffsift.pipeline import _candidates, _octaves
from diffsift.refine import Refined, refine
from pysift.params import SIFTParams

HERE = Path(__file__).parent
K = 2 ** (1 / 3)
STDS = (1.7, 2.0, 2.6, 3.0, 4.0, 5.0, 6.3, 8.0)                              # px; without doubling from 2.6
SHIFTS = ((0.25, 0.1), (0.5, 0.3), (0.8, 0.6))                               # px
DOUBLING = 1 / 8                                                             # px²


def render(x: torch.Tensor, y: torch.Tensor, s: torch.Tensor, side: int) -> torch.Tensor:
    """A blob on a ground of 0.1, (1, 1, side, side), differentiable in all three."""
    i = torch.arange(side, dtype=torch.float64)
    return 0.1 + 0.8 * torch.exp(-((i[:, None] - y) ** 2 + (i - x) ** 2) / (2 * s * s))[None, None]


def found(blob: torch.Tensor, side: int, params: SIFTParams, mode: str) -> torch.Tensor:
    """x, y, σ in input pixels and weight of the strongest extremum, which is that of the blob (x₀, y₀, s)."""
    octaves = _octaves(render(*blob, side), params, Softness())
    candidates, _ = _candidates(octaves, params, Softness(), 4, "opencv")
    r = refine(octaves, candidates, params, mode=mode)
    r = Refined(*(column[0, (r.response.log() + r.log_weight).detach().argmax()] for column in r))
    pixel = torch.exp2((r.layer // octaves.per_octave + params.first_octave).to(blob.dtype))
    return torch.stack([(r.col + r.dx) * pixel, (r.row + r.dy) * pixel, r.sigma * pixel, r.log_weight.exp()])


def errors(s: float, shift: tuple[float, float], first_octave: int, mode: str) -> dict:
    """Errors of place [px] and scale [1], and of the derivatives [1], against both closed forms."""
    side = 2 * round(5 * s + 16) + 1
    blob = torch.tensor([side // 2 + shift[0], side // 2 + shift[1], s], dtype=torch.float64)
    params = SIFTParams(first_octave=first_octave)

    def follow(blob: torch.Tensor) -> torch.Tensor:
        return found(blob, side, params, mode)

    point = follow(blob)
    by_x, by_s = (torch.func.jvp(follow, (blob,), (axis,))[1] for axis in torch.eye(3, dtype=torch.float64)[[0, 2]])
    row = {"s": s, "shift": shift, "first_octave": first_octave, "mode": mode, "weight": float(point[3]),
           "place": float((point[:2] - blob[:2]).norm()), "dx_dx0": float(by_x[0]) - 1, "dy_dx0": float(by_x[1])}
    for name, extra in (("", 0.0), ("_doubled", DOUBLING if first_octave < 0 else 0.0)):
        sigma = math.sqrt((s * s + extra - 0.25) / K)
        row[f"sigma{name}"] = float(point[2]) / sigma - 1
        row[f"dsigma_ds{name}"] = float(by_s[2]) / (s / (K * sigma)) - 1
    return row


def numbers(rows: list[dict]) -> dict:
    """The worst of each error, |1 − ratio| or px, for both modes."""
    def largest(key: str, mode: str, doubled: bool, least: float = 2.6) -> float:
        return max(abs(r[key]) for r in rows
                   if r["mode"] == mode and (r["first_octave"] < 0) is doubled and r["s"] >= least
                   and r["weight"] > 0.5)

    out = {}
    for mode, name in (("opencv", "quadratic"), ("smooth", "smooth")):
        out |= {f"truth.{name}_{key}": largest(key, mode, False) for key in ("place", "sigma", "dx_dx0", "dsigma_ds")}
        out |= {f"truth.{name}_doubled_{key}": largest(key, mode, True)
                for key in ("place", "sigma", "dx_dx0", "dsigma_ds")}
    out |= {f"truth.smooth_small_{key}": largest(key, "smooth", True, 0.0)
            for key in ("dx_dx0", "dsigma_ds", "dsigma_ds_doubled")}
    return out


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    rows = [errors(s, shift, first, mode) for mode in ("opencv", "smooth") for first in (-1, 0)
            for s in STDS for shift in SHIFTS if first < 0 or s >= 2.6]
    record = {"date": datetime.date.today().isoformat(), "machine": machine(), "threads": 1,
              "rows": rows,
              "numbers": numbers(rows) | worst([2.2 + 0.3 * i for i in range(8)], SHIFTS)}
    for key, value in record["numbers"].items():
        print(f"{key:40} {value:.4g}")
    part = HERE / "truth.part"
    part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(part, HERE / "truth.json")


if __name__ == "__main__":
    main()
