"""Adjoints of reading pixels: each cotangent is added to the pixel that was read.

imports: planes, relax, vjp          Forward  diffsift/planes.py
"""
from __future__ import annotations

import torch
from torch import Tensor

from diffsift.planes import Planes
from diffsift.relax import bspline, bspline_slope
from diffsift.vjp.relax import bspline_slope_vjp


def read_vjp(out_bar: Tensor, planes: Planes, plane: Tensor, row: Tensor, col: Tensor) -> Tensor:
    """y_k = L[p_k]:  L̄[p] = Σ over k with p_k = p of ȳ_k;  a pixel outside was the nearest inside.  → (B, n)."""
    height, width = planes.height[plane], planes.width[plane]
    row = torch.minimum(row.clamp(min=0), height - 1)
    col = torch.minimum(col.clamp(min=0), width - 1)
    index = planes.index(plane, row, col).expand(out_bar.shape).flatten(1)
    return torch.zeros_like(planes.values).scatter_add(1, index, out_bar.flatten(1))


def patches_vjp(square_bar: Tensor, planes: Planes, plane: Tensor, row: Tensor, col: Tensor) -> Tensor:
    """Adjoint of cutting out squares about (col, row): (B, N, 2r + 1, 2r + 1) → (B, n)."""
    reach = square_bar.shape[-1] // 2
    step = torch.arange(-reach, reach + 1, device=row.device)
    return read_vjp(square_bar, planes, plane[..., None, None], row[..., None, None] + step[:, None],
                    col[..., None, None] + step)


def cubes_vjp(cube_bar: Tensor, planes: Planes, plane: Tensor, row: Tensor, col: Tensor) -> Tensor:
    """Adjoint of the cubes of differences, D_i = L_{i+1} − L_i:  L̄_i = D̄_{i−1} − D̄_i;  (B, N, 3, 3, 3) → (B, n)."""
    nothing = torch.zeros_like(cube_bar[..., :1, :, :])
    four_bar = torch.cat([nothing, cube_bar], -3) - torch.cat([cube_bar, nothing], -3)
    levels = torch.arange(-1, 3, device=row.device)[:, None, None]
    step = torch.arange(-1, 2, device=row.device)
    plane, row, col = (v[..., None, None, None] for v in (plane, row, col))
    return read_vjp(four_bar, planes, plane + levels, row + step[:, None], col + step)


def pixel_gradients_vjp(dx_bar: Tensor, dy_bar: Tensor) -> Tensor:
    """Of dx = L(x+1) − L(x−1), dy = L(y−1) − L(y+1):  L̄(x+1) += dx̄, L̄(x−1) −= dx̄, …;  (…, n, n) → (…, n + 2, n + 2)."""
    h, w = dx_bar.shape[-2:]
    square_bar = dx_bar.new_zeros((*dx_bar.shape[:-2], h + 2, w + 2))
    square_bar[..., 1:-1, 2:] += dx_bar
    square_bar[..., 1:-1, :-2] -= dx_bar
    square_bar[..., :-2, 1:-1] += dy_bar
    square_bar[..., 2:, 1:-1] -= dy_bar
    return square_bar


def gradients_vjp(dx_bar: Tensor, dy_bar: Tensor, planes: Planes, plane: Tensor, x: Tensor,
                  y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of dx = 2 Σ_ij β_i β'_j L_ij,  dy = −2 Σ_ij β'_i β_j L_ij,  β_i = β(y − i), β_j = β(x − j), the cubic B-spline.

        L̄_ij += 2 (dx̄ β_i β'_j − dȳ β'_i β_j)
        x̄ = 2 Σ_ij L_ij (dx̄ β_i β''_j − dȳ β'_i β'_j),     ȳ = 2 Σ_ij L_ij (dx̄ β'_i β'_j − dȳ β''_i β_j)

    Returns (L̄ (B, n), x̄, ȳ).  β is C²: nothing jumps where a point crosses a pixel.
    """
    left, top = torch.floor(x) - 1, torch.floor(y) - 1
    tap = torch.arange(4, device=x.device)
    t_x, t_y = (x - left)[..., None] - tap, (y - top)[..., None] - tap
    along_x, along_y = ([bspline(t), bspline_slope(t), bspline_slope_vjp(torch.ones_like(t), t)] for t in (t_x, t_y))
    rows, cols = top.long()[..., None, None] + tap[:, None], left.long()[..., None, None] + tap
    square = planes.read(plane[..., None, None], rows, cols)
    square = square - square[..., 1:2, 1:2]                     # slopes and bends sum to 0: no rounding of the ground

    def weighed(order_y: int, order_x: int) -> Tensor:
        return torch.einsum("...ij,...i,...j->...", square, along_y[order_y], along_x[order_x])

    square_bar = 2 * ((dx_bar[..., None] * along_y[0])[..., :, None] * along_x[1][..., None, :]
                      - (dy_bar[..., None] * along_y[1])[..., :, None] * along_x[0][..., None, :])
    mixed = weighed(1, 1)
    x_bar = 2 * (dx_bar * weighed(0, 2) - dy_bar * mixed)
    y_bar = 2 * (dx_bar * mixed - dy_bar * weighed(2, 0))
    return read_vjp(square_bar, planes, plane[..., None, None], rows, cols), x_bar, y_bar


def as_planes_vjp(values_bar: Tensor, planes: Planes) -> list[Tensor]:
    """Adjoint of laying octaves end to end: cut (B, n) into (B, S + 3, H, W) of each octave."""
    whole = planes._replace(values=values_bar)
    return [whole.levels(octave) for octave in range(len(planes.sizes))]
