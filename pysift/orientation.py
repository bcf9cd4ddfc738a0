"""Step 4 of 5: give every keypoint its orientations.                      [Lowe §5; Anatomy Alg. 11]

    gradients in a Gaussian window → histogram of 36 angles → smoothed → peaks ≥ 0.8 of the highest → θ

A keypoint leaves once per peak.  As in cv2 the window is a square about the *pixel* the refinement
ended in, a gradient votes for the one nearest bin, and the histogram is smoothed once by
[1 4 6 4 1]/16 (docs/deviations.md, 6).  Inside, angles are cv2's: degrees, counter-clockwise with
y up while voting, clockwise on the screen once they leave.

imports: params, threads, kernels, kernels.arithmetic, kernels.orientation
Reads    refine.py (step 3), scalespace.py (step 1)
"""
from __future__ import annotations

import numpy as np

from pysift.kernels import njit
from pysift.kernels.arithmetic import HALF, ONE, TWO, atan2_degrees, exp_table, fma, magnitude, round_half_even
from pysift.kernels.orientation import vote_each
from pysift.params import SIFTParams
from pysift.threads import over

_TURN = np.float32(360.0)
_FLAT = np.float32(np.finfo(np.float32).eps)


def assign_orientations(levels: np.ndarray, layer: np.ndarray, row: np.ndarray, col: np.ndarray,
                        sigma: np.ndarray, params: SIFTParams = SIFTParams()) -> tuple[np.ndarray, np.ndarray]:
    """Find the dominant gradient directions of N keypoints of one octave.

    Parameters
    ----------
    levels : (S + 3, H, W) float32
    layer, row, col : (N,) int, the pixel in the octave
    sigma : (N,) float32, pixels of the octave
    params : SIFTParams; reads n_ori_bins, ori_sigma [σ], ori_reach, ori_peak

    Returns
    -------
    index : (M,) int64, which keypoint; ascending, one entry per peak, M may be 0 or above N
    angle : (M,) float32, degrees in [0, 360), clockwise from +x on the screen (cv2's `angle`)

    Source: [Lowe §5].

    >>> ramp = np.tile(np.arange(32, dtype=np.float32), (1, 32, 1))             # brighter to the right
    >>> assign_orientations(ramp, *np.int32([[0], [16], [16]]), np.float32([2]))
    (array([0]), array([0.], dtype=float32))
    """
    n = len(layer)
    cells = np.stack([layer, row, col], axis=1).astype(np.int32).reshape(-1, 3)
    angles = np.empty((n, params.n_ori_bins // 2 + 1), np.float32)      # peaks are never neighbours
    counts = np.zeros(n, np.int64)
    over(n, _orient_each, levels, cells, np.asarray(sigma, np.float32), _window(params), angles, counts, grain=32)
    index = np.repeat(np.arange(n), counts)
    return index, angles[np.arange(angles.shape[1]) < counts[:, None]]


def angle_histogram(level: np.ndarray, col: int, row: int, sigma: float,
                    params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Return the smoothed histogram of one keypoint, (n_ori_bins,) float32.

    Bin k is about k·360/n_ori_bins degrees, counter-clockwise with y up.

    >>> angle_histogram(np.tile(np.arange(32, dtype=np.float32), (32, 1)), 16, 16, 2.0).argmax()
    np.int64(0)
    """
    return _smooth(_vote(level, col, row, np.float32(sigma), _window(params)))


def peak_angles(histogram: np.ndarray, params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Return the angles of its peaks, float32 degrees in [0, 360), clockwise on the screen.

    >>> peak_angles(np.float32([0, 1, 2, 1] + 32 * [0]))
    array([340.], dtype=float32)
    """
    angles = np.empty(len(histogram), np.float32)
    return angles[:_peaks(np.asarray(histogram, np.float32), np.float32(params.ori_peak), angles)]


def _window(params: SIFTParams) -> tuple:
    return (params.n_ori_bins, np.float32(params.ori_sigma), np.float32(params.ori_reach * params.ori_sigma),
            np.float32(params.ori_peak), params.simd_lanes)


@njit(nogil=True, error_model="numpy")
def _orient_each(levels, cells, sigma, window, angles, counts, first, last):
    histograms = np.empty((len(cells), window[0]), np.float32)
    vote_each(levels, cells, sigma, window, histograms, first, last)
    for i in range(first, last):
        counts[i] = _peaks(_smooth(histograms[i]), window[3], angles[i])


@njit(error_model="numpy")
def _vote(level, col, row, sigma, window):
    """Histogram of gradient angles in a Gaussian window about the pixel p = (col, row).

        h[k] = Σ_q exp(−|q − p|² / 2(λσ)²) · |∇L(q)| · [ k = round(n·θ(q)/360) mod n ]

    q runs over the square |q − p|∞ ≤ round(3λσ), the outermost pixels of the image excepted, row by
    row; the last (number of q) mod (SIMD lanes) products are fused into their bin, as cv2 does.
    """
    n_bins, ori_sigma, ori_reach, _, lanes = window
    h, w = level.shape
    reach = round_half_even(ori_reach * sigma)
    spread = ori_sigma * sigma
    exponent = -ONE / (TWO * spread * spread)
    top, bottom = max(row - reach, 1), min(row + reach, h - 2)
    left, right = max(col - reach, 1), min(col + reach, w - 2)
    width = right - left + 1
    unfused = width * max(bottom - top + 1, 0)
    unfused -= unfused % lanes
    bins_per_degree = np.float32(n_bins) / _TURN
    histogram = np.zeros(n_bins, np.float32)
    weight, length, angle = np.empty((3, max(width, 0)), np.float32)
    for y in range(top, bottom + 1):
        for j in range(width):
            x = left + j
            dx, dy = level[y, x + 1] - level[y, x - 1], level[y - 1, x] - level[y + 1, x]
            weight[j] = exp_table(np.float32((x - col) * (x - col) + (y - row) * (y - row)) * exponent)
            length[j] = magnitude(dx, dy)
            angle[j] = atan2_degrees(dy, dx)
        for j in range(width):
            k = round_half_even(bins_per_degree * angle[j])
            k = k - n_bins if k >= n_bins else k
            if (y - top) * width + j < unfused:
                histogram[k] += weight[j] * length[j]
            else:
                histogram[k] = fma(weight[j], length[j], histogram[k])
    return histogram


@njit(error_model="numpy")
def _smooth(h):
    """h'[k] = (h[k−2] + 4h[k−1] + 6h[k] + 4h[k+1] + h[k+2]) / 16, circular.

    The last n mod 8 bins, scalar code in cv2, add their terms from the outside in, the others from the inside out.
    """
    n = len(h)
    outer, inner, centre = np.float32(1 / 16), np.float32(4 / 16), np.float32(6 / 16)
    smooth = np.empty_like(h)
    for k in range(n):
        two, one = h[k - 2] + h[(k + 2) % n], h[k - 1] + h[(k + 1) % n]
        if k < n - n % 8:
            smooth[k] = fma(two, outer, fma(one, inner, h[k] * centre))
        else:
            smooth[k] = fma(h[k], centre, fma(two, outer, one * inner))
    return smooth


@njit(error_model="numpy")
def _peaks(h, share, angles):
    """Angles of the bins above both neighbours and ≥ share · max h, through a parabola; returns how many.

        k̂ = k + ½ (h[k−1] − h[k+1]) / (h[k−1] − 2h[k] + h[k+1]),   angle = 360 − 360·k̂/n
    """
    n = len(h)
    least = h.max() * share
    width, n_bins = _TURN / np.float32(n), np.float32(n)
    count = 0
    for k in range(n):
        left, right = h[k - 1], h[(k + 1) % n]
        if h[k] > left and h[k] > right and h[k] >= least:
            peak = np.float32(k) + HALF * (left - right) / (left - TWO * h[k] + right)
            peak = peak + n_bins if peak < 0 else (peak - n_bins if peak >= n_bins else peak)
            angle = fma(-width, peak, _TURN)
            angles[count] = np.float32(0) if abs(angle - _TURN) < _FLAT else angle
            count += 1
    return count
