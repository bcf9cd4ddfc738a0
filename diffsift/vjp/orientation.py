"""Derivatives of step 4: votes of the angle histogram, its smoothing, its peaks.

imports: orientation, planes, relax, softness, vjp, pysift.params          Forward  diffsift/orientation.py
"""
from __future__ import annotations

import torch
from torch import Tensor

from diffsift.orientation import _FLAT, _LATTICE, window_reach
from diffsift.planes import Planes
from diffsift.polar import polar
from diffsift.relax import bspline, soft_bin
from diffsift.softness import Softness
from diffsift.vjp.planes import gradients_vjp, patches_vjp, pixel_gradients_vjp
from diffsift.vjp.polar import vote_vjp
from diffsift.vjp.relax import bspline_vjp, log_gate_vjp, soft_bin_vjp
from pysift.params import SIFTParams


def smooth_vjp(out_bar: Tensor) -> Tensor:
    """Of h' = [1 4 6 4 1]/16 ∗ h, circular: symmetric, so it is its own adjoint,  h̄ = [1 4 6 4 1]/16 ∗ h̄'."""
    return (6 * out_bar + 4 * (out_bar.roll(1, -1) + out_bar.roll(-1, -1))
            + out_bar.roll(2, -1) + out_bar.roll(-2, -1)) / 16


def parabola_vjp(shift_bar: Tensor, before: Tensor, here: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of d = (l − r)/2q, q = l − 2c + r < 0:   l̄ = d̄·(½ − d)/q,   c̄ = d̄·2d/q,   r̄ = d̄·(−½ − d)/q;   their sum is 0.

    Singular at q = 0, a flat top: the caller keeps away from it.
    """
    bend = before - 2 * here + after
    shift = (before - after) / bend / 2
    return shift_bar * (0.5 - shift) / bend, shift_bar * 2 * shift / bend, shift_bar * (-0.5 - shift) / bend


def peak_gates_vjp(log_weight_bar: Tensor, histogram: Tensor, params: SIFTParams = SIFTParams(),
                   softness: Softness = Softness()) -> Tensor:
    """Of log w = Σ_i log σ(βm_i),  m₁ = (h − l)/u,  m₂ = (h − r)/u,  m₃ = (h − 0.8 h_max)/u,  u = h_max + ε;   (…, n).

        h̄ = (m̄₁ + m̄₂ + m̄₃)/u,   l̄ = −m̄₁/u,   r̄ = −m̄₂/u,   h̄_max = −Σ (0.8 m̄₃ + m̄₁m₁ + m̄₂m₂ + m̄₃m₃)/u

    Two bins that are both the highest share h̄_max.  Singular for an empty histogram: u = 1 + ε, without its derivative.
    """
    before, after = histogram.roll(1, -1), histogram.roll(-1, -1)
    highest = histogram.amax(-1, keepdim=True)
    unit = torch.where(highest > 0, highest, 1.0) + softness.norm
    margins = [(histogram - least) / unit for least in (before, after, params.ori_peak * highest)]
    first, second, third = (log_gate_vjp(log_weight_bar, margin, softness.peak) / unit for margin in margins)
    unit_bar = -sum(bar * margin for bar, margin in zip((first, second, third), margins))
    highest_bar = (torch.where(highest > 0, unit_bar, 0.0) - params.ori_peak * third).sum(-1, keepdim=True)
    is_highest = (histogram == highest).to(histogram.dtype)
    is_highest = is_highest / is_highest.sum(-1, keepdim=True)
    return first + second + third - first.roll(-1, -1) - second.roll(1, -1) + is_highest * highest_bar


def peak_angles_vjp(angle_bar: Tensor, log_weight_bar: Tensor, histogram: Tensor, params: SIFTParams = SIFTParams(),
                    softness: Softness = Softness()) -> Tensor:
    """Of angle_k = 360 − (k + d_k)·360/n:   d̄ = −angle̅·360/n  through the parabola, plus the gates;  (…, n) → (…, n).

    No derivative of the angle where the top is flat, q ≥ −10⁻⁶ of the highest, and where |d| is cut at ½.
    The jump from 0° to 360° has none either.
    """
    n = histogram.shape[-1]
    before, after = histogram.roll(1, -1), histogram.roll(-1, -1)
    highest = histogram.amax(-1, keepdim=True)
    bend = before - 2 * histogram + after
    curved = bend / (torch.where(highest > 0, highest, 1.0) + softness.norm) < -_FLAT
    inside = curved & (((before - after) / torch.where(curved, bend, 1.0) / 2).abs() <= 0.5)
    before, here, after = (torch.where(inside, value, flat)
                           for value, flat in ((before, 0.0), (histogram, 1.0), (after, 0.0)))
    shift_bar = torch.where(inside, -angle_bar * 360 / n, 0.0)
    before_bar, here_bar, after_bar = parabola_vjp(shift_bar, before, here, after)
    return (here_bar + before_bar.roll(-1, -1) + after_bar.roll(1, -1)
            + peak_gates_vjp(log_weight_bar, histogram, params, softness))


def vote_opencv_vjp(histogram_bar: Tensor, planes: Planes, layer: Tensor, row: Tensor, col: Tensor, sigma: Tensor,
                    params: SIFTParams = SIFTParams(), softness: Softness = Softness()) -> tuple[Tensor, Tensor]:
    """Of h_k = Σ_q w_q·m_q·share_k(θ_q),  w = exp(−|q − p|²/2s²),  s = λσ:   returns L̄ (B, n) and σ̄ (B, N).

        φ = (1 − f)·h̄_i + f·h̄_{i+1},   φ' = (n/360)·f'·(h̄_{i+1} − h̄_i),    s̄ = Σ_q w̄·w·|q − p|²/s³,   σ̄ = λ s̄

    f the soft share of the upper bin; hard bins, width 0: f' = 0.  The radius of the window, a step function of σ,
    and its pixel p are held fixed.
    """
    reach, n = window_reach(params), params.n_ori_bins
    square = planes.patches(layer, row, col, reach + 1)
    dx = square[..., 1:-1, 2:] - square[..., 1:-1, :-2]
    dy = square[..., :-2, 1:-1] - square[..., 2:, 1:-1]
    step = torch.arange(-reach, reach + 1, device=row.device)
    spread = (params.ori_sigma * sigma)[..., None, None]
    seen = planes.has_gradient(layer[..., None, None], row[..., None, None] + step[:, None],
                               col[..., None, None] + step)
    seen = seen & (torch.maximum(step.abs(), step[:, None].abs()) <= torch.round(params.ori_reach * spread))
    distance = step * step + step[:, None] * step[:, None]
    weight = torch.where(seen, torch.exp(-distance / (2 * spread * spread)), 0.0)
    place = polar(dx, dy)[1] * (n / 360)
    lower, share = soft_bin(place, softness.ori_bin)
    at_lower, at_upper = (histogram_bar.gather(2, (bin_ % n).flatten(2)).view(place.shape)
                          for bin_ in (lower, lower + 1))
    slope = soft_bin_vjp(at_upper - at_lower, place, softness.ori_bin) * (n / 360)
    dx_bar, dy_bar, weight_bar = vote_vjp((1 - share) * at_lower + share * at_upper, slope, weight, dx, dy)
    spread_bar = (weight_bar * weight * distance).sum((-1, -2)) / spread[..., 0, 0] ** 3
    values_bar = patches_vjp(pixel_gradients_vjp(dx_bar, dy_bar), planes, layer, row, col)
    return values_bar, params.ori_sigma * spread_bar


def vote_smooth_vjp(histogram_bar: Tensor, planes: Planes, layer: Tensor, row: Tensor, col: Tensor, sigma: Tensor,
                    params: SIFTParams = SIFTParams(),
                    softness: Softness = Softness()) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of h_k = Σ_q A·w_q·ℓ(m_q)·B(b_q − k) at the points q = p + s·u_q,  A = (2·reach·s/16)²,  s = λσ.

        φ = Σ_k h̄_k B(b − k),  φ' = (n/360) Σ_k h̄_k B'(b − k);     p̄ = Σ_q q̄,   s̄ = Σ_q ⟨q̄, u_q⟩ + 2 Σ_q vote·φ/s

    w_q depends on u_q alone, so it is a constant.  Returns L̄ (B, n), row̄, col̄, σ̄ (B, N).
    """
    n = params.n_ori_bins
    u = params.ori_reach * ((torch.arange(_LATTICE, device=sigma.device, dtype=sigma.dtype) + 0.5) * 2 / _LATTICE - 1)
    spread = (params.ori_sigma * sigma)[..., None, None]
    x, y = torch.broadcast_tensors(col[..., None, None] + spread * u, row[..., None, None] + spread * u[:, None])
    dx, dy = planes.gradients(layer[..., None, None], x, y)
    weight = (2 * params.ori_reach * spread / _LATTICE) ** 2 * torch.exp(-(u * u + u[:, None] * u[:, None]) / 2)
    distance = polar(dx, dy, exact=True)[1][..., None] * (n / 360) - torch.arange(n, device=sigma.device)
    distance = distance - n * torch.round(distance / n)
    bins_bar = histogram_bar[..., None, None, :]
    share_bar = (bins_bar * bspline(distance)).sum(-1)
    slope_bar = bspline_vjp(bins_bar, distance).sum(-1) * (n / 360)
    dx_bar, dy_bar, weight_bar = vote_vjp(share_bar, slope_bar, weight, dx, dy, softness.length, exact=True)
    values_bar, x_bar, y_bar = gradients_vjp(dx_bar, dy_bar, planes, layer[..., None, None], x, y)
    spread_bar = (x_bar * u + y_bar * u[:, None] + 2 * weight_bar * weight / spread).sum((-1, -2))
    return values_bar, y_bar.sum((-1, -2)), x_bar.sum((-1, -2)), params.ori_sigma * spread_bar
