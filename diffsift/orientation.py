"""Step 4 of 5: give every keypoint its orientations.                      [Lowe §5; Anatomy Alg. 11]

    gradients in a Gaussian window → histogram of 36 angles → smoothed → 36 possible peaks, each with a weight

Relaxed      [nearest bin] becomes two votes with a smooth step between bins (`soft_bin`); a bin is a peak by three
             gates: above either neighbour, and above 0.8 of the highest.  mode="smooth": the window is centred on the
             refined point and rides on a lattice of its own, and a vote is a cubic B-spline.
Limit        width 0 and β = inf, mode="opencv": the histogram and the peaks of the hard twin.
Singular     no gradient: no vote (`polar`).  A flat top, whose parabola has no curvature: the bin's own angle.  An
             empty histogram: weights of ½³ or 0, never NaN.
Held fixed   in mode "opencv" the pixel about which the window lies, its half-width, the bin a peak lies in.

imports: learned, planes, polar, relax, softness, pysift.params
Hard twin  pysift/orientation.py          Reads  refine.py (step 3), scalespace.py (step 1)
"""
from __future__ import annotations

import torch
from torch import Tensor

from diffsift.learned import static
from diffsift.planes import Planes, as_planes
from diffsift.polar import polar
from diffsift.relax import bspline, log_gate, soft_bin, soft_length
from diffsift.softness import Softness
from pysift.params import SIFTParams

_FLAT = 1e-6                         # of the highest bin: a top that bends less is taken as flat
_LATTICE = 16                       # points on a side of the smooth window, 0.56 σ apart


def assign_orientations(levels: Tensor | Planes, layer: Tensor, row: Tensor, col: Tensor, sigma: Tensor,
                        params: SIFTParams = SIFTParams(), softness: Softness = Softness(), *,
                        mode: str = "opencv") -> tuple[Tensor, Tensor]:
    """Find the dominant gradient directions of N keypoints.

    Parameters
    ----------
    levels : (B, S + 3, H, W), or Planes
    layer : (B, N) int64
    row, col : (B, N), the pixel in the octave, int64; in mode "smooth" the point itself, floating
    sigma : (B, N), pixels of the octave
    params : SIFTParams; reads n_ori_bins, ori_sigma [σ], ori_reach, ori_peak
    softness : Softness; reads peak, and ori_bin or length

    Returns
    -------
    angle : (B, N, n_ori_bins), degrees in [0, 360), clockwise from +x on the screen, of a peak in each bin
    log_weight : (B, N, n_ori_bins), log of how much that bin is a peak

    Source: [Lowe §5].

    >>> ramp = torch.arange(32.0).repeat(1, 6, 32, 1)                           # brighter to the right
    >>> where = torch.tensor([[1]]), torch.tensor([[16]]), torch.tensor([[16]]), torch.tensor([[2.0]])
    >>> angle, log_weight = assign_orientations(ramp, *where, softness=Softness.hard())
    >>> angle[log_weight == 0]
    tensor([0.])
    """
    return peak_angles(angle_histogram(levels, layer, row, col, sigma, params, softness, mode=mode), params, softness)


def angle_histogram(levels: Tensor | Planes, layer: Tensor, row: Tensor, col: Tensor, sigma: Tensor,
                    params: SIFTParams = SIFTParams(), softness: Softness = Softness(), *,
                    mode: str = "opencv") -> Tensor:
    """Return the smoothed histograms, (B, N, n_ori_bins), grey levels.

    Bin k is about k·360/n_ori_bins degrees, counter-clockwise with y up.
    """
    vote = {"opencv": _vote, "smooth": _vote_smoothly}[mode]
    return _smooth(vote(as_planes(levels), layer, row, col, sigma, params, softness))


def peak_angles(histogram: Tensor, params: SIFTParams = SIFTParams(),
                softness: Softness = Softness()) -> tuple[Tensor, Tensor]:
    """Angle and log weight of a peak in each bin, through a parabola.

        k̂ = k + ½ (h[k−1] − h[k+1]) / (h[k−1] − 2h[k] + h[k+1]),   angle = 360 − 360·k̂/n

    Where a bin is no local maximum, k̂ − k is cut at ±½ and the weight is small.

    >>> angle, log_weight = peak_angles(torch.tensor([0., 1, 2, 1] + 32 * [0]), softness=Softness.hard())
    >>> angle[log_weight == 0]
    tensor([340.])
    """
    n = histogram.shape[-1]
    before, after = histogram.roll(1, -1), histogram.roll(-1, -1)
    highest = histogram.amax(-1, keepdim=True)
    unit = torch.where(highest > 0, highest, 1.0) + softness.norm
    log_weight = (log_gate((histogram - before) / unit, softness.peak)
                  + log_gate((histogram - after) / unit, softness.peak)
                  + log_gate((histogram - params.ori_peak * highest) / unit, softness.peak, closed=True))
    bend = (before - 2 * histogram + after) / unit
    curved = bend < -_FLAT
    shift = (before - after) / unit / torch.where(curved, bend, -1.0) / 2
    shift = torch.where(curved, shift, 0.0).clamp(-0.5, 0.5)
    angle = 360 - (torch.arange(n, device=histogram.device) + shift) * (360 / n)
    return angle - 360 * torch.floor(angle / 360).detach(), log_weight


def _vote(planes: Planes, layer: Tensor, row: Tensor, col: Tensor, sigma: Tensor, params: SIFTParams,
          softness: Softness) -> Tensor:
    """Histogram of gradient angles in a Gaussian window about the pixel p = (col, row).

        h[k] = Σ_q exp(−|q − p|² / 2(λσ)²) · |∇L(q)| · share of bin k in angle(q)

    q runs over the square |q − p|∞ ≤ round(3λσ), the outermost pixels of the image excepted.
    """
    reach = window_reach(params)
    square = planes.patches(layer, row, col, reach + 1)
    dx = square[..., 1:-1, 2:] - square[..., 1:-1, :-2]
    dy = square[..., :-2, 1:-1] - square[..., 2:, 1:-1]
    length, angle = polar(dx, dy)
    step = torch.arange(-reach, reach + 1, device=row.device)
    spread = (params.ori_sigma * sigma)[..., None, None]
    seen = planes.has_gradient(layer[..., None, None], row[..., None, None] + step[:, None],
                               col[..., None, None] + step)
    seen = seen & (torch.maximum(step.abs(), step[:, None].abs()) <= torch.round(params.ori_reach * spread))
    weight = torch.exp(-(step * step + step[:, None] * step[:, None]) / (2 * spread * spread))
    vote = torch.where(seen, weight * length, 0.0).flatten(2)
    n = params.n_ori_bins
    lower, upper_share = soft_bin(angle.flatten(2) * (n / 360), softness.ori_bin)
    upper_vote = vote * upper_share
    bins = torch.zeros_like(vote[..., :1]).expand(*vote.shape[:2], n)
    return bins.scatter_add(2, lower % n, vote - upper_vote).scatter_add(2, (lower + 1) % n, upper_vote)


def _vote_smoothly(planes: Planes, layer: Tensor, row: Tensor, col: Tensor, sigma: Tensor, params: SIFTParams,
                   softness: Softness) -> Tensor:
    """The same about the point (col, row), on a lattice of 16 × 16 points within 3λσ that moves and grows with it.

    Its area per point, (6λσ/16)², keeps the histogram on the scale of the other mode's.
    """
    u = params.ori_reach * ((torch.arange(_LATTICE, device=sigma.device, dtype=sigma.dtype) + 0.5) * 2 / _LATTICE - 1)
    spread = (params.ori_sigma * sigma)[..., None, None]
    x, y = torch.broadcast_tensors(col[..., None, None] + spread * u, row[..., None, None] + spread * u[:, None])
    length, angle = polar(*planes.gradients(layer[..., None, None], x, y), exact=True)
    area = (2 * params.ori_reach * spread / _LATTICE) ** 2
    vote = area * torch.exp(-(u * u + u[:, None] * u[:, None]) / 2) * soft_length(length, softness.length)
    n = params.n_ori_bins
    position = angle.flatten(2) * (n / 360)
    lower = torch.floor(position).detach()
    bins = torch.zeros_like(sigma[..., None]).expand(*sigma.shape, n)
    for j in range(-1, 3):                                          # the four bins within reach of the spline
        bins = bins.scatter_add(2, (lower.long() + j) % n, vote.flatten(2) * bspline(position - lower - j))
    return bins


def window_reach(params: SIFTParams) -> int:
    """Half-width of the largest window, in pixels: that of the coarsest keypoint, σ₀·2^((S + ½)/S)."""
    fixed = static(params)
    coarsest = fixed.sigma * 2 ** ((fixed.n_octave_layers + fixed.accept_offset) / fixed.n_octave_layers)
    return round(fixed.ori_reach * fixed.ori_sigma * coarsest)


def _smooth(h: Tensor) -> Tensor:
    """h'[k] = (h[k−2] + 4h[k−1] + 6h[k] + 4h[k+1] + h[k+2]) / 16, circular; self-adjoint."""
    return (6 * h + 4 * (h.roll(1, -1) + h.roll(-1, -1)) + h.roll(2, -1) + h.roll(-2, -1)) / 16
