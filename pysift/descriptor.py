"""Step 5 of 5: describe the neighbourhood of each keypoint by 4 × 4 × 8 numbers.   [Lowe §6; Anatomy Alg. 12]

    gradients in a rotated, Gaussian-weighted square → trilinear votes into 4 × 4 cells × 8 angles
        → ‖·‖ = 1 → clip at 0.2 → ‖·‖ = 1 → × 512, rounded to a byte

As in cv2 the square is centred on the pixel *nearest* to the keypoint (docs/deviations.md, 7).  Entry
(cell row · 4 + cell column) · 8 + angle bin; cells and angles are relative to the orientation, angles
counter-clockwise with y up.

imports: params, threads, kernels.arithmetic          Reads  orientation.py (step 4), scalespace.py (step 1)
"""
from __future__ import annotations

import math

import numpy as np
from numba import njit

from pysift.kernels.arithmetic import HALF, atan2_degrees, exp_table, fma, magnitude, round_half_even
from pysift.params import SIFTParams
from pysift.threads import over

_TURN = np.float32(360.0)
_FLAT = np.float32(np.finfo(np.float32).eps)
_RADIANS = np.float32(math.pi / 180)
_SQRT2 = np.float32(math.sqrt(2.0))


def describe_octave(levels: np.ndarray, layer: np.ndarray, x: np.ndarray, y: np.ndarray, sigma: np.ndarray,
                    angle: np.ndarray, params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Histogram the gradients about N keypoints of one octave.

    Parameters
    ----------
    levels : (S + 3, H, W) float32
    layer : (N,) int
    x, y, sigma : (N,) float32, pixels of the octave
    angle : (N,) float32, degrees, clockwise on the screen
    params : SIFTParams; reads n_cells, n_desc_bins, cell_width [σ], desc_sigma [width of the grid]

    Returns
    -------
    (N, n_cells²·n_desc_bins) float32, not normalised: see `normalise`

    Source: [Lowe §6.1].

    >>> ramp = np.tile(np.arange(64, dtype=np.float32), (1, 64, 1))
    >>> where = np.float32([[32], [32], [2], [0]])
    >>> d = describe_octave(ramp, np.int32([0]), *where).reshape(4, 4, 8)
    >>> d.shape, bool(d[..., 1:].any())                          # every gradient points along θ: bin 0
    ((4, 4, 8), False)
    """
    frames = np.stack([x, y, sigma, angle], axis=1).astype(np.float32).reshape(-1, 4)
    d, n = params.n_cells, params.n_desc_bins
    grid = (d, n, np.float32(params.cell_width), np.float32(-0.5 / (d * params.desc_sigma) ** 2), params.simd_lanes)
    out = np.empty((len(frames), d * d * n), np.float32)
    over(len(frames), _describe_each, levels, np.asarray(layer, np.int64), frames, grid, out, grain=16)
    return out


def normalise(raw: np.ndarray, params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Make histograms independent of contrast and robust to a few large gradients.

    Parameters
    ----------
    raw : (N, D) float32, non-negative
    params : SIFTParams; reads desc_clip, desc_scale and descriptor:
        "uint8"    512·v rounded half to even, saturated at 255 — what cv2 returns as floats
        "float32"  v, unit norm
        "root"     √(v / Σv), RootSIFT from the unquantised v          [Arandjelović & Zisserman 2012, §2]

    Returns
    -------
    (N, D) uint8 or float32; a flat patch gives zeros

    Source: [Lowe §6.1].

    >>> v = normalise(np.float32([[0, 3, 4] + 125 * [0]]), SIFTParams(descriptor="float32"))
    >>> v[0, :4].round(4)                                        # both clipped, then equal
    array([0.    , 0.7071, 0.7071, 0.    ], dtype=float32)
    """
    raw = np.ascontiguousarray(raw, np.float32)
    out = np.empty(raw.shape, np.float32 if params.descriptor != "uint8" else np.uint8)
    scale = np.float32(params.desc_scale)
    over(len(raw), _normalise_each, raw, np.float32(params.desc_clip), scale, params.simd_lanes, out, grain=256)
    if params.descriptor == "root":
        total = out.sum(axis=1, keepdims=True)
        np.sqrt(out / np.where(total > 0, total, 1), out=out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _describe_each(levels, layer, frames, grid, out, first, last):
    """Describe keypoints first … last − 1, all in one set of buffers."""
    widest = np.float32(0)
    for i in range(first, last):
        widest = max(widest, frames[i, 2])
    reach = _reach(widest, grid, levels.shape[1], levels.shape[2])
    samples = np.empty((5, min(2 * reach + 1, levels.shape[1]) * min(2 * reach + 1, levels.shape[2])), np.float32)
    for i in range(first, last):
        level = levels[layer[i]]
        turn = _TURN - frames[i, 3]
        turn = np.float32(0) if abs(turn - _TURN) < _FLAT else turn          # counter-clockwise, y up
        count = _sample(level, frames[i], turn, grid, samples)
        _vote(samples[:, :count], turn, grid, out[i])


@njit(cache=True, error_model="numpy")
def _reach(sigma, grid, h, w):
    """Half-width of the square that holds the turned grid: √2·(cell width)·(d + 1)/2, at most the diagonal."""
    radius = round_half_even(grid[2] * sigma * _SQRT2 * np.float32(grid[0] + 1) * HALF)
    return min(radius, np.int64(math.sqrt(np.float64(w) * w + np.float64(h) * h)))


@njit(cache=True, error_model="numpy")
def _sample(level, frame, turn, grid, samples):
    """Gather the gradients in the turned square about the nearest pixel; returns how many.

    A pixel at (j, i) from the centre lies in cell coordinates, with c = cos/width, s = sin/width, at

        column  j·c − i·s + d/2 − ½,   row  j·s + i·c + d/2 − ½,   weight  exp(−(u² + v²) / 2(d·σ_w)²)

    `samples` receives the rows: cell row, cell column, angle in degrees, |∇L|, weight.
    """
    d, _, cell_width, exponent, _ = grid
    h, w = level.shape
    width = cell_width * frame[2]
    cos, sin = np.float32(math.cos(turn * _RADIANS)) / width, np.float32(math.sin(turn * _RADIANS)) / width
    reach = _reach(frame[2], grid, h, w)
    col, row = round_half_even(frame[0]), round_half_even(frame[1])
    half, side = np.float32(d // 2), np.float32(d)
    count = 0
    for i in range(max(-reach, 1 - row), min(reach, h - 2 - row) + 1):
        across, along = np.float32(i) * sin, np.float32(i) * cos
        for j in range(max(-reach, 1 - col), min(reach, w - 2 - col) + 1):
            u, v = fma(np.float32(j), cos, -across), fma(np.float32(j), sin, along)
            cell_row, cell_col = v + half - HALF, u + half - HALF
            if cell_row > -1 and cell_row < side and cell_col > -1 and cell_col < side:
                y, x = row + i, col + j
                samples[0, count], samples[1, count] = cell_row, cell_col
                samples[2, count] = level[y - 1, x] - level[y + 1, x]
                samples[3, count] = level[y, x + 1] - level[y, x - 1]
                samples[4, count] = fma(u, u, v * v) * exponent
                count += 1
    for k in range(count):
        dy, dx = samples[2, k], samples[3, k]
        samples[2, k], samples[3, k] = atan2_degrees(dy, dx), magnitude(dx, dy)
        samples[4, k] = exp_table(samples[4, k])
    return count


@njit(cache=True, error_model="numpy")
def _vote(samples, turn, grid, out):
    """Share each gradient among its two nearest rows, columns and angle bins, trilinearly.

    The histogram has a cell of margin on every side, for shares that fall outside the grid, and two
    angle bins more, which are folded into the first two.  In the last (number of samples) mod (SIMD
    lanes) votes the last product is fused into the bin, as cv2 does.
    """
    d, n, _, _, lanes = grid
    bins_per_degree = np.float32(n) / _TURN
    histogram = np.zeros((d + 2, d + 2, n + 2), np.float32)
    count = samples.shape[1]
    for k in range(count):
        angle_bin = (samples[2, k] - turn) * bins_per_degree
        r, c, o = math.floor(samples[0, k]), math.floor(samples[1, k]), math.floor(angle_bin)
        fr, fc, fo = samples[0, k] - np.float32(r), samples[1, k] - np.float32(c), angle_bin - np.float32(o)
        o = o + n if o < 0 else o
        o = o - n if o >= n else o
        weight = samples[3, k] * samples[4, k]
        lower = weight * fr
        upper = weight - lower
        for half, dr in ((upper, 0), (lower, 1)):
            right = half * fc
            for quarter, dc in ((half - right, 0), (right, 1)):
                bins = histogram[r + 1 + dr, c + 1 + dc]
                if k < count - count % lanes:
                    share = quarter * fo
                    bins[o] += quarter - share
                    bins[o + 1] += share
                else:
                    bins[o] += fma(-quarter, fo, quarter)
                    bins[o + 1] = fma(quarter, fo, bins[o + 1])
    for r in range(d):
        for c in range(d):
            bins = histogram[r + 1, c + 1]
            bins[0] += bins[n]
            bins[1] += bins[n + 1]
            out[(r * d + c) * n:(r * d + c + 1) * n] = bins[:n]


@njit(cache=True, nogil=True, error_model="numpy")
def _normalise_each(raw, clip, scale, lanes, out, first, last):
    """Compute v = min(raw, clip·‖raw‖);   out = v·scale/‖v‖, or v/‖v‖ where `out` is not of bytes."""
    for i in range(first, last):
        most = math.sqrt(_sum_of_squares(raw[i], lanes)) * clip
        total = np.float32(0)
        for k in range(raw.shape[1]):
            v = min(raw[i, k], most)
            total += v * v
        norm = max(math.sqrt(total), _FLAT)
        for k in range(raw.shape[1]):
            v = min(raw[i, k], most)
            if out.itemsize == 1:
                out[i, k] = min(round_half_even(v * (scale / norm)), 255)
            else:
                out[i, k] = v / norm


@njit(cache=True, error_model="numpy")
def _sum_of_squares(v, lanes):
    """Σ v², in `lanes` partial sums that are then folded as cv2 folds a register of that width."""
    partial = np.zeros(lanes, np.float32)
    for k in range(len(v)):
        partial[k % lanes] = fma(v[k], v[k], partial[k % lanes])
    if lanes == 16:
        partial = partial[:8] + partial[8:]
        partial = partial[:4] + partial[4:]
    total = np.float32(0)
    for k in range(0, len(partial), 4):
        total += (partial[k] + partial[k + 1]) + (partial[k + 2] + partial[k + 3])
    return total
