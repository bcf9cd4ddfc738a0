"""Reading pixels of many levels at once.

K keypoints lie in different octaves, layers and places, yet every tensor must have a fixed shape.  So all levels
of all octaves lie end to end in one flat tensor, and a pixel is one number: where its plane starts, plus
row · width + column.  One gather serves all keypoints, and its derivative adds each cotangent to the pixel it
came from.  `grid_sample` would do less: it has no forward-mode derivative.

    plane   octave · (S + 3) + layer: for a single octave a plane is a layer

imports: relax
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from diffsift.relax import bspline, bspline_slope


class Planes(NamedTuple):
    """Every level of B images, end to end."""

    values: Tensor          # (B, n) grey levels
    start: Tensor           # (P,) int64, where plane p begins
    height: Tensor          # (P,) int64, pixels
    width: Tensor           # (P,) int64, pixels
    per_octave: int         # S + 3
    sizes: tuple[tuple[int, int], ...]      # height and width of each octave

    def levels(self, octave: int) -> Tensor:
        """(B, S + 3, H, W) of one octave, counted from the finest; a view."""
        height, width = self.sizes[octave]
        before = sum(h * w for h, w in self.sizes[:octave]) * self.per_octave
        flat = self.values.narrow(1, before, self.per_octave * height * width)
        return flat.unflatten(1, (self.per_octave, height, width))

    def within(self, plane: Tensor) -> Tensor:
        """Layer of each plane within its octave."""
        return plane % self.per_octave

    def index(self, plane: Tensor, row: Tensor, col: Tensor) -> Tensor:
        """Which of the n values a pixel is; shapes broadcast."""
        return self.start[plane] + row * self.width[plane] + col

    def has_gradient(self, plane: Tensor, row: Tensor, col: Tensor) -> Tensor:
        """Whether pixels have all four neighbours; shapes broadcast."""
        return (row >= 1) & (row <= self.height[plane] - 2) & (col >= 1) & (col <= self.width[plane] - 2)

    def read(self, plane: Tensor, row: Tensor, col: Tensor) -> Tensor:
        """Values at whole pixels, whose shapes (B, …) broadcast; a pixel outside is the nearest inside."""
        height, width = self.height[plane], self.width[plane]
        row = torch.minimum(row.clamp(min=0), height - 1)
        col = torch.minimum(col.clamp(min=0), width - 1)
        index = self.index(plane, row, col)
        return torch.gather(self.values, 1, index.flatten(1)).view(index.shape)

    def patches(self, plane: Tensor, row: Tensor, col: Tensor, reach: int) -> Tensor:
        """Squares of 2·reach + 1 pixels about (col, row): (B, N) → (B, N, 2·reach + 1, 2·reach + 1)."""
        step = torch.arange(-reach, reach + 1, device=row.device)
        return self.read(plane[..., None, None], row[..., None, None] + step[:, None], col[..., None, None] + step)

    def cubes(self, plane: Tensor, row: Tensor, col: Tensor) -> Tensor:
        """Differences of Gaussians about pixels: (B, N) → (B, N, 3, 3, 3), axes layer, y, x; grey levels.

        D_i = L_{i+1} − L_i, so a cube reads the levels from one below its plane to two above.
        """
        levels = torch.arange(-1, 3, device=row.device)[:, None, None]
        step = torch.arange(-1, 2, device=row.device)
        plane, row, col = (v[..., None, None, None] for v in (plane, row, col))
        four = self.read(plane + levels, row + step[:, None], col + step)
        return four[..., 1:, :, :] - four[..., :-1, :, :]

    def gradients(self, plane: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Twice the gradient of L at any point, (B, …) each: dx to the right, dy *up* as in cv2.

            L(x, y) = Σ_ij β(x − j)·β(y − i)·L[i, j],   β the cubic B-spline over 4 × 4 pixels

        So the gradient is C¹ in x and y.  As L is smoothed by β, of variance ⅓, it resolves what cv2's central
        difference L[x + 1] − L[x − 1] does, which is the derivative after a box of variance ⅓.
        """
        left, top = torch.floor(x).detach() - 1, torch.floor(y).detach() - 1
        right, down = (torch.arange(4, device=x.device).view(-1, *shape) for shape in ((1,) * (x.dim() - 1),
                                                                                      (1,) * x.dim()))
        square = self.read(plane[:, None, None], top.long()[:, None, None] + down,
                           left.long()[:, None, None] + right)                                     # (B, 4, 4, …)
        square = square - square[:, 1:2, 1:2].detach()              # the slopes sum to 0: flat stays exactly flat
        along_x, along_y = (x - left)[:, None] - right, (y - top)[:, None] - right                 # (B, 4, …)
        dx = ((square * bspline_slope(along_x)[:, None]).sum(2) * bspline(along_y)).sum(1)
        dy = ((square * bspline(along_x)[:, None]).sum(2) * bspline_slope(along_y)).sum(1)
        return 2 * dx, -2 * dy


def as_planes(levels: Tensor | Planes | list[Tensor]) -> Planes:
    """Lay the levels (B, S + 3, H, W) of one octave, or of each octave of a list, end to end.

    >>> as_planes([torch.zeros(1, 6, 20, 30), torch.zeros(1, 6, 10, 15)]).values.shape
    torch.Size([1, 4500])
    """
    if isinstance(levels, Planes):
        return levels
    octaves = [levels] if isinstance(levels, Tensor) else levels
    per_octave, sizes = octaves[0].shape[1], tuple(tuple(octave.shape[2:]) for octave in octaves)
    height, width = zip(*(size for size in sizes for _ in range(per_octave)))
    start = [0]
    for h, w in zip(height, width):
        start.append(start[-1] + h * w)
    tables = (torch.tensor(table, device=octaves[0].device) for table in (start[:-1], height, width))
    return Planes(torch.cat([octave.flatten(1) for octave in octaves], 1), *tables, per_octave, sizes)
