"""Derivatives of step 3, the quadratic fit and its three gates.

imports: refine, softness, vjp, pysift.params          Forward  diffsift/refine.py
"""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from diffsift.refine import _FARTHEST, derivatives, edge_test, newton_offset, refined_value
from diffsift.softness import Softness
from diffsift.vjp.relax import log_gate_vjp
from pysift.params import SIFTParams


class RefinedBar(NamedTuple):
    """Cotangents of what the refinement returns, (…) each."""

    dx: Tensor
    dy: Tensor
    ds: Tensor
    sigma: Tensor
    response: Tensor
    log_weight: Tensor


def derivatives_vjp(gradient_bar: Tensor, hessian_bar: Tensor) -> Tensor:
    """Adjoint of the stencils: (…, 3) x, y, s and (…, 6) xx, yy, ss, xy, xs, ys → (…, 3, 3, 3).

        D̄₊ = D̄_xx + ½ D̄_x,   D̄₋ = D̄_xx − ½ D̄_x,   D̄ = −2 (D̄_xx + D̄_yy + D̄_ss),   corners  ± ¼ D̄_xy

    all over 255.  Linear, so singular nowhere.
    """
    cube_bar = gradient_bar.new_zeros((*gradient_bar.shape[:-1], 3, 3, 3))
    plane_y, plane_x, slab = cube_bar[..., 1, :, 1], cube_bar[..., 1, 1, :], cube_bar[..., :, 1, 1]
    for line, g, h in zip((plane_x, plane_y, slab), gradient_bar.unbind(-1), hessian_bar.unbind(-1)):
        line[..., 2] += h + g / 2
        line[..., 0] += h - g / 2
        cube_bar[..., 1, 1, 1] -= 2 * h
    planes = cube_bar[..., 1, :, :], cube_bar[..., :, 1, :], cube_bar[..., :, :, 1]
    for plane, h in zip(planes, hessian_bar.unbind(-1)[3:]):
        plane[..., 2, 2] += h / 4
        plane[..., 0, 0] += h / 4
        plane[..., 2, 0] -= h / 4
        plane[..., 0, 2] -= h / 4
    return cube_bar / 255


def newton_offset_vjp(offset_bar: Tensor, gradient: Tensor, hessian: Tensor) -> tuple[Tensor, Tensor]:
    """δ = −H⁻¹g:   ḡ = −u,   H̄ = −½ (u δᵀ + δ uᵀ),   u = H⁻¹δ̄;   (…, 3) → (…, 3), (…, 6).

    H is symmetric, so −u is the same step taken from δ̄ instead of g.  In the six entries an off-diagonal one stands
    for two, hence H̄_xy = −(u_x δ_y + u_y δ_x).  Singular at det H = 0, where δ = 0 is held: no derivative.
    """
    delta = newton_offset(gradient, hessian)
    gradient_bar = newton_offset(offset_bar, hessian)                                # −u
    (dx, dy, ds), (ux, uy, us) = delta.unbind(-1), gradient_bar.unbind(-1)
    hessian_bar = [ux * dx, uy * dy, us * ds, ux * dy + uy * dx, ux * ds + us * dx, uy * ds + us * dy]
    return gradient_bar, torch.stack(hessian_bar, -1)


def refined_value_vjp(value_bar: Tensor, gradient: Tensor, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of v = D/255 + ½ g·δ:   D̄ = v̄/255,  ḡ = ½ v̄ δ,  δ̄ = ½ v̄ g;   (…) → (…), (…, 3), (…, 3).

    Sent on through `newton_offset_vjp`, δ̄ adds ½ v̄ δ to ḡ and gives H̄ = ½ v̄ δδᵀ: no inverse is left, because v is
    stationary in δ.  Singular nowhere.
    """
    half = value_bar[..., None] / 2
    return value_bar / 255, half * offset, half * gradient


def edge_test_vjp(margin_bar: Tensor, hessian: Tensor, r: float) -> Tensor:
    """Of e = E/q,  E = det − κ·tr²,  q = xx² + yy² + 2xy²,  κ = r/(r + 1)²:   (…) → (…, 6).

        Ē = ē/q,  q̄ = −e·ē/q,     xx̄ = Ē (yy − 2κ·tr) + 2xx·q̄,   yȳ = Ē (xx − 2κ·tr) + 2yy·q̄,   xȳ = −2xy·Ē + 4xy·q̄

    Singular at H = 0, where e jumps to 0: no derivative.
    """
    xx, yy, _, xy, _, _ = hessian.unbind(-1)
    square = xx * xx + yy * yy + 2 * xy * xy
    twice = 2 * r / ((r + 1) * (r + 1)) * (xx + yy)
    excess_bar = margin_bar / torch.where(square > 0, square, 1.0)
    square_bar = -edge_test(hessian, r) * excess_bar
    xx_bar = excess_bar * (yy - twice) + 2 * xx * square_bar
    yy_bar = excess_bar * (xx - twice) + 2 * yy * square_bar
    xy_bar = 4 * xy * square_bar - 2 * xy * excess_bar
    none = torch.zeros_like(xx_bar)
    return torch.stack([xx_bar, yy_bar, none, xy_bar, none, none], -1)


def refine_vjp(bar: RefinedBar, cube: Tensor, sigma: Tensor, params: SIFTParams = SIFTParams(),
               softness: Softness = Softness()) -> Tensor:
    """All of step 3 in the cell where it ended, cube (…, 3, 3, 3):  cotangents of its results → cube̅.

        log w = log σ(β₁(½ − max|δ|)) + log σ(β₂(S|v| − C)) + log σ(β₃ e),     σ = σ₀·2^((layer + δ_s)/S)

        δ̄ = (dx̄, dȳ, ds̄ + σ̄·σ·ln 2/S) − [the largest |δ_i|]·sign δ_i·m̄₁ + ½ v̄ g;    v̄ = sign v·(response̅ + S·m̄₂)

    Singular at v = 0: sign 0 = 0.  Where |δ_i| is cut at 1½ nothing flows to δ_i.  Where two |δ_i| are the largest
    they share the cotangent.
    """
    layers = params.n_octave_layers
    gradient, hessian = derivatives(cube)
    free = newton_offset(gradient, hessian)
    offset = free.clamp(-_FARTHEST, _FARTHEST)
    value = refined_value(cube[..., 1, 1, 1], gradient, offset)
    strength_bar = log_gate_vjp(bar.log_weight, value.abs() * layers - params.contrast_threshold,
                                100 * softness.contrast)
    value_bar = torch.sign(value) * (bar.response + layers * strength_bar)
    centre_bar, value_gradient_bar, offset_bar = refined_value_vjp(value_bar, gradient, offset)
    largest = offset.abs().amax(-1, keepdim=True)
    settle_bar = log_gate_vjp(bar.log_weight, params.accept_offset - largest.squeeze(-1), softness.settle)
    which = (offset.abs() == largest).to(offset.dtype)
    which = which / which.sum(-1, keepdim=True)
    offset_bar = offset_bar - which * torch.sign(offset) * settle_bar[..., None]
    offset_bar = offset_bar + torch.stack([bar.dx, bar.dy, bar.ds + bar.sigma * sigma * math.log(2) / layers], -1)
    gradient_bar, hessian_bar = newton_offset_vjp(offset_bar * (free.abs() <= _FARTHEST), gradient, hessian)
    edge_bar = log_gate_vjp(bar.log_weight, edge_test(hessian, params.edge_threshold), softness.edge)
    hessian_bar = hessian_bar + edge_test_vjp(edge_bar, hessian, params.edge_threshold)
    cube_bar = derivatives_vjp(gradient_bar + value_gradient_bar, hessian_bar)
    cube_bar[..., 1, 1, 1] += centre_bar
    return cube_bar
