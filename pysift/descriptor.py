"""Step 5 of 5: describe the neighbourhood of each keypoint by 4 × 4 × 8 numbers.   [Lowe §6; Anatomy Alg. 12]

    gradients in a rotated, Gaussian-weighted square → trilinear votes into 4 × 4 cells × 8 angles
        → ‖·‖ = 1 → clip at 0.2 → ‖·‖ = 1 → × 512, rounded to a byte

A pixel at (j, i) from the centre lies in the cell

    column  u + d/2 − ½,  u = (j·cos θ − i·sin θ)/3σ;   row  v + d/2 − ½,  v = (j·sin θ + i·cos θ)/3σ

and votes with |∇L|·exp(−(u² + v²) / 2(d/2)²) for its two nearest rows, columns and angle bins.  As in cv2 the
centre is the pixel *nearest* to the keypoint (docs/deviations.md, 7).  Entry (row · 4 + column) · 8 + angle bin;
cells and angles are relative to θ, angles counter-clockwise with y up.

imports: params, threads, kernels, kernels.arithmetic, kernels.descriptor
Reads    orientation.py (step 4), scalespace.py (step 1)
"""
from __future__ import annotations

import math

import numpy as np

from pysift.kernels import njit
from pysift.kernels.arithmetic import fma
from pysift.kernels.descriptor import describe_each
from pysift.params import SIFTParams
from pysift.threads import over

_FLAT = np.float32(np.finfo(np.float32).eps)


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
    # several are described at a time: of one level, hence of a size, and close by, hence in the cache
    order = np.lexsort([frames[:, 1], -np.asarray(layer)])
    over(len(frames), describe_each, levels, np.asarray(layer, np.int64), frames, grid, order, out, grain=16)
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


@njit(nogil=True, error_model="numpy")
def _normalise_each(raw, clip, scale, lanes, out, first, last):
    """Compute v = min(raw, clip·‖raw‖);   out = v·scale/‖v‖, or v/‖v‖ where `out` is not of bytes."""
    clipped = np.empty(raw.shape[1], np.float32)
    for i in range(first, last):
        most, total = math.sqrt(_sum_of_squares(raw[i], lanes)) * clip, np.float32(0)
        for k in range(raw.shape[1]):
            clipped[k] = min(raw[i, k], most)
        for k in range(raw.shape[1]):
            total += clipped[k] * clipped[k]
        norm = max(math.sqrt(total), _FLAT)
        if out.itemsize == 1:
            _to_bytes(clipped, scale / norm, out[i])
        else:
            for k in range(raw.shape[1]):
                out[i, k] = clipped[k] / norm


@njit(error_model="numpy")
def _to_bytes(v, scale, out):
    """Write v·scale, rounded half to even, at most 255."""
    for k in range(len(v)):
        out[k] = np.int32(min(np.rint(v[k] * scale), np.float32(255)))


@njit(error_model="numpy")
def _sum_of_squares(v, lanes):
    """Σ v², in `lanes` partial sums that are then folded as cv2 folds a register of that width."""
    partial = np.zeros(lanes, np.float32)
    for start in range(0, len(v), lanes):
        for k in range(min(lanes, len(v) - start)):
            partial[k] = fma(v[start + k], v[start + k], partial[k])
    if lanes == 16:
        partial = partial[:8] + partial[8:]
        partial = partial[:4] + partial[4:]
    total = np.float32(0)
    for k in range(0, len(partial), 4):
        total += (partial[k] + partial[k + 1]) + (partial[k + 2] + partial[k + 3])
    return total
