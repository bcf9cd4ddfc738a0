"""Step 5 of 5: describe the neighbourhood of each keypoint by 4 × 4 × 8 numbers.   [Lowe §6; Anatomy Alg. 12]

    gradients in a rotated, Gaussian-weighted square → trilinear votes into 4 × 4 cells × 8 angles
        → ‖·‖ = 1 → clip at 0.2 → ‖·‖ = 1 → × 512

A pixel at (j, i) from the centre lies in the cell

    column  u + d/2 − ½,  u = (j·cos θ + i·sin θ)/3σ;   row  v + d/2 − ½,  v = (i·cos θ − j·sin θ)/3σ

and votes with |∇L|·exp(−(u² + v²) / 2(d/2)²).  Entry (row · 4 + column) · 8 + angle bin; cells and angles are
relative to θ, which is clockwise on the screen, and the angle bins run counter-clockwise, as in the hard twin.

Relaxed      [min(v, 0.2)] becomes a soft clip; the norm √Σv² becomes √(Σv² + ε²).  mode="smooth": the samples form
             a lattice that moves, turns and grows with the keypoint, so their cells never change, the gradient is
             read between pixels, and a vote is a cubic B-spline: C¹ in position, angle, scale and pixels.
Limit        τ = 0, ε = 0, mode="opencv": the hard twin's.  (`rounding` adds its whole numbers, straight through.)
Singular     no gradient: no vote (`polar`).  No votes at all: 0, with the derivative 1/ε; for ε = 0 the norm is taken
             as 1, which leaves that of the identity.
             mode="opencv" has cv2's kinks where a sample crosses the centre of a bin.
Held fixed   in mode "opencv" the pixel nearest to the keypoint: x and y have no derivative; in both the layer.

imports: learned, planes, polar, relax, softness, pysift.params
Hard twin  pysift/descriptor.py          Reads  orientation.py (step 4), scalespace.py (step 1)
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

from diffsift.learned import static
from diffsift.planes import Planes, as_planes
from diffsift.polar import polar
from diffsift.relax import bspline, round_through, soft_clip, soft_length
from diffsift.softness import Softness
from pysift.params import SIFTParams

_AT_ONCE = 16                       # keypoints whose arrays of pixels fit into a core's cache together
_SPACING = 0.3                      # cells between the points of the smooth lattice, at most


def describe_octave(levels: Tensor | Planes, layer: Tensor, x: Tensor, y: Tensor, sigma: Tensor, angle: Tensor,
                    params: SIFTParams = SIFTParams(), softness: Softness = Softness(), *,
                    mode: str = "opencv") -> Tensor:
    """Histogram the gradients about N keypoints.

    Parameters
    ----------
    levels : (B, S + 3, H, W), or Planes
    layer : (B, N) int64
    x, y, sigma : (B, N), pixels of the octave
    angle : (B, N), degrees, clockwise on the screen
    params : SIFTParams; reads n_cells, n_desc_bins, cell_width [σ], desc_sigma [width of the grid]
    softness : Softness; mode "smooth" reads cell_kernel, angle_kernel, length

    Returns
    -------
    (B, N, n_cells²·n_desc_bins), not normalised: see `normalise`

    Source: [Lowe §6.1].

    >>> ramp = torch.arange(64.0).repeat(1, 6, 64, 1)
    >>> where = torch.tensor([[1]]), *torch.tensor([[[32.0]], [[32]], [[2]], [[0]]])
    >>> d = describe_octave(ramp, *where).view(4, 4, 8)
    >>> d.shape, bool(d[..., 1:].any())                          # every gradient points along θ: bin 0
    (torch.Size([4, 4, 8]), False)
    """
    sample = {"opencv": _sample, "smooth": _sample_smoothly}[mode]
    return sample(as_planes(levels), layer, x, y, sigma, angle, params, softness)


def normalise(raw: Tensor, params: SIFTParams = SIFTParams(), softness: Softness = Softness()) -> Tensor:
    """Make histograms independent of contrast and robust to a few large gradients.

        u = raw/√(n² + ε²),  n = ‖raw‖;   s = soft_clip(u, 0.2);   out = s/√(‖s‖² + ε²/(n² + ε²))

    Parameters
    ----------
    raw : (…, D), non-negative
    params : SIFTParams; reads desc_clip, desc_scale and descriptor:
        "uint8"    512·out, at most 255; whole numbers only if softness.rounding
        "float32"  out
        "root"     √(out / Σout), its slope at 0 bounded by softness.root   [Arandjelović & Zisserman 2012, §2]
    softness : Softness; reads clip, norm, root, rounding

    Returns
    -------
    (…, D); a flat patch gives zeros

    Source: [Lowe §6.1].

    >>> v = normalise(torch.tensor([0.0, 3, 4] + 125 * [0]), SIFTParams(descriptor="float32"), Softness.hard())
    >>> v[:4]                                                    # both clipped, then equal
    tensor([0.0000, 0.7071, 0.7071, 0.0000])
    """
    square = (raw * raw).sum(-1, keepdim=True) + softness.norm ** 2
    empty = square <= 0
    square = torch.where(empty, 1.0, square)
    clipped = soft_clip(raw / torch.sqrt(square), params.desc_clip, softness.clip)
    second = (clipped * clipped).sum(-1, keepdim=True) + softness.norm ** 2 / square
    out = clipped / torch.sqrt(torch.where(empty, 1.0, second))
    if params.descriptor == "root":
        return _root(out, softness.root)
    if params.descriptor == "uint8":
        out = (out * params.desc_scale).clamp(max=255)
        return round_through(out) if softness.rounding else out
    return out


def _root(v: Tensor, floor: float) -> Tensor:
    """√(v/Σv + ε) − √ε; for ε = 0 the entries that are 0 have no derivative."""
    total = v.sum(-1, keepdim=True)
    share = v / torch.where(total > 0, total, 1.0) + floor
    return torch.where(share > 0, torch.sqrt(torch.where(share > 0, share, 1.0)) - math.sqrt(floor), 0.0)


def _sample(planes: Planes, layer: Tensor, x: Tensor, y: Tensor, sigma: Tensor, angle: Tensor, params: SIFTParams,
            softness: Softness) -> Tensor:
    """Whole pixels about the nearest pixel, as the hard twin; bins are hats, so votes are trilinear."""
    reach = square_reach(params)
    col, row = torch.round(x.detach()).long(), torch.round(y.detach()).long()
    square = planes.patches(layer, row, col, reach + 1)
    step = torch.arange(-reach, reach + 1, device=x.device)
    seen = planes.has_gradient(layer[..., None, None], row[..., None, None] + step[:, None],
                               col[..., None, None] + step)
    some = (column.split(_AT_ONCE, 1) for column in (square, seen, sigma, angle))
    return torch.cat([_votes(*part, params) for part in zip(*some)], 1)


def _votes(square: Tensor, seen: Tensor, sigma: Tensor, angle: Tensor, params: SIFTParams) -> Tensor:
    """Histograms of squares of pixels, (B, N, 2·reach + 3, 2·reach + 3); `seen` is one pixel narrower all round."""
    d, n, reach = params.n_cells, params.n_desc_bins, seen.shape[-1] // 2
    dx = square[..., 1:-1, 2:] - square[..., 1:-1, :-2]
    dy = square[..., :-2, 1:-1] - square[..., 2:, 1:-1]
    width = params.cell_width * sigma
    pixel, used = _inside(seen, width, angle, params)
    length, direction = polar(dx.flatten(2).gather(2, pixel), dy.flatten(2).gather(2, pixel))
    row = torch.div(pixel, 2 * reach + 1, rounding_mode="floor")
    col = pixel - row * (2 * reach + 1)
    u, v = (t.squeeze(2) for t in _turned((col - reach)[:, :, None], (row - reach)[:, :, None], width, angle))
    window = torch.exp(-(u * u + v * v) / (2 * (d * params.desc_sigma) ** 2))
    vote = torch.where(used, window * length, 0.0)
    return _trilinear(vote, v + (d - 1) / 2, u + (d - 1) / 2, direction + angle[..., None], d, n)


@torch.no_grad()
def _inside(seen: Tensor, width: Tensor, angle: Tensor, params: SIFTParams) -> tuple[Tensor, Tensor]:
    """The pixels of each square that vote, packed, and which of the places are taken: (B, N, M) each.

    Half of the square lies outside of the turned grid, and reckoning with it costs as much.  M is fixed: as the pixels'
    own squares lie within √½ px of the coarsest grid, they are at most (its side + √2)².
    """
    step = torch.arange(-(seen.shape[-1] // 2), seen.shape[-1] // 2 + 1, device=seen.device)
    u, v = _turned(step, step[:, None], width, angle)
    edge = (params.n_cells + 1) / 2
    inside = (seen & (u.abs() < edge) & (v.abs() < edge)).flatten(2)
    most = min(inside.shape[2], math.ceil((_grid_side(params) + math.sqrt(2)) ** 2))
    rank = inside.cumsum(2)
    place = torch.where(inside, rank - 1, most).clamp(max=most)                     # the last place is thrown away
    pixel = torch.arange(inside.shape[2], device=seen.device).expand_as(place)
    packed = torch.zeros_like(place[..., :1]).expand(*place.shape[:2], most + 1).scatter(2, place, pixel)
    return packed[..., :-1], torch.arange(most, device=seen.device) < rank[..., -1:]


def _trilinear(vote: Tensor, row: Tensor, col: Tensor, direction: Tensor, d: int, n: int) -> Tensor:
    """Share each vote (B, N, P) among its two nearest rows, columns and angle bins: (B, N, d²·n).

    The histogram has a cell of margin on every side, for shares that fall outside the grid.
    """
    row, col, turned = row.clamp(-1, d), col.clamp(-1, d), direction * (n / 360)        # further out: the margin
    lower = [torch.floor(place).detach() for place in (row, col, turned)]
    lower[:2] = (low.clamp(max=d - 1) for low in lower[:2])
    fractions = [place - low for place, low in zip((row, col, turned), lower)]
    histogram = vote.new_zeros(()).expand(*vote.shape[:2], (d + 2) ** 2 * n)
    cell = ((lower[0] + 1) * (d + 2) + (lower[1] + 1)) * n                          # whole numbers: floats are exact
    first_bin = torch.remainder(lower[2], n)
    bins = [(cell + bin_).long() for bin_ in (first_bin, torch.where(first_bin == n - 1, 0.0, first_bin + 1))]
    below = vote * fractions[0]
    for i, by_row in enumerate((vote - below, below)):
        right = by_row * fractions[1]
        for j, by_col in enumerate((by_row - right, right)):
            after = by_col * fractions[2]
            for bin_, share in zip(bins, (by_col - after, after)):
                histogram = histogram.scatter_add(2, bin_ + (i * (d + 2) + j) * n, share)
    return histogram.unflatten(2, (d + 2, d + 2, n))[:, :, 1:-1, 1:-1].flatten(2)


def _sample_smoothly(planes: Planes, layer: Tensor, x: Tensor, y: Tensor, sigma: Tensor, angle: Tensor,
                     params: SIFTParams, softness: Softness) -> Tensor:
    """A lattice in the keypoint's own frame: the cells of its points are constants, their gradients are not.

        h[r, c, b] = Σ_ij B((v_i − v_r)/w)·B((u_j − u_c)/w)·window_ij·m_ij·B((b_ij − b)/w')/w'
    """
    d, n = params.n_cells, params.n_desc_bins
    reach = (d - 1) / 2 + 2 * float(static(softness).cell_kernel)
    points = math.ceil(2 * reach / _SPACING)
    u = ((torch.arange(points, device=x.device, dtype=x.dtype) + 0.5) * 2 / points - 1) * reach
    width = params.cell_width * sigma
    j, i = _turned(width[..., None, None] * u, width[..., None, None] * u[:, None], torch.ones_like(width), -angle)
    dx, dy = planes.gradients(layer[..., None, None], x[..., None, None] + j, y[..., None, None] + i)
    length, direction = polar(dx, dy, exact=True)
    window = torch.exp(-(u * u + u[:, None] * u[:, None]) / (2 * (d * params.desc_sigma) ** 2))
    area = (width * (2 * reach / points))[..., None, None] ** 2
    vote = area * window * soft_length(length, softness.length)
    centres = torch.arange(d, device=x.device) - (d - 1) / 2
    cell = bspline((u[:, None] - centres) / softness.cell_kernel) / softness.cell_kernel    # (points, d)
    distance = _angle_distance(direction.flatten(2), angle[..., None], n)
    shares = bspline(distance / softness.angle_kernel) / softness.angle_kernel * vote.flatten(2)[..., None, :]
    grid = (cell[:, None, :, None] * cell[:, None, :]).view(points * points, d * d)         # shares of each cell
    return (shares @ grid).mT.flatten(2)


def _turned(j, i, width: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """(j·cos θ + i·sin θ, −j·sin θ + i·cos θ) / width: from the screen into the frame turned by θ."""
    theta = angle[..., None, None] * (math.pi / 180)
    cos, sin = torch.cos(theta) / width[..., None, None], torch.sin(theta) / width[..., None, None]
    return j * cos + i * sin, i * cos - j * sin


def _angle_distance(direction: Tensor, angle: Tensor, n: int) -> Tensor:
    """Distance in bins of each gradient from each of n bins, the shorter way round: (B, N, P) → (B, N, n, P).

    Directions are counter-clockwise with y up, the keypoint's angle clockwise: relative to it they add.
    """
    distance = ((direction + angle) * (n / 360))[..., None, :] - torch.arange(n, device=angle.device)[:, None]
    return distance - n * torch.round(distance / n).detach()


def square_reach(params: SIFTParams) -> int:
    """Half-width of the square that holds the turned grid of the coarsest keypoint: half the grid's diagonal."""
    return round(_grid_side(params) * math.sqrt(2) * 0.5)


def _grid_side(params: SIFTParams) -> float:
    """Pixels that the d + 1 cells of the coarsest keypoint, among which votes are shared, are wide."""
    fixed = static(params)
    coarsest = fixed.sigma * 2 ** ((fixed.n_octave_layers + fixed.accept_offset) / fixed.n_octave_layers)
    return fixed.cell_width * coarsest * (fixed.n_cells + 1)
