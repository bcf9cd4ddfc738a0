"""Adjoints of step 1, the scale space.  Every operation is linear in the image: x̄ = Aᵀȳ, singular nowhere.

imports: scalespace, pysift.params          Forward  diffsift/scalespace.py
"""
from __future__ import annotations

import torch
from torch import Tensor

from diffsift.scalespace import _kernels, gaussian_kernel
from pysift.params import SIFTParams


def upsample_vjp(out_bar: Tensor, params: SIFTParams = SIFTParams()) -> Tensor:
    """Adjoint of the doubling, axis by axis; e = ȳ[0::2], o = ȳ[1::2], the last pixel repeated outside.

        precise      x̄[i] = e[i] + ½ o[i] + ½ o[i−1],              x̄[n−1] += ½ o[n−1]
        half-pixel   x̄[i] = ¾ (e[i] + o[i]) + ¼ (e[i+1] + o[i−1]),  x̄[0] += ¼ e[0],  x̄[n−1] += ¼ o[n−1]
    """
    for axis in (2, 3):
        even, odd = out_bar.unflatten(axis, (-1, 2)).unbind(axis + 1)
        n = even.shape[axis]
        first, last = even.narrow(axis, 0, 1), odd.narrow(axis, n - 1, 1)
        nothing = torch.zeros_like(first)
        odd_before = torch.cat([nothing, odd.narrow(axis, 0, n - 1)], axis)
        at_last = torch.cat([nothing.expand_as(even).narrow(axis, 0, n - 1), last], axis)
        if params.precise_upscale:
            out_bar = even + 0.5 * (odd + odd_before + at_last)
        else:
            even_after = torch.cat([even.narrow(axis, 1, n - 1), nothing], axis)
            at_first = torch.cat([first, nothing.expand_as(even).narrow(axis, 1, n - 1)], axis)
            out_bar = 0.75 * (even + odd) + 0.25 * (even_after + odd_before + at_first + at_last)
    return out_bar


def downsample_vjp(out_bar: Tensor, height: int, width: int) -> Tensor:
    """Adjoint of y[i] = x[2i]:  x̄[2i] = ȳ[i], 0 elsewhere; (B, 1, ⌊H/2⌋, ⌊W/2⌋) → (B, 1, H, W)."""
    image_bar = out_bar.new_zeros((*out_bar.shape[:2], height, width))
    h, w = out_bar.shape[2:]
    image_bar[:, :, : 2 * h : 2, : 2 * w : 2] = out_bar
    return image_bar


def blur_vjp(out_bar: Tensor, kernel: Tensor) -> Tensor:
    """Adjoint of y = K P x, P the mirrored border, K the sum over the taps g:  x̄ = Pᵀ Kᵀ ȳ.

        z[i] = Σ_j g[j] ȳ[i − j]   over the n + 2r places that were read,     x̄[mirror(i)] += z[i]

    So K P is not symmetric near the border, though g is.  Columns first: the reverse of the forward order.
    """
    for axis in (2, 3):
        if out_bar.shape[axis] > 1:
            out_bar = _axis_vjp(out_bar, kernel, axis)
    return out_bar


def blur_kernel_vjp(out_bar: Tensor, image: Tensor, kernel: Tensor) -> Tensor:
    """Cotangent of the taps:  ḡ[j] = Σ_i ȳ[i]·(x[i + j] + x[i − j]) on each axis,  ḡ[0] = Σ_i ȳ[i]·x[i].

    The forward reads the right half of its symmetric kernel only, so ḡ[j] = 0 for j < 0.  An axis of one pixel is
    its own blur and adds nothing.
    """
    reach, (height, width) = len(kernel) // 2, image.shape[2:]
    kernel_bar = torch.zeros_like(kernel)
    rows = _axis(image, kernel, 3) if width > 1 else image
    columns_bar = _axis_vjp(out_bar, kernel, 2) if height > 1 else out_bar
    for axis, n, read, bar in ((2, height, rows, out_bar), (3, width, image, columns_bar)):
        if n == 1:
            continue
        mirrored = read.index_select(axis, _mirrored(n, reach, image.device))
        for j in range(len(kernel)):
            kernel_bar[reach + abs(j - reach)] += (bar * mirrored.narrow(axis, j, n)).sum()
    return kernel_bar


def gaussian_kernel_vjp(kernel_bar: Tensor, kernel: Tensor, sigma) -> Tensor:
    """σ̄ = Σ_j ḡ[j]·g[j]·(j² − ⟨j²⟩)/σ³,  ⟨j²⟩ = Σ_i g[i]·i²: the sum of the taps stays 1.

    The number of taps, a step function of σ, is held fixed.
    """
    j = torch.arange(len(kernel), dtype=kernel.dtype, device=kernel.device) - len(kernel) // 2
    return (kernel_bar * kernel * (j * j - (kernel * j * j).sum())).sum() / sigma ** 3


def dog_vjp(dog_bar: Tensor) -> Tensor:
    """Adjoint of D_s = L_{s+1} − L_s:  L̄_s = D̄_{s−1} − D̄_s, an inner level feeding two; (B, S + 2, …) → S + 3."""
    nothing = torch.zeros_like(dog_bar[:, :1])
    return torch.cat([nothing, dog_bar], 1) - torch.cat([dog_bar, nothing], 1)


def build_scalespace_vjp(levels_bar: list[Tensor], grey: Tensor, params: SIFTParams = SIFTParams()) -> Tensor:
    """Adjoint of all of step 1, octaves last to first: L̄ (B, S + 3, H, W) of each → grey, (B, 1, H, W).

        L̄_{i−1} += Kᵀ_i L̄_i  down the levels,      then  L̄_S of the octave below += decimationᵀ L̄_0

    Rounding to cv2's bits (`Softness.rounding`) passes straight through.
    """
    kernels = _kernels(grey, params)
    below: Tensor | None = None
    for octave_bar in reversed(levels_bar):
        own = list(octave_bar.split(1, 1))
        if below is not None:
            own[params.n_octave_layers] = own[params.n_octave_layers] + downsample_vjp(below, *octave_bar.shape[2:])
        below = own.pop()
        for level_bar, kernel in zip(reversed(own), reversed(kernels)):
            below = level_bar + blur_vjp(below, kernel)
    assert below is not None
    base = blur_vjp(below, gaussian_kernel(params.base_sigma(), params, like=grey))
    return upsample_vjp(base, params) if params.first_octave < 0 else base


def _axis(image: Tensor, kernel: Tensor, axis: int) -> Tensor:
    """K P along one axis."""
    n, reach = image.shape[axis], len(kernel) // 2
    mirrored = image.index_select(axis, _mirrored(n, reach, image.device))
    return sum(kernel[j] * mirrored.narrow(axis, j, n) for j in range(len(kernel)))


def _axis_vjp(out_bar: Tensor, kernel: Tensor, axis: int) -> Tensor:
    """Pᵀ Kᵀ along one axis."""
    n, reach = out_bar.shape[axis], len(kernel) // 2
    z = out_bar.new_zeros([n + 2 * reach if a == axis else side for a, side in enumerate(out_bar.shape)])
    for j in range(len(kernel)):
        z.narrow(axis, j, n).add_(kernel[j] * out_bar)
    return torch.zeros_like(out_bar).index_add(axis, _mirrored(n, reach, out_bar.device), z)


def _mirrored(n: int, reach: int, device) -> Tensor:
    """Pixel read at each of the places −reach … n − 1 + reach: … 2 1 | 0 1 2 …"""
    index = torch.arange(-reach, n + reach, device=device) % max(2 * n - 2, 1)
    return torch.minimum(index, 2 * n - 2 - index)
