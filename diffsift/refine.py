"""Step 3 of 5: refine each extremum to a fraction of a pixel, and weigh down the weak and the long.

    candidate (layer, y, x) → Newton steps on the quadratic through its 26 neighbours
                            → the cell they end in, offset δ, value v, log weight

    D(p + δ) ≈ D + ∇Dᵀδ + ½ δᵀHδ,   δ = −H⁻¹∇D,   v = D + ½ ∇Dᵀδ          [Lowe §4, eq. 2–3; Anatomy Alg. 6–9]

mode="smooth" goes on by Newton's method on D itself, read between pixels and layers (`jet`), to the point where
∇D = 0.  The quadratic through samples 1 px and a third of an octave apart errs by up to 13 % in ∂x/∂(true x), D
itself by 10⁻⁵ (docs/limit.md).

Relaxed      three tests become gates: [every |δ| < ½], [S·|v| ≥ C] and [E > 0] with E = (r + 1)²·det − r·tr², which
             is Lowe's ratio test without its division and turns down saddles (E < 0 wherever det < 0).
Limit        β = inf: weight 1 or 0, as the hard twin keeps or drops.
Singular     det H = 0: δ := 0 without a derivative, as cv2 has it.  Nearby, |δ| is cut at 1½ px, where its weight
             is σ(−β) and its derivative 0.  v is stationary in δ, so a poor H does not harm the contrast.
             mode="smooth": no point with ∇D = 0 within 1½ px; δ := 0, as good as no weight, no derivative.
Held fixed   the moves from cell to cell.  δ jumps where one |δ| crosses ½; there the gate is at ½.  In mode "smooth"
             nothing jumps there: the cell changes and p does not, and the first gate is on how far p lies outside of
             the pixels and layers of its octave.

imports: jet, planes, relax, softness, pysift.params
Hard twin  pysift/refine.py          Reads  extrema.py (step 2)
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from diffsift.jet import MARGIN, jet, window
from diffsift.planes import Planes, as_planes
from diffsift.relax import log_gate
from diffsift.softness import Softness
from pysift.params import SIFTParams

_SINGULAR = 1e-12                   # of |det H| beside the cube of the largest entry of H
_FARTHEST = 1.5                     # px, three times what is accepted
# mode "smooth", Newton's method on D itself
_STEPS = 8                          # to rounding it mostly takes four or five
_STRIDE = 0.5                       # px at most in each, so that a nearly flat D does not throw it out of the window
_CONVERGED = 1e-3                   # px of the last step: two steps further it is 10⁻¹²


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
           softness: Softness = Softness(), *, mode: str = "opencv") -> Refined:
    """Refine the candidates of one octave, or of all.

    Parameters
    ----------
    levels : (B, S + 3, H, W), grey levels, or Planes
    candidates : (B, N, 3) int64, rows (layer, y, x)
    params : SIFTParams; reads max_steps, accept_offset [px], border [px], contrast_threshold, edge_threshold,
        sigma [px]
    softness : Softness; reads settle, contrast, edge
    mode : "opencv" for Lowe's quadratic, "smooth" for the extremum of D itself

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
    fit = {"opencv": _fit, "smooth": _fit_smoothly}[mode]
    (layer, row, col), offset, value, hessian, beyond = fit(planes, candidates, params)
    response = value.abs()
    log_weight = (log_gate(params.accept_offset - beyond, softness.settle)
                  + log_gate(response * params.n_octave_layers - params.contrast_threshold, 100 * softness.contrast,
                             closed=True)
                  + log_gate(edge_test(hessian, params.edge_threshold), softness.edge))
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


def refined_value(value: Tensor, gradient: Tensor, offset: Tensor) -> Tensor:
    """V = D(p + δ) = D(p) + ½ ∇Dᵀδ, as a fraction of the intensity range; `value` in grey levels. [Lowe 2004, §4]

    Stationary in δ = −H⁻¹∇D, so with v̄ the cotangents through it are  D̄ = v̄,  ḡ = v̄·δ,  H̄ = ½ v̄·δδᵀ, without an
    inverse.
    """
    return value / 255 + (gradient * offset).sum(-1) / 2


def edge_test(hessian: Tensor, r) -> Tensor:
    """How clearly it is no edge, H being the 2 × 2 Hessian in x and y.             [Lowe 2004, §4.1]

        E/((r + 1)²·|H|²),   E = (r + 1)²·det H − r·tr²H

    Positive exactly where det H > 0 and tr²/det < (r + 1)²/r.  Free of contrast; ⅓ for a blob at r = 10, −½ for the
    saddle diag(1, −1); 0 where H = 0.
    """
    xx, yy, _, xy, _, _ = hessian.unbind(-1)
    square = xx * xx + yy * yy + 2 * xy * xy
    share = r / ((r + 1) * (r + 1))
    excess = xx * yy - xy * xy - share * (xx + yy) ** 2
    return excess / torch.where(square > 0, square, 1.0)


Fit = tuple[tuple[Tensor, ...], Tensor, Tensor, Tensor, Tensor]  # cell, δ, D there, its Hessian, what the gate reads


def _fit(planes: Planes, candidates: Tensor, params: SIFTParams) -> Fit:
    """Lowe's quadratic in the cell where cv2's moves end; the gate reads the largest |δ|."""
    cell = _settle(planes, candidates, params).unbind(-1)
    cube = planes.cubes(*cell)
    gradient, hessian = derivatives(cube)
    offset = newton_offset(gradient, hessian).clamp(-_FARTHEST, _FARTHEST)
    value = refined_value(cube[..., 1, 1, 1], gradient, offset)
    return cell, offset, value, hessian, offset.abs().amax(-1)


def _fit_smoothly(planes: Planes, candidates: Tensor, params: SIFTParams) -> Fit:
    """The extremum of D itself; the gate reads how far it lies outside the cells that may hold keypoints.

    Newton's method converges without a derivative; from there one step has the first derivative that the implicit
    function theorem states, dp = −H⁻¹·d∇D, and two steps have the second and the third as well.
    """
    cell, offset, found = _converge(planes, _settle(planes, candidates, params), params)
    square, depth = window(planes, *cell, params), planes.within(cell[0])
    for _ in range(2):
        at = jet(square, depth, offset, params)
        offset = torch.where(found[..., None], offset + newton_offset(at.gradient, at.hessian), offset)
    value, _, hessian = jet(square, depth, offset, params)
    point = offset + torch.stack([cell[2], cell[1], depth], -1)
    low, high = _bounds(planes, cell[0], params)
    outside = (point - torch.clamp(point, low, high)).abs().amax(-1)
    return cell, offset, value, hessian, torch.where(found, outside, _FARTHEST)


@torch.no_grad()
def _converge(planes: Planes, cells: Tensor, params: SIFTParams) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """Newton's method from the middle of each cell: the cell nearest to its end, the offset there, if it converged."""
    plane, row, col = cells.unbind(-1)
    planes, depth = planes._replace(values=planes.values.detach()), planes.within(plane)
    square = window(planes, plane, row, col, params)
    offset = torch.zeros_like(square[..., 0, :3])
    place = torch.stack([torch.zeros_like(depth), torch.zeros_like(depth), depth], -1)
    low, high = (torch.tensor(ends, dtype=offset.dtype, device=offset.device) for ends in (
        (-_FARTHEST, -_FARTHEST, 1 - MARGIN), (_FARTHEST, _FARTHEST, params.n_octave_layers + MARGIN)))
    for _ in range(_STEPS):
        at = jet(square, depth, offset, params)
        step = newton_offset(at.gradient, at.hessian).clamp(-_STRIDE, _STRIDE)
        offset = torch.clamp(place + offset + step, low, high) - place
    found = step.abs().amax(-1) < _CONVERGED
    offset = torch.where(found[..., None], offset, 0.0)
    low, high = _bounds(planes, plane, params)
    point = torch.stack([col, row, depth], -1)
    moved = torch.clamp(torch.round(point + offset).long(), low, high)
    cell = plane + moved[..., 2] - depth, moved[..., 1], moved[..., 0]
    return cell, (offset - (moved - point)).detach(), found


def _bounds(planes: Planes, plane: Tensor, params: SIFTParams) -> tuple[Tensor, Tensor]:
    """The cells that may hold keypoints: the least and the largest (x, y, layer) of each plane's octave, (…, 3)."""
    last_x, last_y = planes.width[plane] - 1 - params.border, planes.height[plane] - 1 - params.border
    least, layers = torch.full_like(plane, params.border), torch.full_like(plane, params.n_octave_layers)
    return (torch.stack([least, least, torch.ones_like(plane)], -1), torch.stack([last_x, last_y, layers], -1))


@torch.no_grad()
def _settle(planes: Planes, cells: Tensor, params: SIFTParams) -> Tensor:
    """Move to the pixel that δ names until every |δ| < ½, at most max_steps − 1 times; no derivative."""
    planes = planes._replace(values=planes.values.detach())
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
