"""Step 1 of 5: the Gaussian scale space and its differences.          [Lowe §3; Anatomy Alg. 1–2]

    grey image → doubled → blurred to σ₀ → S + 2 further blurs → differences D
                             ↑                      │
                             └── every 2nd pixel ←──┘   next octave starts from level S

Relaxed      nothing: every operation is linear in the image, and smooth in σ₀.
Limit        it is its own: equal to the hard twin but for the rounding of float32 or float64.
Singular     where σ₀ is so small that less than 0.1 px of blur is missing, 0.1 px is added: no derivative in σ₀.
Held fixed   the half-width of each kernel, a step function of σ₀: that of the parameters one starts from.

imports: learned, rounding, softness, pysift.params          Hard twin  pysift/scalespace.py
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from diffsift.learned import static
from diffsift.rounding import blurred_columns, blurred_rows, with_value
from diffsift.softness import Softness
from pysift.params import SIFTParams

_BLOCK = 32                         # pixels; 64 costs a third more, as most of the band is 0


@dataclass(frozen=True, eq=False)
class Octave:
    """One octave of the scale space; its pixel is 2^index input pixels wide."""

    index: int              # −1 for the doubled image
    levels: Tensor          # L (B, S + 3, H, W), grey levels 0 … 255

    @property
    def dog(self) -> Tensor:
        """D (B, S + 2, H, W), L[1:] − L[:-1]."""
        return self.levels[:, 1:] - self.levels[:, :-1]


def build_scalespace(grey: Tensor, params: SIFTParams = SIFTParams(), softness: Softness = Softness(), *,
                     least_side: int = 1) -> list[Octave]:
    """Build every octave of B images.

    Parameters
    ----------
    grey : (B, 1, H, W) float32 or float64, grey levels 0 … 255
    params : SIFTParams; reads sigma, n_octave_layers, first_octave, kernel_reach and those of `base_image`
    softness : Softness; reads rounding
    least_side : octaves with a side shorter than this are left out

    Returns
    -------
    list of Octave, finest first; empty where the image is too small for one.

    Source: [Lowe §3.3]; the octave count and the decimation are cv2's (docs/deviations.md, 2).

    >>> [tuple(octave.levels.shape) for octave in build_scalespace(torch.zeros(1, 1, 20, 30))]
    [(1, 6, 40, 60), (1, 6, 20, 30), (1, 6, 10, 15), (1, 6, 5, 7)]
    """
    octaves: list[Octave] = []
    kernels = _kernels(grey, params)
    first, side = params.first_octave, min(grey.shape[2:])
    for o in range(static(params).n_octaves(*grey.shape[2:])):
        if int(side * 2 ** -first) >> o < least_side:
            break
        level = downsample(octaves[-1].levels[:, params.n_octave_layers, None]) if o else (
            base_image(grey, params, softness))
        levels = [level]
        for kernel in kernels:
            levels.append(blur(levels[-1], kernel, rounded=softness.rounding))
        octaves.append(Octave(first + o, torch.cat(levels, 1)))
    return octaves


def _kernels(grey: Tensor, params: SIFTParams) -> list[Tensor]:
    """Kernels that take level i − 1 to level i:  σ_i = σ₀·k^(i−1)·√(k² − 1),  k = 2^(1/S)."""
    k = 2.0 ** (1.0 / params.n_octave_layers)
    shares = [k ** (i - 1) * math.sqrt(k * k - 1) for i in range(1, params.n_levels)]
    return [gaussian_kernel(params.sigma * share, params, like=grey, length=static(params).sigma * share)
            for share in shares]


def base_image(grey: Tensor, params: SIFTParams = SIFTParams(), softness: Softness = Softness()) -> Tensor:
    """Level 0 of the first octave: the image, doubled if first_octave is −1, blurred to σ₀.

    >>> base_image(torch.zeros(1, 1, 20, 30)).shape
    torch.Size([1, 1, 40, 60])
    """
    image = upsample(grey, params) if params.first_octave < 0 else grey
    sigma = _base_sigma(params)
    kernel = gaussian_kernel(sigma, params, like=grey, length=static(params).base_sigma())
    return blur(image, kernel, rounded=softness.rounding)


def _base_sigma(params: SIFTParams):
    """√(σ₀² − σ_carried²), at least 0.1 px."""
    if not isinstance(params.sigma, Tensor):
        return params.base_sigma()
    carried = params.sigma_in * 2.0 ** -params.first_octave
    return (params.sigma * params.sigma - carried * carried).clamp(min=0.01).sqrt()


def gaussian_kernel(sigma, params: SIFTParams = SIFTParams(), *, like: Tensor | None = None,
                    length: float | None = None) -> Tensor:
    """Sampled Gaussian of odd length that sums to 1.

        g[j] = exp(−j² / 2σ²) / Σ,      ∂g[j]/∂σ = g[j]·(j² − Σ_i g[i]·i²) / σ³

    Parameters
    ----------
    sigma : number or 0-dimensional tensor [px]
    like : tensor whose dtype and device it takes; float64 on the CPU without one
    length : the σ that fixes the number of taps, round(2·reach·σ + 1) | 1; by default `sigma`, then a number

    >>> gaussian_kernel(1.6).shape
    torch.Size([15])
    """
    size = round((sigma if length is None else length) * params.kernel_reach * 2 + 1) | 1
    dtype, device = (torch.float64, None) if like is None else (like.dtype, like.device)
    j = torch.arange(size, device=device, dtype=torch.float64) - size // 2
    taps = torch.exp(-0.5 * j * j / (sigma * sigma))
    return (taps / taps.sum()).to(dtype)


def upsample(image: Tensor, params: SIFTParams = SIFTParams()) -> Tensor:
    """Double images by linear interpolation, (B, 1, H, W) → (B, 1, 2H, 2W).

    Precise:     even 2i ← s[i],                        odd 2i + 1 ← (s[i] + s[i+1]) / 2
    cv2's own:   even 2i ← s[i−1]/4 + 3·s[i]/4,         odd 2i + 1 ← 3·s[i]/4 + s[i+1]/4

    with the last pixel repeated outside; see the hard twin.

    >>> upsample(torch.tensor([[[[0.0, 4.0]]]]))[0, 0, 0]
    tensor([0., 2., 4., 4.])
    """
    for axis in (3, 2):
        n = image.shape[axis]
        before = torch.cat([image.narrow(axis, 0, 1), image.narrow(axis, 0, n - 1)], axis)
        after = torch.cat([image.narrow(axis, 1, n - 1), image.narrow(axis, n - 1, 1)], axis)
        if params.precise_upscale:
            even, odd = image, (image + after) * 0.5
        else:
            even, odd = before * 0.25 + image * 0.75, image * 0.75 + after * 0.25
        image = torch.stack([even, odd], axis + 1).flatten(axis, axis + 1)
    return image


def downsample(image: Tensor) -> Tensor:
    """Keep every second pixel, starting with the first: (B, 1, H, W) → (B, 1, ⌊H/2⌋, ⌊W/2⌋).

    >>> downsample(torch.arange(5.0).repeat(1, 1, 3, 1))
    tensor([[[[0., 2.]]]])
    """
    h, w = image.shape[2] // 2, image.shape[3] // 2
    return image[:, :, : 2 * h : 2, : 2 * w : 2]


def blur(image: Tensor, kernel: Tensor, *, rounded: bool = False) -> Tensor:
    """Convolve rows, then columns, with a symmetric kernel; the border is mirrored, … 2 1 | 0 1 2 …

    Linear, but not self-adjoint: a pixel near the border is read more than once, so what flows back to it is a
    sum over its mirror images.

    Parameters
    ----------
    image : (B, 1, H, W)
    kernel : (2n + 1,), symmetric
    rounded : take cv2's value, rounded to float32 as it does, with the derivative of the plain sum

    >>> blur(torch.tensor([[[[0.0, 0, 4, 0, 0]]]]), torch.tensor([0.25, 0.5, 0.25]))
    tensor([[[[0., 1., 2., 1., 0.]]]])
    """
    for axis in (3, 2):
        if image.shape[axis] == 1:                              # a single pixel is its own blur
            continue
        mirrored = _mirror(image, axis, len(kernel) // 2)
        image = _slid_along(mirrored, kernel, axis)
        if rounded:
            exact = blurred_rows if axis == 3 else blurred_columns
            image = with_value(exact(mirrored.detach(), kernel.detach()), image)
    return image


def _slid_along(image: Tensor, kernel: Tensor, axis: int) -> Tensor:
    """y[i] = Σ_j g[j]·x[i + j] along axis 2 or 3, m taps, n + m − 1 pixels to n, by products with a band matrix.

        y_b = T·x_b + T'·x_{b+1},   T[i, j] = g[j − i],   T'[i, j] = g[j + block − i],   x_b the b-th block of pixels

    The first pixel is taken off before and put back after: products round each pixel of a block in another order, and
    flat must stay exactly flat.

    Two products instead of m sums keep the graph small, and the derivative is products again.  Of x_{b+1} the first
    m − 1 pixels are enough.  As g is symmetric, only its second half is read, which takes all of the derivative.

    >>> _slid_along(torch.tensor([[[[1.0, 2, 3, 4]]]]), torch.tensor([1.0, 0, 1]), 3)
    tensor([[[[4., 6.]]]])
    """
    m, size = len(kernel), image.shape[axis]
    n, block = size - m + 1, max(_BLOCK, m - 1)
    count = -(-n // block)
    missing = (count + 1) * block - size
    ground = image[..., :1, :1].detach()
    image = image - ground
    blocks = pad(image, (0, missing) if axis == 3 else (0, 0, 0, missing)).unflatten(axis, (count + 1, block))
    tap = torch.arange(block + m - 1, device=image.device) - torch.arange(block, device=image.device)[:, None]
    from_middle = (tap - m // 2).abs()
    band = torch.where(from_middle <= m // 2, kernel[m // 2 + from_middle.clamp(max=m // 2)], 0)
    own, shared = band[:, :block], band[:, block:]
    if axis == 3:
        y = blocks[:, :, :, :-1] @ own.mT + blocks[:, :, :, 1:, :m - 1] @ shared.mT
    else:
        y = own @ blocks[:, :, :-1] + shared @ blocks[:, :, 1:, :m - 1]
    return y.flatten(axis, axis + 1).narrow(axis, 0, n) + ground * band[0].sum()


def _mirror(image: Tensor, axis: int, reach: int) -> Tensor:
    n = image.shape[axis]
    if reach < n:
        return pad(image, (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach), mode="reflect")
    index = torch.arange(-reach, n + reach, device=image.device) % (2 * n - 2)
    return image.index_select(axis, torch.minimum(index, 2 * n - 2 - index))
