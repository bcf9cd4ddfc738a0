"""Derivatives of the jet, linear in the pixels, and of step 3 in mode "smooth", a point defined by an equation.

imports: jet, planes, refine, softness, vjp, pysift.params          Forward  diffsift/jet.py, diffsift/refine.py
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

from diffsift.jet import Jet, hermite, jet, table, variances, window, window_pixels
from diffsift.planes import Planes
from diffsift.refine import _bounds, edge_test, newton_offset
from diffsift.softness import Softness
from diffsift.vjp.planes import read_vjp
from diffsift.vjp.refine import RefinedBar, edge_test_vjp
from diffsift.vjp.relax import log_gate_vjp
from pysift.params import SIFTParams


def window_vjp(square_bar: Tensor, planes: Planes, plane: Tensor, row: Tensor, col: Tensor,
               params: SIFTParams = SIFTParams()) -> Tensor:
    """Of (L(q) − L(c))/255:  L̄(q) += square̅(q)/255,  L̄(c) −= Σ_q square̅(q)/255;  (B, N, n, n) → (B, n)."""
    square_bar = square_bar / 255
    plane, rows, cols = window_pixels(planes, plane, row, col, params)
    around = read_vjp(square_bar, planes, plane[..., None, None], rows[..., :, None], cols[..., None, :])
    return around - read_vjp(square_bar.sum((-1, -2)), planes, plane, row, col)


def table_vjp(table_bar: Tensor, variance: Tensor, offset: Tensor, n: int) -> Tensor:
    """Of M[a, b] = Σ_ij G⁽ᵃ⁾_i G⁽ᵇ⁾_j square_ij:  square̅_ij = Σ_ab M̄[a, b] G⁽ᵃ⁾_i G⁽ᵇ⁾_j.  Linear: singular nowhere."""
    along_x, along_y = (hermite(offset[..., i], variance, n) for i in (0, 1))
    return torch.einsum("...ab,...ai,...bj->...ij", table_bar, along_y, along_x)


def jet_vjp(bar: Jet, layer: Tensor, offset: Tensor, n: int, params: SIFTParams = SIFTParams()) -> Tensor:
    """Of D = L_w − L_v and its derivatives, with respect to the pixels: (…) → (…, n, n), δ held fixed.

        M̄₀₂ = D̄_xx + Λ,  M̄₂₀ = D̄_yy + Λ,  Λ = ½τ(D̄_s + κD̄_ss);   M̄₀₄ = M̄₄₀ = ½M̄₂₂ = ¼τ²D̄_ss
        M̄₀₃ = ½τD̄_xs,  M̄₂₁ = ½τD̄_xs,  M̄₁₂ = M̄₃₀ = ½τD̄_ys;   M̄₀₀ = D̄,  M̄₀₁ = D̄_x,  M̄₁₀ = D̄_y,  M̄₁₁ = D̄_xy
    """
    (v, v_speed), (w, w_speed) = variances(layer + offset[..., 2], params)
    return (table_vjp(_of_table_vjp(bar, w_speed, params), w, offset, n)
            - table_vjp(_of_table_vjp(bar, v_speed, params), v, offset, n))


def _of_table_vjp(bar: Jet, speed: Tensor, params: SIFTParams) -> Tensor:
    half, rate = speed / 2, 2 * math.log(2) / params.n_octave_layers
    (x, y, s), (xx, yy, ss, xy, xs, ys) = bar.gradient.unbind(-1), bar.hessian.unbind(-1)
    laplacian, bilaplacian = half * (s + rate * ss), half * half * ss
    zero = torch.zeros_like(x)
    rows = ((bar.value, x, xx + laplacian, half * xs, bilaplacian),
            (y, xy, half * ys, zero, zero),
            (yy + laplacian, half * xs, 2 * bilaplacian, zero, zero),
            (half * ys, zero, zero, zero, zero),
            (bilaplacian, zero, zero, zero, zero))
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def curvature_vjp(hessian_bar: Tensor, square: Tensor, layer: Tensor, offset: Tensor,
                  params: SIFTParams = SIFTParams()) -> Tensor:
    """Of D_xx, D_yy, D_xy at p:  p̄_i = D̄_xx D_xxi + D̄_yy D_yyi + D̄_xy D_xyi,  i = x, y, s;  (…, 6) → (…, 3).

    D_xxs = ½τ(M₀₄ + M₂₂) and so on; the other three entries of the Hessian take no part in the edge test.
    """
    def thirds(variance: Tensor, speed: Tensor) -> Tensor:
        m, half = table(square, variance[..., None], offset).squeeze(-3), speed / 2
        by_row = ((m[..., 0, 3], m[..., 1, 2], half * (m[..., 0, 4] + m[..., 2, 2])),
                  (m[..., 2, 1], m[..., 3, 0], half * (m[..., 2, 2] + m[..., 4, 0])),
                  (m[..., 1, 2], m[..., 2, 1], half * (m[..., 1, 3] + m[..., 3, 1])))
        return torch.stack([torch.stack(row, -1) for row in by_row], -2)

    fine, coarse = (thirds(*pair) for pair in variances(layer + offset[..., 2], params))
    return (hessian_bar[..., [0, 1, 3], None] * (coarse - fine)).sum(-2)


def refine_smooth_vjp(bar: RefinedBar, planes: Planes, cell: tuple[Tensor, Tensor, Tensor], offset: Tensor,
                      sigma: Tensor, params: SIFTParams = SIFTParams(), softness: Softness = Softness()) -> Tensor:
    """All of step 3 at the point p where ∇D(p) = 0: cotangents of its results → L̄ (B, n).

    Differentiate ∇D(p, L) = 0:  H dp + d_L∇D = 0, so with p̄ = (dx̄, dȳ, ds̄ + σ̄·σ·ln 2/S) + gates,

        ∇̄ = −H⁻¹p̄,     H̄ = that of the edge test,     D̄ = sign D·(response̅ + S·m̄₂)   → `jet_vjp`

    D itself sends nothing to p, for ∇D = 0.  Singular at det H = 0 and where no such point was found (δ = 0): p̄ = 0.
    """
    layers, depth = params.n_octave_layers, planes.within(cell[0])
    square = window(planes, *cell, params)
    at = jet(square, depth, offset, params)
    margin = at.value.abs() * layers - params.contrast_threshold
    strength_bar = log_gate_vjp(bar.log_weight, margin, 100 * softness.contrast)
    value_bar = torch.sign(at.value) * (bar.response + layers * strength_bar)
    edge_bar = log_gate_vjp(bar.log_weight, edge_test(at.hessian, params.edge_threshold), softness.edge)
    hessian_bar = edge_test_vjp(edge_bar, at.hessian, params.edge_threshold)
    point_bar = torch.stack([bar.dx, bar.dy, bar.ds + bar.sigma * sigma * math.log(2) / layers], -1)
    point_bar = point_bar + curvature_vjp(hessian_bar, square, depth, offset, params)
    point_bar = point_bar + _outside_vjp(bar.log_weight, planes, cell, offset, params, softness)
    found = newton_offset(at.gradient, at.hessian).abs().amax(-1, keepdim=True) < _SETTLED
    gradient_bar = torch.where(found, newton_offset(point_bar, at.hessian), 0.0)
    square_bar = jet_vjp(Jet(value_bar, gradient_bar, hessian_bar), depth, offset, square.shape[-1], params)
    return window_vjp(square_bar, planes, *cell, params)


_SETTLED = 1e-6                     # px


def _outside_vjp(out_bar: Tensor, planes: Planes, cell: tuple[Tensor, Tensor, Tensor], offset: Tensor,
                 params: SIFTParams, softness: Softness) -> Tensor:
    """Of log σ(β(½ − max_i |p_i − clamp(p_i)|)): the largest one gets −sign·m̄; inside the bounds, nothing."""
    point = offset + torch.stack([cell[2], cell[1], planes.within(cell[0])], -1)
    outside = point - torch.clamp(point, *_bounds(planes, cell[0], params))
    largest = outside.abs().amax(-1, keepdim=True)
    margin_bar = log_gate_vjp(out_bar, params.accept_offset - largest.squeeze(-1), softness.settle)
    return torch.where(outside.abs() == largest, -torch.sign(outside) * margin_bar[..., None], 0.0)
