"""Derivatives of length and angle, and of a vote, which needs both: fused they are bounded.

imports: polar, relax, vjp          Forward  diffsift/polar.py
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

from diffsift.polar import _NONE, _P1, _P3, _P5, _P7, polar
from diffsift.relax import soft_length
from diffsift.vjp.relax import soft_length_vjp


def polar_vjp(length_bar: Tensor, turn_bar: Tensor, dx: Tensor, dy: Tensor, *,
              exact: bool = False) -> tuple[Tensor, Tensor]:
    """Of m = |g|, θ = angle of g in degrees;  takes m̄ and τ̄ = θ̄/m,  returns dx̄, dȳ.

        ḡ = m̄·e_r + k·τ̄·e_θ,   e_r = (dx, dy)/m,   e_θ = (−dy, dx)/m

        k = 180/π,  or of cv2's polynomial  p'(c)·(1 + c²),  c = dy/dx or dx/dy, whichever is in [−1, 1]

    The caller passes θ̄/m because what it has is m·φ(θ), whose θ̄ holds that m: dividing by it again is what
    blows up elsewhere.  Singular at m = 0, the tip of a cone: e_r = e_θ = 0, no derivative.
    """
    square = dx * dx + dy * dy
    none = square < _NONE
    length = torch.sqrt(torch.where(none, 1.0, square))
    across, along = torch.where(none, 0.0, dx / length), torch.where(none, 0.0, dy / length)
    turn_bar = turn_bar * (180 / math.pi if exact else _fast_rate(across, along))
    return length_bar * across - turn_bar * along, length_bar * along + turn_bar * across


def vote_vjp(share_bar: Tensor, slope_bar: Tensor, weight: Tensor, dx: Tensor, dy: Tensor, floor: float = 0.0, *,
             exact: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """A vote w·ℓ(m)·φ(θ), where φ = Σ_k h̄_k·(share of bin k) and φ' = dφ/dθ [1/°]:  returns dx̄, dȳ, w̄.

        ḡ = w·(ℓ'(m)·φ·e_r + k·(ℓ(m)/m)·φ'·e_θ),     w̄ = ℓ(m)·φ

    |ḡ| ≤ 1.09·w·√(φ² + (kφ')²) for every m: ℓ' ≤ 1.09 and ℓ/m ≤ 1.  At m = 0: 0; with ε > 0 that is the derivative,
    with ε = 0 a choice.
    """
    length, _ = polar(dx, dy, exact=exact)
    voted = soft_length(length, floor)
    length_bar = soft_length_vjp(weight * share_bar, length, floor)
    turn_bar = weight * slope_bar * voted / torch.where(length > 0, length, 1.0)
    return *polar_vjp(length_bar, turn_bar, dx, dy, exact=exact), voted * share_bar


def _fast_rate(x: Tensor, y: Tensor) -> Tensor:
    """Degrees of cv2's arc tangent per radian: p'(c)·(1 + c²), within 0.3 % of 180/π."""
    wide = x.abs() >= y.abs()
    over = torch.where(wide, x, y)
    c = torch.where(wide, y, x) / torch.where(over == 0, 1.0, over)
    cc = c * c
    return (((7 * _P7 * cc + 5 * _P5) * cc + 3 * _P3) * cc + _P1) * (1 + cc)
