"""Derivatives of the relaxations, one formula each.  β = inf and width 0 have the derivative of the limit: none.

imports: torch only          Forward  diffsift/relax.py
"""
from __future__ import annotations

import math

import torch
from torch import Tensor


def log_gate_vjp(out_bar: Tensor, margin: Tensor, beta: float) -> Tensor:
    """Of l = log σ(βm):  m̄ = l̄·β·σ(−βm).  Never singular.  β = inf: 0."""
    if math.isinf(beta):
        return torch.zeros_like(out_bar * margin)
    return out_bar * beta * torch.sigmoid(-beta * margin)


def log_membership_vjp(out_bar: Tensor, gaps: Tensor, beta: float) -> Tensor:
    """Of l = −log(1 + Σ_j exp(−βg_j)):  ḡ_j = l̄·β·p_j,  p_j = exp(−βg_j)/(1 + Σ_i exp(−βg_i)).

    p_j is the softmax weight of neighbour j.  Never singular.  β = inf: 0.  (…) and (…, n) → (…, n).
    """
    if math.isinf(beta):
        return torch.zeros_like(gaps)
    own = torch.zeros_like(gaps[..., :1])
    return out_bar[..., None] * beta * torch.softmax(torch.cat([own, -beta * gaps], -1), -1)[..., 1:]


def soft_argmax_vjp(out_bar: Tensor, values: Tensor, positions: Tensor, beta: float) -> Tensor:
    """Of x = Σ_i p_i x_i, p = softmax(βv):  v̄_i = β·p_i·⟨x_i − x, x̄⟩.

    Singular as β → ∞ at a tie, where the limit is a set.  β = inf: 0.
    """
    if math.isinf(beta):
        return torch.zeros_like(values)
    p = torch.softmax(beta * values, -1)
    towards = out_bar @ positions.T                                     # ⟨x_i, x̄⟩
    return beta * p * (towards - (p * towards).sum(-1, keepdim=True))


def soft_clip_vjp(out_bar: Tensor, x: Tensor, t: float, tau: float) -> tuple[Tensor, Tensor]:
    """Of s = min(x, t) softened, with s(0) = 0:  x̄ = s̄·σ((t − x)/τ),  t̄ = Σ s̄·(σ(t/τ) − σ((t − x)/τ)).

    Returns (x̄, t̄).  τ = 0: x̄ = s̄ below t, 0 above, half at the kink x = t; t̄ the other way round.
    """
    if tau == 0:
        below = torch.where(x == t, 0.5, (x < t).to(x.dtype))
        return out_bar * below, (out_bar * (1 - below)).sum()
    slope = torch.sigmoid((t - x) / tau)
    full = torch.sigmoid(torch.as_tensor(t / tau, dtype=x.dtype, device=x.device))
    return out_bar * slope, (out_bar * (full - slope)).sum()


def smooth_step_vjp(out_bar: Tensor, t: Tensor) -> Tensor:
    """S = t³(10 − 15t + 6t²):  t̄ = S̄·30·t²(1 − t)² in (0, 1), 0 outside; C¹."""
    t = t.clamp(0, 1)
    return out_bar * 30 * t * t * (1 - t) * (1 - t)


def soft_bin_vjp(share_bar: Tensor, position: Tensor, width: float) -> Tensor:
    """Of share = S((f − ½)/w + ½), f = position − ⌊position⌋:  position̄ = share̅·S'((f − ½)/w + ½)/w.

    Jumps of ⌊·⌋ move the vote to the next bin and its share from 1 to 0: nothing changes.  w = 0: 0.
    """
    if width == 0:
        return torch.zeros_like(share_bar * position)
    fraction = position - torch.floor(position)
    return smooth_step_vjp(share_bar, (fraction - 0.5) / width + 0.5) / width


def bspline_vjp(out_bar: Tensor, t: Tensor) -> Tensor:
    """B cubic B-spline:  t̄ = B̄·B'(t),  B' = −2t + (3/2) t|t|  for |t| ≤ 1,  −sign(t)·(2 − |t|)²/2  to |t| = 2."""
    a = t.abs()
    inner = -2 * t + 1.5 * t * a
    outer = -torch.sign(t) * (2 - a).clamp(min=0) ** 2 / 2
    return out_bar * torch.where(a < 1, inner, outer)


def bspline_slope_vjp(out_bar: Tensor, t: Tensor) -> Tensor:
    """Derivative of B':  t̄ = B̄'·B''(t),  B'' = 3|t| − 2  for |t| ≤ 1,  2 − |t|  to |t| = 2; C⁰, −2 at t = 0."""
    a = t.abs()
    return out_bar * torch.where(a < 1, 3 * a - 2, (2 - a).clamp(min=0))


def soft_length_vjp(out_bar: Tensor, length: Tensor, floor: float) -> Tensor:
    """ℓ = m²/√(m² + ε²):  m̄ = ℓ̄·m(m² + 2ε²)/(m² + ε²)^(3/2), at most 1.09·ℓ̄.  ε < 10⁻¹⁵: ℓ = m."""
    if floor < 1e-15:
        return out_bar * torch.ones_like(length)
    square, floor_square = length * length, floor * floor
    return out_bar * length * (square + 2 * floor_square) / (square + floor_square) ** 1.5
