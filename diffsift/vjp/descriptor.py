"""Derivatives of step 5: votes in a turned grid, then norm – clip – norm.

imports: descriptor, planes, polar, relax, softness, vjp, pysift.params          Forward  diffsift/descriptor.py
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

from diffsift.descriptor import _turned, square_reach
from diffsift.planes import Planes
from diffsift.polar import polar
from diffsift.relax import soft_clip
from diffsift.softness import Softness
from diffsift.vjp.planes import patches_vjp, pixel_gradients_vjp
from diffsift.vjp.polar import vote_vjp
from diffsift.vjp.relax import soft_clip_vjp
from pysift.params import SIFTParams

_RADIAN = math.pi / 180


def unit_vjp(out_bar: Tensor, x: Tensor, floor_square: Tensor) -> tuple[Tensor, Tensor]:
    """Of y = x/n, n = √(|x|² + e):   x̄ = (ȳ − y⟨y, ȳ⟩)/n,   ē = −½⟨y, ȳ⟩/n²;   (…, D), (…, 1) → the same.

    Singular at n = 0: n = 1 is taken, so x̄ = ȳ and ē = 0.
    """
    square = (x * x).sum(-1, keepdim=True) + floor_square
    empty = square <= 0
    norm = torch.sqrt(torch.where(empty, 1.0, square))
    out = x / norm
    along = torch.where(empty, 0.0, (out * out_bar).sum(-1, keepdim=True))
    return (out_bar - out * along) / norm, -along / (2 * norm * norm)


def root_vjp(out_bar: Tensor, v: Tensor, floor: float) -> Tensor:
    """Of y = √(r + ε) − √ε, r = v/t, t = Σv:   r̄ = ȳ/2√(r + ε),   v̄ = (r̄ − ⟨r, r̄⟩)/t.

    Singular at r + ε = 0, where the slope is infinite: 0 is taken.  t = 0: t = 1 is taken, with no ⟨r, r̄⟩.
    """
    total = v.sum(-1, keepdim=True)
    some = total > 0
    total = torch.where(some, total, 1.0)
    share = v / total
    inside = share + floor
    share_bar = torch.where(inside > 0, out_bar / (2 * torch.sqrt(torch.where(inside > 0, inside, 1.0))), 0.0)
    return (share_bar - torch.where(some, (share * share_bar).sum(-1, keepdim=True), 0.0)) / total


def normalise_vjp(out_bar: Tensor, raw: Tensor, params: SIFTParams = SIFTParams(),
                  softness: Softness = Softness()) -> Tensor:
    """Of u = raw/√q,  s = clip(u),  out = s/√(|s|² + e),   q = |raw|² + ε²,  e = ε²/q;   then ·512, at most 255.

        raw̄ = unit(raw)ᵀ clip'(u) s̄ − 2 raw·ē·ε²/q²,    (s̄, ē) = unit_vjp(out̄, s, e)

    Singular for no votes and ε = 0: q = 1 is taken.  Above 255 nothing flows back; rounding passes straight through.
    """
    floor_square = softness.norm ** 2
    square = (raw * raw).sum(-1, keepdim=True) + floor_square
    square = torch.where(square > 0, square, 1.0)
    unit = raw / torch.sqrt(square)
    clipped = soft_clip(unit, params.desc_clip, softness.clip)
    second = (clipped * clipped).sum(-1, keepdim=True) + floor_square / square
    out = clipped / torch.sqrt(torch.where(second > 0, second, 1.0))
    if params.descriptor == "root":
        out_bar = root_vjp(out_bar, out, softness.root)
    elif params.descriptor == "uint8":
        out_bar = out_bar * params.desc_scale * (out * params.desc_scale <= 255)
    clipped_bar, second_floor_bar = unit_vjp(out_bar, clipped, floor_square / square)
    unit_bar, _ = soft_clip_vjp(clipped_bar, unit, params.desc_clip, softness.clip)
    raw_bar, _ = unit_vjp(unit_bar, raw, torch.full_like(square, floor_square))
    return raw_bar - 2 * raw * second_floor_bar * floor_square / square ** 2


def turned_vjp(u_bar: Tensor, v_bar: Tensor, u: Tensor, v: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Of (u, v) = R(−θ)(j, i)/w, so ∂(u, v)/∂θ = (v, −u) and ∂(u, v)/∂w = −(u, v)/w.  Returns w̄, θ̄ (B, N).

        w̄ = −Σ (ū u + v̄ v)/w,     θ̄ = (π/180) Σ (ū v − v̄ u)     per degree
    """
    return -(u_bar * u + v_bar * v).sum((-1, -2)) / width, _RADIAN * (u_bar * v - v_bar * u).sum((-1, -2))


def trilinear_vjp(histogram_bar: Tensor, vote: Tensor, row: Tensor, col: Tensor, direction: Tensor, d: int,
                  n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A vote shared by hats, h[i, j, b] += vote·Λ(row − i)·Λ(col − j)·Λ(b' − b),  Λ(t) = (1 − |t|)₊.

        φ = Σ₈ h̄ ΛΛΛ  (the cotangent of the vote),    row̄ = vote·Σ₈ h̄ Λ'ΛΛ, …

    Λ' = −1 at the lower bin, 1 at the upper.

    Returns φ, row̄, col̄ and φ' = ∂φ/∂direction [1/°], not yet times the vote.  Kinks at the centres of bins, where the
    side of the larger coordinate is taken.  Shares outside the d × d cells are dropped: h̄ = 0 there.
    """
    inside = [((place >= -1) & (place <= d)).to(vote.dtype) for place in (row, col)]
    row, col, turned = row.clamp(-1, d), col.clamp(-1, d), direction * (n / 360)
    lower = [torch.floor(row).clamp(max=d - 1), torch.floor(col).clamp(max=d - 1), torch.floor(turned)]
    f_row, f_col, f_bin = (place - low for place, low in zip((row, col, turned), lower))
    padded = torch.nn.functional.pad(histogram_bar.unflatten(2, (d, d, n)), (0, 0, 1, 1, 1, 1)).flatten(2)
    phi, row_bar, col_bar, slope = (torch.zeros_like(vote) for _ in range(4))
    for i, (row_share, row_slope) in enumerate(((1 - f_row, -1), (f_row, 1))):
        for j, (col_share, col_slope) in enumerate(((1 - f_col, -1), (f_col, 1))):
            for b, (bin_share, bin_slope) in enumerate(((1 - f_bin, -1), (f_bin, 1))):
                cell = (lower[0].long() + 1 + i) * (d + 2) + lower[1].long() + 1 + j
                bar = padded.gather(2, cell * n + (lower[2].long() + b) % n)
                phi = phi + bar * row_share * col_share * bin_share
                row_bar = row_bar + row_slope * bar * col_share * bin_share
                col_bar = col_bar + col_slope * bar * row_share * bin_share
                slope = slope + bin_slope * bar * row_share * col_share
    return phi, vote * row_bar * inside[0], vote * col_bar * inside[1], slope * (n / 360)


def describe_opencv_vjp(raw_bar: Tensor, planes: Planes, layer: Tensor, x: Tensor, y: Tensor, sigma: Tensor,
                        angle: Tensor, params: SIFTParams = SIFTParams()) -> tuple[Tensor, Tensor, Tensor]:
    """Votes w·m of whole pixels at (u, v), w = exp(−(u² + v²)/2ρ²), ρ = d/2:   returns L̄ (B, n), σ̄, angle̅ (B, N).

        ū = col̄ − w̄·w·u/ρ²,   v̄ = row̄ − w̄·w·v/ρ²,   then `turned_vjp`;    angle̅ += Σ w·m·φ';    σ̄ = 3 w̄idth

    The centre is the nearest pixel, a step function: x̄ = ȳ = 0, exactly.
    """
    d, n, reach = params.n_cells, params.n_desc_bins, square_reach(params)
    col, row = torch.round(x).long(), torch.round(y).long()
    square = planes.patches(layer, row, col, reach + 1)
    dx = square[..., 1:-1, 2:] - square[..., 1:-1, :-2]
    dy = square[..., :-2, 1:-1] - square[..., 2:, 1:-1]
    length, direction = polar(dx, dy)
    step = torch.arange(-reach, reach + 1, device=x.device)
    seen = planes.has_gradient(layer[..., None, None], row[..., None, None] + step[:, None],
                               col[..., None, None] + step)
    width = params.cell_width * sigma
    u, v = _turned(step, step[:, None], width, angle)
    spread = (d * params.desc_sigma) ** 2
    window = torch.where(seen, torch.exp(-(u * u + v * v) / (2 * spread)), 0.0)
    vote = window * length
    places = v + (d - 1) / 2, u + (d - 1) / 2, direction + angle[..., None, None]
    phi, row_bar, col_bar, slope = (t.view(vote.shape) for t in trilinear_vjp(
        raw_bar, vote.flatten(2), *(place.flatten(2) for place in places), d, n))
    dx_bar, dy_bar, window_bar = vote_vjp(phi, slope, window, dx, dy)
    pull = window_bar * window / spread
    width_bar, angle_bar = turned_vjp(col_bar - pull * u, row_bar - pull * v, u, v, width)
    values_bar = patches_vjp(pixel_gradients_vjp(dx_bar, dy_bar), planes, layer, row, col)
    return values_bar, params.cell_width * width_bar, angle_bar + (vote * slope).sum((-1, -2))
