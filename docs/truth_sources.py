"""Which part of Lowe's quadratic is off: samples 1 px apart, or samples a third of an octave apart?

The closed-form D of a blob (benchmarks/blobs.py) is known between samples, so one can interpolate along some axes
only: the quadratic through three samples in x and y and D itself in scale, or the other way round.
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

K = 2 ** (1 / 3)
SIGMA, SIGMA_IN = 1.6, 0.5                                                   # px
AXES = {"space": (0, 1), "scale": (2,), "both": (0, 1, 2)}


def difference(place: list[Tensor], blob: Tensor) -> Tensor:
    """D at (x, y, layer) of the first octave of an image that is not doubled; blob = (x₀, y₀, s)."""
    square = (place[0] - blob[0]) ** 2 + (place[1] - blob[1]) ** 2

    def level(layer: Tensor) -> Tensor:
        variance = blob[2] ** 2 - SIGMA_IN ** 2 + (SIGMA * K ** layer) ** 2
        return blob[2] ** 2 / variance * torch.exp(-square / (2 * variance))

    return level(place[2] + 1) - level(place[2])


def interpolated(place: Tensor, cell: Tensor, blob: Tensor, axes: tuple[int, ...]) -> Tensor:
    """D, but along `axes` the quadratic through the samples at cell − 1, cell and cell + 1."""
    def sample(steps: dict[int, int]) -> Tensor:
        return difference([cell[i] + steps.get(i, 0) if i in axes else place[i] for i in range(3)], blob)

    total = middle = sample({})
    for a in axes:
        off, up, down = place[a] - cell[a], sample({a: 1}), sample({a: -1})
        total = total + off * (up - down) / 2 + off * off * (up + down - 2 * middle) / 2
        for b in (b for b in axes if b < a):
            corners = (sample({a: i, b: j}) * i * j for i in (-1, 1) for j in (-1, 1))
            total = total + off * (place[b] - cell[b]) * sum(corners) / 4
    return total


def follow(blob: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Extremum (x, y, layer) of the interpolant in the cell nearest to the truth, and its derivatives to the blob."""
    depth = 3 * torch.log2(torch.sqrt((blob[2] ** 2 - SIGMA_IN ** 2) / K) / SIGMA)
    cell = torch.round(torch.stack([*blob[:2], depth]))

    def slope(place: Tensor, blob: Tensor) -> Tensor:
        return torch.func.grad(interpolated)(place, cell, blob, axes)

    place = cell
    for _ in range(8):
        bend = torch.func.jacrev(slope)(place, blob)
        place = place - torch.linalg.solve(bend, slope(place, blob))
    return place, -torch.linalg.solve(bend, torch.func.jacrev(slope, 1)(place, blob))


def worst(stds: list[float], shifts: tuple[tuple[float, float], ...]) -> dict:
    """|∂x/∂x₀ − 1| and |(∂σ/∂s)/(truth) − 1| at worst, for each set of axes."""
    out = {}
    for name, axes in AXES.items():
        by_x, by_s = [], []
        for s in stds:
            for x, y in shifts:
                place, jacobian = follow(torch.tensor([x, y, s], dtype=torch.float64), axes)
                sigma, true_sigma = SIGMA * K ** float(place[2]), math.sqrt((s * s - SIGMA_IN ** 2) / K)
                by_x.append(abs(float(jacobian[0, 0]) - 1))
                by_s.append(abs(float(jacobian[2, 2]) * sigma * math.log(K) / (s / (K * true_sigma)) - 1))
        out |= {f"sources.{name}_dx_dx0": max(by_x), f"sources.{name}_dsigma_ds": max(by_s)}
    return out
