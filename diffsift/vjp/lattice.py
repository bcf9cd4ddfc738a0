"""Derivatives of step 5 in mode "smooth": a lattice that moves, turns and grows with its keypoint.

imports: descriptor, learned, planes, polar, relax, softness, vjp, pysift.params
Forward  diffsift/descriptor.py
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

from diffsift.descriptor import _SPACING, _angle_distance, _turned
from diffsift.planes import Planes
from diffsift.polar import polar
from diffsift.relax import bspline, soft_length
from diffsift.softness import Softness
from diffsift.vjp.planes import gradients_vjp
from diffsift.vjp.polar import vote_vjp
from diffsift.vjp.relax import bspline_vjp
from pysift.params import SIFTParams


def lattice_vjp(x_bar: Tensor, y_bar: Tensor, j: Tensor, i: Tensor,
                width: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points P = c + (j, i), (j, i) = w·R(θ)(u, v):   ∂P/∂c = 1,   ∂P/∂w = (j, i)/w,   ∂P/∂θ = (−i, j).

        c̄ = Σ P̄,     w̄ = Σ ⟨P̄, (j, i)⟩/w,     θ̄ = (π/180) Σ (P̄_y j − P̄_x i)     per degree

    Takes P̄ (B, N, n, n); returns x̄, ȳ, w̄, θ̄ (B, N).
    """
    return (x_bar.sum((-1, -2)), y_bar.sum((-1, -2)), (x_bar * j + y_bar * i).sum((-1, -2)) / width,
            math.pi / 180 * (y_bar * j - x_bar * i).sum((-1, -2)))


def describe_smooth_vjp(raw_bar: Tensor, planes: Planes, layer: Tensor, x: Tensor, y: Tensor, sigma: Tensor,
                        angle: Tensor, params: SIFTParams = SIFTParams(),
                        softness: Softness = Softness()) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """h[r, c, b] = Σ_q C_qr C_qc · A w_q ℓ(m_q) · B((b_q − b)/w')/w':   returns L̄ (B, n), x̄, ȳ, σ̄, angle̅ (B, N).

        s̄_qb = Σ_rc h̄ C_qr C_qc,    φ = Σ_b s̄_b B(…)/w',    φ' = (n/360) Σ_b s̄_b B'(…)/w'²
        A = (2·reach·width/points)²:  w̄idth += 2 Σ_q vote·φ/width;      angle̅ += Σ_q vote·φ'

    C and w_q, constants of the lattice, have no derivative; its points have that of `lattice_vjp`.
    """
    d, n, kernel = params.n_cells, params.n_desc_bins, softness.cell_kernel
    reach = (d - 1) / 2 + 2 * kernel
    points = math.ceil(2 * reach / _SPACING)
    u = ((torch.arange(points, device=x.device, dtype=x.dtype) + 0.5) * 2 / points - 1) * reach
    width = params.cell_width * sigma
    grow = width[..., None, None]
    j, i = _turned(grow * u, grow * u[:, None], torch.ones_like(width), -angle)
    at = planes, layer[..., None, None], x[..., None, None] + j, y[..., None, None] + i
    dx, dy = planes.gradients(*at[1:])
    weight = (grow * 2 * reach / points) ** 2 * torch.exp(
        -(u * u + u[:, None] * u[:, None]) / (2 * (d * params.desc_sigma) ** 2))
    cell = bspline((u[:, None] - torch.arange(d, device=x.device) + (d - 1) / 2) / kernel) / kernel
    bins_bar = torch.einsum("bkrcn,ir,jc->bknij", raw_bar.unflatten(2, (d, d, n)), cell, cell).flatten(3)
    length, direction = polar(dx, dy, exact=True)
    distance = _angle_distance(direction.flatten(2), angle[..., None], n) / softness.angle_kernel
    share_bar = (bins_bar * bspline(distance)).sum(2).view(dx.shape) / softness.angle_kernel
    slope_bar = bspline_vjp(bins_bar, distance).sum(2).view(dx.shape) * (n / 360) / softness.angle_kernel ** 2
    dx_bar, dy_bar, weight_bar = vote_vjp(share_bar, slope_bar, weight, dx, dy, softness.length, exact=True)
    values_bar, x_bar, y_bar = gradients_vjp(dx_bar, dy_bar, *at)
    x_bar, y_bar, width_bar, angle_bar = lattice_vjp(x_bar, y_bar, j, i, width)
    width_bar = width_bar + 2 * (weight_bar * weight).sum((-1, -2)) / width
    voted = weight * soft_length(length, softness.length)
    return values_bar, x_bar, y_bar, params.cell_width * width_bar, angle_bar + (voted * slope_bar).sum((-1, -2))
