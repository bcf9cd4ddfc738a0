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

    Raises
    ------
    ValueError : a number is not finite, or sigma is not positive

    Source: [Lowe §6.1].

    >>> ramp = np.tile(np.arange(64, dtype=np.float32), (1, 64, 1))
    >>> where = np.float32([[32], [32], [2], [0]])
    >>> d = describe_octave(ramp, np.int32([0]), *where).reshape(4, 4, 8)
    >>> d.shape, bool(d[..., 1:].any())                          # every gradient points along θ: bin 0
    ((4, 4, 8), False)
    """
    frames = np.stack([x, y, sigma, angle], axis=1).astype(np.float32).reshape(-1, 4)
    usable = np.isfinite(frames).all(axis=1) & (frames[:, 2] > 0)
    if not usable.all():
        i = int(np.argmin(usable))
        raise ValueError(f"keypoint {i} has (x, y, sigma, angle) = {tuple(frames[i].tolist())}: "
                         "describing needs finite numbers and a positive sigma")
    # cv2's mark for "no angle" is −1 and is used there as a number; others are brought into one turn
    frames[:, 3] = np.where((frames[:, 3] >= -1) & (frames[:, 3] <= 360), frames[:, 3], frames[:, 3] % 360)
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
    h, w = levels.shape[1:]
    reach = _reach(frames[first:last, 2].max(), grid, h, w) if first < last else 0
    samples = np.empty((5, min(2 * reach + 1, h) * min(2 * reach + 1, w)), np.float32)
    for i in range(first, last):
        turn = _TURN - frames[i, 3]
        turn = np.float32(0) if abs(turn - _TURN) < _FLAT else turn          # counter-clockwise, y up
        count = _sample(levels[layer[i]], frames[i], turn, grid, samples)
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

        column  u + d/2 − ½,  u = j·c − i·s;   row  v + d/2 − ½,  v = j·s + i·c;   weight  exp(−(u² + v²) / 2(d·σ_w)²)

    `samples` receives the rows: cell row, cell column, angle in degrees, |∇L|, weight.
    """
    d, _, cell_width, exponent, _ = grid
    h, w = level.shape
    width = cell_width * frame[2]
    cos, sin = np.float32(math.cos(turn * _RADIANS)) / width, np.float32(math.sin(turn * _RADIANS)) / width
    reach = _reach(frame[2], grid, h, w)
    col, row = round_half_even(frame[0]), round_half_even(frame[1])
    half = np.float32(d // 2)
    count = 0
    for i in range(max(-reach, 1 - row), min(reach, h - 2 - row) + 1):
        across, along = np.float32(i) * sin, np.float32(i) * cos
        first, last = _columns(cos, sin, across, along, d, max(-reach, 1 - col), min(reach, w - 2 - col))
        n = max(last - first + 1, 0)
        x = col + first
        here = samples[:, count:count + n]
        for k in range(n):
            j = np.float32(first + k)
            u, v = fma(j, cos, -across), fma(j, sin, along)
            here[0, k], here[1, k], here[4, k] = v + half - HALF, u + half - HALF, fma(u, u, v * v) * exponent
        above, below = level[row + i - 1, x:x + n], level[row + i + 1, x:x + n]
        left, right = level[row + i, x - 1:x - 1 + n], level[row + i, x + 1:x + 1 + n]
        for k in range(n):
            here[2, k] = above[k] - below[k]
        for k in range(n):
            here[3, k] = right[k] - left[k]
        count += n
    for k in range(count):
        dy, dx = samples[2, k], samples[3, k]
        samples[2, k], samples[3, k] = atan2_degrees(dy, dx), magnitude(dx, dy)
    for k in range(count):
        samples[4, k] = exp_table(samples[4, k])
    return count


@njit(cache=True, error_model="numpy")
def _columns(cos, sin, across, along, d, first, last):
    """First and last j of a row, within the bounds given, that fall into the grid.

    The grid is convex, so they are the whole of the row's part; −1 < cell coordinate < d is tested as
    `_sample` computes it, from a guess by division that is a pixel too wide.
    """
    centre, limit = np.float32(d // 2) - HALF, np.float32(d)
    low, high = np.float64(first), np.float64(last)
    for slope, shift in ((cos, -across), (sin, along)):
        if abs(slope) > 1e-6:
            a, b = (-1 - centre - shift) / slope, (limit - centre - shift) / slope
            low, high = max(low, min(a, b) - 1), min(high, max(a, b) + 1)
    first, last = np.int64(math.ceil(low)), np.int64(math.floor(high))
    while first <= last and not _inside(np.float32(first), cos, sin, across, along, d):
        first += 1
    while first <= last and not _inside(np.float32(last), cos, sin, across, along, d):
        last -= 1
    return first, last


@njit(cache=True, error_model="numpy")
def _inside(j, cos, sin, across, along, d):
    half, limit = np.float32(d // 2), np.float32(d)
    row, col = fma(j, sin, along) + half - HALF, fma(j, cos, -across) + half - HALF
    return row > -1 and row < limit and col > -1 and col < limit


@njit(cache=True, error_model="numpy")
def _vote(samples, turn, grid, out):
    """Share each gradient among its two nearest rows, columns and angle bins, trilinearly.

    The histogram has a cell of margin on every side, for shares that fall outside the grid, and two
    angle bins more, which are folded into the first two.  In the last (number of samples) mod (SIMD
    lanes) votes the last product is fused into the bin, as cv2 does.
    """
    d, n, _, _, lanes = grid
    bins_per_degree = np.float32(n) / _TURN
    stride = n + 2
    down = (d + 2) * stride
    guard = 1                                             # an angle of −1 reaches one bin below the first
    histogram = np.zeros(guard + (d + 2) * down, np.float32)
    count = samples.shape[1]
    rows, cols, angles, lengths, weights = samples
    for k in range(count):
        angle_bin = (angles[k] - turn) * bins_per_degree
        r, c, o = np.floor(rows[k]), np.floor(cols[k]), np.floor(angle_bin)
        fr, fc, fo = rows[k] - r, cols[k] - c, angle_bin - o
        bin_ = np.int32(o)
        bin_ = bin_ + n if bin_ < 0 else bin_
        bin_ = bin_ - n if bin_ >= n else bin_
        length = lengths[k] * weights[k]
        lower = length * fr
        upper = length - lower
        upper_right, lower_right = upper * fc, lower * fc
        at = np.uint32(guard + (np.int32(r) + 1) * down + (np.int32(c) + 1) * stride + bin_)
        fused = k >= count - count % lanes
        _share(histogram, at, upper - upper_right, fo, fused)
        _share(histogram, at + np.uint32(stride), upper_right, fo, fused)
        _share(histogram, at + np.uint32(down), lower - lower_right, fo, fused)
        _share(histogram, at + np.uint32(down + stride), lower_right, fo, fused)
    for r in range(d):
        for c in range(d):
            bins = histogram[guard + (r + 1) * down + (c + 1) * stride:][:stride]
            bins[0] += bins[n]
            bins[1] += bins[n + 1]
            out[(r * d + c) * n:(r * d + c + 1) * n] = bins[:n]


@njit(cache=True)
def _share(histogram, at, amount, fraction, fused):
    """Split an amount between the angle bins `at` and `at` + 1."""
    share = amount * fraction
    after = at + np.uint32(1)
    histogram[at] += fma(-amount, fraction, amount) if fused else amount - share
    histogram[after] = fma(amount, fraction, histogram[after]) if fused else histogram[after] + share


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
