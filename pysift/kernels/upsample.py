"""Doubling of step 1: linear interpolation along x, then along y, two rows at a time; and halving.

The formulas stand in scalespace.upsample and scalespace.downsample.

imports: kernels, kernels.arithmetic, kernels.lanes, kernels.memory
"""
from __future__ import annotations

import numpy as np

from pysift.kernels import njit
from pysift.kernels.arithmetic import HALF, compiled_apart
from pysift.kernels.lanes import LANES, splat
from pysift.kernels.memory import load, store_pairs

_NEAR, _FAR = np.float32(0.75), np.float32(0.25)


@njit(nogil=True)
def double_rows(image, precise, out, first, last):
    """Write rows 2·first … 2·last − 1 of `out`: each row doubled along x, then the two between rows."""
    h, w = image.shape
    above, here, below = np.empty(2 * w, np.float32), np.empty(2 * w, np.float32), np.empty(2 * w, np.float32)
    for y in range(first, last):
        _double(image[y], precise, here)
        _double(image[min(y + 1, h - 1)], precise, below)
        even, odd = out[2 * y], out[2 * y + 1]
        if precise:
            even[:] = here
            _mix(here, below, HALF, HALF, odd)
        else:
            _double(image[max(y - 1, 0)], precise, above)
            _mix(above, here, _FAR, _NEAR, even)
            _mix(here, below, _NEAR, _FAR, odd)


@njit()
def _double(row, precise, out):
    """(W,) → (2W,), the formulas of `upsample` along one axis; sixteen pixels at a time between the ends."""
    compiled_apart()
    w = len(row)
    near, far, half = splat(_NEAR), splat(_FAR), splat(HALF)
    whole = max(w - 2, 0) // LANES * LANES                  # pixels 1 … whole have both neighbours
    for x in range(1, 1 + whole, LANES):
        here, after = load(row, x), load(row, x + 1)
        even = here if precise else load(row, x - 1) * far + here * near
        odd = (here + after) * half if precise else here * near + after * far
        store_pairs(out, 2 * x, even, odd)
    _double_one(row, 0, precise, out)
    for x in range(1 + whole, w):
        _double_one(row, x, precise, out)


@njit()
def _double_one(row, x, precise, out):
    w = len(row)
    here, after = row[x], row[min(x + 1, w - 1)]
    out[2 * x] = here if precise else row[max(x - 1, 0)] * _FAR + here * _NEAR
    out[2 * x + 1] = (here + after) * HALF if precise else here * _NEAR + after * _FAR


@njit()
def _mix(a, b, of_a, of_b, out):
    compiled_apart()
    for x in range(len(out)):
        out[x] = a[x] * of_a + b[x] * of_b


@njit(nogil=True)
def halve_rows(image, out, first, last):
    """out[y, x] = image[2y, 2x] for rows first … last − 1 of `out`."""
    for y in range(first, last):
        _halve(image[2 * y], out[y])


@njit()
def _halve(row, out):
    compiled_apart()
    for x in range(len(out)):
        out[x] = row[2 * x]
