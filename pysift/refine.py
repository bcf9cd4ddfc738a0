"""Step 3 of 5: refine each extremum to a fraction of a pixel, and drop the weak and the long ones.

    candidate (layer, y, x) → Newton steps on the quadratic through its 26 neighbours
                            → kept, or dropped with the reason, the value and the threshold

    D(p + δ) ≈ D + ∇Dᵀδ + ½ δᵀHδ,   δ = −H⁻¹∇D          [Lowe §4, eq. 2–3; Anatomy Alg. 6–9]

While some |δ| ≥ ½ the point moves to the pixel that δ names, in x, y and scale.  The contrast test
uses D(p + δ) = D + ½∇Dᵀδ, the edge test the ratio of the curvatures at p.  Derivatives are those of
D/255, so contrast is a fraction of the intensity range.

imports: params, threads, kernels, kernels.arithmetic, kernels.memory          Reads  extrema.py (step 2)
"""
from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pysift.kernels import njit
from pysift.kernels.arithmetic import HALF, TWO, fma, minor, round_half_even
from pysift.kernels.memory import announce
from pysift.params import SIFTParams
from pysift.threads import over

REASONS = ("kept", "left the octave", "diverged", "did not settle", "low contrast", "edge")
KEPT, LEFT, DIVERGED, UNSETTLED, LOW_CONTRAST, EDGE = range(len(REASONS))

_FULL_RANGE, _QUARTER = np.float32(1.0 / 255), np.float32(0.25)
_AHEAD = 8                                          # candidates whose pixels are on their way from memory
_OUT_OF_REACH = np.float32((2**31 - 1) // 3)        # cv2 gives up on steps that an int could not hold


class Refined(NamedTuple):
    """What became of N candidates; arrays of length N."""

    status: np.ndarray      # int8, index into REASONS, 0 = kept
    layer: np.ndarray       # int32, the cell it ended in
    row: np.ndarray
    col: np.ndarray
    dx: np.ndarray          # float32, the last offset δ, in pixels of the octave …
    dy: np.ndarray
    ds: np.ndarray          # … and in layers
    sigma: np.ndarray       # float32, σ₀·2^((layer + δ)/S), in pixels of the octave
    response: np.ndarray    # float32, |D(p + δ)|, fraction of the range; 0 where it was not computed
    value: np.ndarray       # float32, what the test that dropped it compared …
    threshold: np.ndarray   # … with what: max |δ|, S·|D| or tr²/det; NaN where kept

    @property
    def kept(self) -> Refined:
        """The survivors only."""
        return Refined(*(column[self.status == KEPT] for column in self))


def refine(levels: np.ndarray, candidates: np.ndarray, params: SIFTParams = SIFTParams()) -> Refined:
    """Refine the candidates of one octave.

    Parameters
    ----------
    levels : (S + 3, H, W) float32, grey levels; D_i = L_{i+1} − L_i
    candidates : (N, 3) int32, rows (layer, y, x)
    params : SIFTParams; reads max_steps, accept_offset [px], border [px], contrast_threshold, edge_threshold,
        sigma [px]

    Returns
    -------
    Refined of length N, in the order of `candidates`.

    Source: [Lowe §4]; the rules of moving and stopping are cv2's (docs/deviations.md, 5).

    >>> z, y, x = np.mgrid[:5, :16, :16] - np.array([2.1, 8.0, 7.25]).reshape(3, 1, 1, 1)
    >>> bowl = np.float32(99 - 4 * z**2 - 3 * y**2 - 2 * x**2)
    >>> levels = np.cumsum(np.concatenate([np.zeros_like(bowl[:1]), bowl]), axis=0)        # D_i = bowl[i]
    >>> r = refine(levels, np.int32([[2, 8, 7]])).kept
    >>> r.dx, r.dy.round(6), r.ds.round(6)
    (array([0.25], dtype=float32), array([0.], dtype=float32), array([0.1], dtype=float32))
    """
    n = len(candidates)
    cells = np.ascontiguousarray(candidates, np.int32).reshape(-1, 3).copy()
    numbers = np.empty((n, 7), np.float32)
    status = np.empty(n, np.int8)
    tests = (params.max_steps, params.border, np.float32(params.accept_offset),
             np.float32(params.contrast_threshold), np.float32(params.edge_threshold), np.float32(params.sigma))
    over(n, _refine_each, np.ascontiguousarray(levels), tests, cells, numbers, status, grain=256)
    return Refined(status, *cells.T.copy(), *numbers.T.copy())


@njit(error_model="numpy")
def difference(levels, layer, y, x):
    """D_layer = L_{layer+1} − L_layer at a pixel."""
    return levels[layer + 1, y, x] - levels[layer, y, x]


@njit(error_model="numpy")
def derivatives(levels, layer, y, x):
    """∇(D/255) and the Hessian of D/255 at a pixel, by central differences.

        D_x = (D₊ − D₋) / 2,   D_xx = D₊ + D₋ − 2D,   D_xy = (D₊₊ − D₊₋ − D₋₊ + D₋₋) / 4

    Returns (D_x, D_y, D_s), (D_xx, D_yy, D_ss, D_xy, D_xs, D_ys), all float32.
    """
    def d(i, j, k):
        return difference(levels, layer + k, y + j, x + i)

    first, mixed = _FULL_RANGE * HALF, _FULL_RANGE * _QUARTER
    twice = d(0, 0, 0) + d(0, 0, 0)
    gradient = ((d(1, 0, 0) - d(-1, 0, 0)) * first,
                (d(0, 1, 0) - d(0, -1, 0)) * first,
                (d(0, 0, 1) - d(0, 0, -1)) * first)
    hessian = ((d(1, 0, 0) + d(-1, 0, 0) - twice) * _FULL_RANGE,
               (d(0, 1, 0) + d(0, -1, 0) - twice) * _FULL_RANGE,
               (d(0, 0, 1) + d(0, 0, -1) - twice) * _FULL_RANGE,
               (d(1, 1, 0) - d(-1, 1, 0) - d(1, -1, 0) + d(-1, -1, 0)) * mixed,
               (d(1, 0, 1) - d(-1, 0, 1) - d(1, 0, -1) + d(-1, 0, -1)) * mixed,
               (d(0, 1, 1) - d(0, -1, 1) - d(0, 1, -1) + d(0, -1, -1)) * mixed)
    return gradient, hessian


@njit(error_model="numpy")
def newton_offset(gradient, hessian):
    """δ = −H⁻¹∇D by Cramer's rule, H symmetric; 0 where det H = 0.          [Lowe 2004, eq. 3]

    Each 2 × 2 minor is one fma, and each sum of three products two more, as cv2's compiler has it.
    """
    b0, b1, b2 = gradient
    xx, yy, ss, xy, xs, ys = hessian
    m_yy_ss, m_xy_ss, m_xy_ys = minor(yy, ss, ys, ys), minor(xy, ss, xs, ys), minor(xy, ys, xs, yy)
    det = fma(xs, m_xy_ys, minor(xx, m_yy_ss, xy, m_xy_ss))
    if det == 0:
        return np.float32(0), np.float32(0), np.float32(0)
    scale = np.float32(1) / det
    m_b1_ss, m_b1_ys, m_xy_b2 = minor(b1, ss, ys, b2), minor(b1, ys, yy, b2), minor(xy, b2, b1, xs)
    dx = scale * fma(xs, m_b1_ys, minor(b0, m_yy_ss, xy, m_b1_ss))
    dy = scale * fma(xs, m_xy_b2, minor(xx, m_b1_ss, b0, m_xy_ss))
    ds = scale * fma(b0, m_xy_ys, minor(xx, -m_b1_ys, xy, m_xy_b2))
    return -dx, -dy, -ds


@njit(error_model="numpy")
def _settle(levels, layer, y, x, max_steps, border, accept):
    """Move to the pixel that δ names until every |δ| < accept.

    Returns (status, (layer, y, x), (dx, dy, ds), ∇D, H), the derivatives at that pixel; status is KEPT where it
    settled within `max_steps`.
    """
    n_layers, h, w = len(levels) - 3, levels.shape[1], levels.shape[2]
    gradient, hessian = derivatives(levels, layer, y, x)
    for _ in range(max_steps):
        dx, dy, ds = newton_offset(gradient, hessian)
        if abs(ds) < accept and abs(dy) < accept and abs(dx) < accept:
            return KEPT, (layer, y, x), (dx, dy, ds), gradient, hessian
        if not (abs(ds) <= _OUT_OF_REACH and abs(dy) <= _OUT_OF_REACH and abs(dx) <= _OUT_OF_REACH):
            return DIVERGED, (layer, y, x), (dx, dy, ds), gradient, hessian
        to_layer, to_y, to_x = layer + round_half_even(ds), y + round_half_even(dy), x + round_half_even(dx)
        if not (1 <= to_layer <= n_layers and border <= to_y < h - border and border <= to_x < w - border):
            return LEFT, (layer, y, x), (dx, dy, ds), gradient, hessian
        layer, y, x = to_layer, to_y, to_x
        gradient, hessian = derivatives(levels, layer, y, x)
    return UNSETTLED, (layer, y, x), (dx, dy, ds), gradient, hessian


@njit(error_model="numpy")
def refined_value(value, gradient, offset):
    """D(p + δ) = D(p) + ½ ∇Dᵀδ, as a fraction of the intensity range.      [Lowe 2004, §4]"""
    (gx, gy, gs), (dx, dy, ds) = gradient, offset
    slope = fma(gs, ds, gx * dx + gy * dy)
    return fma(value, _FULL_RANGE, slope * HALF)


@njit(error_model="numpy")
def edge_test(hessian, r):
    """Is it an edge: det H ≤ 0, or tr²H / det H ≥ (r + 1)² / r?             [Lowe 2004, §4.1]

    H is the 2 × 2 Hessian in x and y.  The test avoids the division; the ratio is for the record.
    Returns (is edge, tr²/det, (r + 1)²/r).
    """
    xx, yy, ss, xy, xs, ys = hessian
    trace, det = xx + yy, minor(xx, yy, xy, xy)
    next_r = r + np.float32(1)
    is_edge = det <= 0 or trace * trace * r >= next_r * next_r * det
    ratio = trace * trace / det if det != 0 else np.float32(np.inf)
    return is_edge, ratio, next_r * next_r / r if r > 0 else np.float32(np.inf)


@njit(nogil=True, error_model="numpy")
def _refine_each(levels, tests, cells, numbers, status, first, last):
    """Run candidates first … last − 1 through the three tests; overwrite `cells` by where they ended."""
    max_steps, border, accept, contrast, edge, sigma = tests
    n_layers = np.float32(len(levels) - 3)
    for i in range(first, last):
        if i + _AHEAD < last:
            for layer in range(cells[i + _AHEAD, 0] - 1, cells[i + _AHEAD, 0] + 3):
                announce(levels[layer], cells[i + _AHEAD, 2], cells[i + _AHEAD, 1], 1)
        state, cell, offset, gradient, hessian = _settle(levels, cells[i, 0], cells[i, 1], cells[i, 2],
                                                         max_steps, border, accept)
        (layer, y, x), (dx, dy, ds) = cell, offset
        response, value, threshold = np.float32(0), max(abs(dx), abs(dy), abs(ds)), accept
        if state == KEPT:
            response = abs(refined_value(difference(levels, layer, y, x), gradient, offset))
            value, threshold = response * n_layers, contrast
            if value < threshold:
                state = LOW_CONTRAST
            else:
                is_edge, value, threshold = edge_test(hessian, edge)
                if is_edge:
                    state = EDGE
        if state == KEPT:
            value = threshold = np.float32(np.nan)
        status[i] = state
        cells[i, 0], cells[i, 1], cells[i, 2] = cell
        blur = sigma * math.pow(TWO, (np.float32(layer) + ds) / n_layers)
        numbers[i] = (dx, dy, ds, blur, response, value, threshold)
