"""The difference of Gaussians and its derivatives at *any* point and *any* scale, between pixels and between levels.

A blur of a blur is a blur, so every difference of an octave can be read from its first level L₀ alone:

    D(p, s) = Σ_q (G_w(p − q) − G_v(p − q))·L₀(q),     v = σ² − σ₀²,  w = k²σ² − σ₀²,  σ = σ₀·2^(s/S),  k = 2^(1/S)

Nothing is interpolated: L₀ is blurred by 1.6 px already, G_v by at least 0.8 px for S = 3, so samples 1 px apart lose
little of either, and a scale is a number like any other.  (S = 5 brings that down to 0.6 px, and up to 5 % of ∇D near
layer ½ are lost.)  The derivatives are those of G: in x and y by Hermite's recursion, in scale by the
heat equation ∂G/∂v = ½ΔG.  All are linear in

    M[a, b] = ∂_y^a ∂_x^b (G_v ∗ L₀)(p),   a, b ≤ 4

imports: learned, planes, pysift.params          Source: Gaussian derivatives, the "local jet" [Florack et al. 1996]
"""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from diffsift.learned import static
from diffsift.planes import Planes
from pysift.params import SIFTParams

_REACH = 5.0                        # half-width of a window, in standard deviations of the widest Gaussian; with 4,
#                                     what is cut off costs 1.5 % of ∂σ/∂(true σ) at layer S + ½
MARGIN = 0.75                       # layers below 1 and above S at which D can still be read


class Jet(NamedTuple):
    """D/255 and its derivatives in x, y [1/px] and layer, at points (…)."""

    value: Tensor           # (…)
    gradient: Tensor        # (…, 3): D_x, D_y, D_s
    hessian: Tensor         # (…, 6): D_xx, D_yy, D_ss, D_xy, D_xs, D_ys


def window(planes: Planes, plane: Tensor, row: Tensor, col: Tensor, params: SIFTParams = SIFTParams()) -> Tensor:
    """(L₀ − L₀(c))/255 in the square about the pixels c = (col, row): (B, N) → (B, N, n, n).

    Mirrored at the border, … 2 1 | 0 1 2 …, as the blurs have it.  Taking off L₀(c) leaves exactly 0 of a flat patch.
    """
    plane, rows, cols = window_pixels(planes, plane, row, col, params)
    square = planes.read(plane[..., None, None], rows[..., :, None], cols[..., None, :])
    return (square - planes.read(plane, row, col)[..., None, None]) / 255


def window_pixels(planes: Planes, plane: Tensor, row: Tensor, col: Tensor,
                  params: SIFTParams) -> tuple[Tensor, Tensor, Tensor]:
    """The first plane of the octave (B, N), and the rows and columns of the window, (B, N, n) each."""
    reach = window_reach(params)
    step = torch.arange(-reach, reach + 1, device=row.device)
    return (plane - planes.within(plane), _mirrored(row[..., None] + step, planes.height[plane]),
            _mirrored(col[..., None] + step, planes.width[plane]))


def window_reach(params: SIFTParams) -> int:
    """Half-width of the window in pixels: that of the coarsest difference read, at layer S + ¾."""
    fixed = static(params)
    coarsest = fixed.sigma * 2 ** ((fixed.n_octave_layers + MARGIN + 1) / fixed.n_octave_layers)
    return math.ceil(_REACH * math.sqrt(coarsest ** 2 - fixed.sigma ** 2))


def jet(square: Tensor, layer: Tensor, offset: Tensor, params: SIFTParams = SIFTParams()) -> Jet:
    """D and its derivatives at offsets δ from the middle of each window.

    Parameters
    ----------
    square : (…, n, n), see `window`
    layer : (…), of the cell, counted within its octave
    offset : (…, 3), x, y [px of the octave] and layer; ¼ ≤ layer + δ_s ≤ S + ¾
    params : SIFTParams; reads n_octave_layers, sigma [px]

    >>> y, x = torch.meshgrid(*2 * [torch.arange(-24., 25)], indexing="ij")
    >>> blob = 100 * torch.exp(-((x - 0.3)**2 + y**2) / 18)                      # 0.3 px to the right
    >>> reach = window_reach(SIFTParams())
    >>> square = blob[24 - reach:25 + reach, 24 - reach:25 + reach]
    >>> jet(square, torch.tensor(2), torch.tensor([0.3, 0, 0])).gradient[:2].abs().max() < 1e-4
    tensor(True)
    """
    variance, speed = (torch.stack(both, -1) for both in zip(*variances(layer + offset[..., 2], params)))
    value, gradient, hessian = _of_table(table(square, variance, offset), speed, params)
    return Jet(*(both.select(axis, 1) - both.select(axis, 0)
                 for both, axis in ((value, -1), (gradient, -2), (hessian, -2))))


def variances(depth: Tensor, params: SIFTParams) -> list[tuple[Tensor, Tensor]]:
    """(v, ∂v/∂s) of the two Gaussians at a layer s = `depth`: [(v, κt), (w, κk²t)], t = σ², κ = 2·ln 2/S."""
    rate, start = 2 * math.log(2) / params.n_octave_layers, params.sigma * params.sigma
    squares = (start * torch.exp(rate * (depth + i)) for i in (0, 1))
    return [(square - start, rate * square) for square in squares]


def table(square: Tensor, variance: Tensor, offset: Tensor) -> Tensor:
    """M[a, b] = Σ_q G⁽ᵃ⁾(δ_y − q_y)·G⁽ᵇ⁾(δ_x − q_x)·square(q): (…, n, n), variances (…, g) → (…, g, 5, 5)."""
    along_x, along_y = (hermite(offset[..., i, None], variance, square.shape[-1]) for i in (0, 1))
    return torch.einsum("...ij,...gai,...gbj->...gab", square, along_y, along_x)


def hermite(place: Tensor, variance: Tensor, n: int) -> Tensor:
    """G and its derivatives 1 to 4 at u = place − q, for the n pixels q about 0: (…) → (…, 5, n).

        G(u) = exp(−u²/2v)/√(2πv),    G⁽ᵐ⁺¹⁾ = −(u·G⁽ᵐ⁾ + m·G⁽ᵐ⁻¹⁾)/v
    """
    u = place[..., None] - (torch.arange(n, device=place.device) - n // 2)
    v = variance[..., None]
    taps = [torch.exp(-u * u / (2 * v)) / torch.sqrt(2 * math.pi * v)]
    taps.append(-u * taps[0] / v)
    for m in (1, 2, 3):
        taps.append(-(u * taps[m] + m * taps[m - 1]) / v)
    return torch.stack(taps, -2)


def _of_table(m: Tensor, speed: Tensor, params: SIFTParams) -> Jet:
    """L = G_v ∗ L₀ and its derivatives, τ = ∂v/∂s:   L_s = ½τΔL,   L_ss = ½κτΔL + ¼τ²Δ²L,   ∂τ/∂s = κτ."""
    half, rate = speed / 2, 2 * math.log(2) / params.n_octave_layers

    def laplacian(a: int, b: int) -> Tensor:
        return m[..., a, b + 2] + m[..., a + 2, b]

    by_scale = half * laplacian(0, 0)
    twice = rate * by_scale + half * half * (laplacian(0, 2) + laplacian(2, 0))
    gradient = m[..., 0, 1], m[..., 1, 0], by_scale
    hessian = m[..., 0, 2], m[..., 2, 0], twice, m[..., 1, 1], half * laplacian(0, 1), half * laplacian(1, 0)
    return Jet(m[..., 0, 0], torch.stack(gradient, -1), torch.stack(hessian, -1))


def _mirrored(index: Tensor, n: Tensor) -> Tensor:
    """The pixel at each place of a line of n, mirrored at its ends as often as needed: (…, m), (…) → (…, m)."""
    last = n[..., None] - 1
    around = index % (2 * last).clamp(min=1)
    return torch.minimum(around, 2 * last - around)
