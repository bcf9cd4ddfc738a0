"""Step 3 of 5: refine each extremum to a fraction of a pixel, and weigh down the weak and the long ones.

    candidate (layer, y, x) → Newton steps on the quadratic through its 26 neighbours
                            → the cell they end in, offset δ, value v, log weight

    D(p + δ) ≈ D + ∇Dᵀδ + ½ δᵀHδ,   δ = −H⁻¹∇D,   v = D + ½ ∇Dᵀδ          [Lowe §4, eq. 2–3; Anatomy Alg. 6–9]

Relaxed      three tests become gates: [every |δ| < ½], [S·|v| ≥ C] and [E > 0] with E = (r + 1)²·det − r·tr², which
             is Lowe's ratio test without its division and turns down saddles (E < 0 wherever det < 0).
Limit        β = inf: weight 1 or 0, as the hard twin keeps or drops.
Singular     det H = 0: δ := 0 without a derivative, as cv2 has it.  Nearby, |δ| is cut at 1½ px, where its weight
             is σ(−β) and its derivative 0.  v is stationary in δ, so a poor H does not harm the contrast.
Held fixed   the moves from cell to cell.  δ jumps where one |δ| crosses ½; there the gate is at ½.

imports: planes, relax, softness, pysift.params          Hard twin  pysift/refine.py          Reads  extrema.py (step 2)
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from diffsift.planes import Planes, as_planes
from diffsift.relax import log_gate
from diffsift.softness import Softness
from pysift.params import SIFTParams

_SINGULAR = 1e-12                   # of |det H| beside the cube of the largest entry of H
_FARTHEST = 1.5                     # px, three times what is accepted


class Refined(NamedTuple):
    """What became of N candidates of each image; tensors (B, N)."""

    layer: Tensor           # int64, the cell it ended in; counts on through octaves, as in `Planes`
    row: Tensor
    col: Tensor
    dx: Tensor              # the last offset δ, in pixels of the octave …
    dy: Tensor
    ds: Tensor              # … and in layers
    sigma: Tensor           # σ₀·2^((layer + δ)/S), in pixels of the octave
    response: Tensor        # |D(p + δ)|, fraction of the range
    log_weight: Tensor      # log of the product of the three gates


def refine(levels: Tensor | Planes, candidates: Tensor, params: SIFTParams = SIFTParams(),
           softness: Softness = Softness()) -> Refined:
    """Refine the candidates of one octave, or of all.

    Parameters
    ----------
    levels : (B, S + 3, H, W), grey levels, or Planes
    candidates : (B, N, 3) int64, rows (layer, y, x)
    params : SIFTParams; reads max_steps, accept_offset [px], border [px], contrast_threshold, edge_threshold,
        sigma [px]
    softness : Softness; reads settle, contrast, edge

    Returns
    -------
    Refined of (B, N), in the order of `candidates`.

    Source: [Lowe §4]; the rules of moving and stopping are cv2's (docs/deviations.md, 5).

    >>> z, y, x = torch.meshgrid(*(torch.arange(n) for n in (6., 16., 16.)), indexing="ij")
    >>> bowl = 99 - 4 * (z - 2.1)**2 - 3 * (y - 8)**2 - 2 * (x - 7.25)**2
    >>> r = refine(torch.cumsum(bowl, 0)[None] - bowl, torch.tensor([[[2, 8, 7]]]))
    >>> r.dx.round(decimals=4), r.dy.abs().round(decimals=4), r.ds.round(decimals=4)
    (tensor([[0.2500]]), tensor([[0.]]), tensor([[0.1000]]))
    """
    planes = as_planes(levels)
    with torch.no_grad():
        layer, row, col = _settle(planes._replace(values=planes.values.detach()), candidates, params).unbind(-1)
    cube = planes.cubes(layer, row, col)
    gradient, hessian = derivatives(cube)
    offset = newton_offset(gradient, hessian).clamp(-_FARTHEST, _FARTHEST)
    response = refined_value(cube, offset).abs()
    largest = offset.abs().amax(-1)
    log_weight = (log_gate(params.accept_offset - largest, softness.settle)
                  + log_gate(response * params.n_octave_layers - params.contrast_threshold, 100 * softness.contrast,
                             closed=True)
                  + log_gate(edge_margin(hessian, params.edge_threshold), softness.edge))
    dx, dy, ds = offset.unbind(-1)
    sigma = params.sigma * 2 ** ((planes.within(layer) + ds) / params.n_octave_layers)
    return Refined(layer, row, col, dx, dy, ds, sigma, response, log_weight)


def derivatives(cube: Tensor) -> tuple[Tensor, Tensor]:
    """∇(D/255) and the Hessian of D/255 in the middle of cubes (…, 3, 3, 3), by central differences.

        D_x = (D₊ − D₋) / 2,   D_xx = D₊ + D₋ − 2D,   D_xy = (D₊₊ − D₊₋ − D₋₊ + D₋₋) / 4

    Returns (…, 3): D_x, D_y, D_s and (…, 6): D_xx, D_yy, D_ss, D_xy, D_xs, D_ys.  Linear in the cube.
    """
    d = cube / 255
    plane_y, plane_x, slab = d[..., 1, :, 1], d[..., 1, 1, :], d[..., :, 1, 1]
    twice = 2 * d[..., 1, 1, 1]
    gradient = [(line[..., 2] - line[..., 0]) / 2 for line in (plane_x, plane_y, slab)]
    second = [line[..., 2] + line[..., 0] - twice for line in (plane_x, plane_y, slab)]
    mixed = [(q[..., 2, 2] - q[..., 2, 0] - q[..., 0, 2] + q[..., 0, 0]) / 4
             for q in (d[..., 1, :, :], d[..., :, 1, :], d[..., :, :, 1])]
    return torch.stack(gradient, -1), torch.stack(second + mixed, -1)


def newton_offset(gradient: Tensor, hessian: Tensor) -> Tensor:
    """δ = −H⁻¹∇D by Cramer's rule, (…, 3): x, y, layer; 0 where det H = 0.          [Lowe 2004, eq. 3]

    H is first divided by its largest entry, which leaves δ alone and keeps the determinant in range.  With
    u = H⁻¹·δ̄ the cotangents are  ḡ = −u,  H̄ = −sym(u δᵀ).
    """
    size = hessian.abs().amax(-1, keepdim=True).detach()
    size = torch.where(size > 0, size, 1.0)
    b0, b1, b2 = (gradient / size).unbind(-1)
    xx, yy, ss, xy, xs, ys = (hessian / size).unbind(-1)
    yy_ss, xy_ss, xy_ys = yy * ss - ys * ys, xy * ss - xs * ys, xy * ys - xs * yy
    det = xx * yy_ss - xy * xy_ss + xs * xy_ys
    singular = det.abs() <= _SINGULAR
    det = torch.where(singular, 1.0, det)
    dx = b0 * yy_ss - b1 * xy_ss + b2 * xy_ys
    dy = -b0 * xy_ss + b1 * (xx * ss - xs * xs) - b2 * (xx * ys - xy * xs)
    ds = b0 * xy_ys - b1 * (xx * ys - xy * xs) + b2 * (xx * yy - xy * xy)
    offset = -torch.stack([dx, dy, ds], -1) / det[..., None]
    return torch.where(singular[..., None], 0.0, offset)


def refined_value(cube: Tensor, offset: Tensor) -> Tensor:
    """v = D(p + δ) = D(p) + ½ ∇Dᵀδ, as a fraction of the intensity range.      [Lowe 2004, §4]

    Stationary in δ, so with v̄ the cotangents are  D̄ = v̄,  ḡ = v̄·δ,  H̄ = ½ v̄·δδᵀ, without an inverse.
    """
    gradient, _ = derivatives(cube)
    return cube[..., 1, 1, 1] / 255 + (gradient * offset).sum(-1) / 2


def edge_margin(hessian: Tensor, r) -> Tensor:
    """E/((r + 1)²·|H|²) with E = (r + 1)²·det H − r·tr²H, H the 2 × 2 Hessian in x and y.   [Lowe 2004, §4.1]

    Positive exactly where det H > 0 and tr²/det < (r + 1)²/r.  Free of contrast; ⅓ for a blob at r = 10, −½ for the
    saddle diag(1, −1); 0 where H = 0.
    """
    xx, yy, _, xy, _, _ = hessian.unbind(-1)
    square = xx * xx + yy * yy + 2 * xy * xy
    share = r / ((r + 1) * (r + 1))
    excess = xx * yy - xy * xy - share * (xx + yy) ** 2
    return excess / torch.where(square > 0, square, 1.0)


def _settle(planes: Planes, cells: Tensor, params: SIFTParams) -> Tensor:
    """Move to the pixel that δ names until every |δ| < ½, at most max_steps − 1 times; no derivative."""
    moving = torch.ones_like(cells[..., 0], dtype=torch.bool)
    for _ in range(params.max_steps - 1):
        plane, row, col = cells.unbind(-1)
        offset = newton_offset(*derivatives(planes.cubes(plane, row, col)))
        moving = moving & (offset.abs().amax(-1) >= params.accept_offset)
        target = cells + torch.round(offset).long().flip(-1)
        to_layer = planes.within(plane) + target[..., 0] - plane
        inside = (to_layer >= 1) & (to_layer <= params.n_octave_layers)
        for place, side in ((target[..., 1], planes.height[plane]), (target[..., 2], planes.width[plane])):
            inside = inside & (place >= params.border) & (place < side - params.border)
        moving = moving & inside
        cells = torch.where(moving[..., None], target, cells)
    return cells
