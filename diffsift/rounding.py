"""cv2's blur to the last bit of float32, in torch: for values only, it has no derivative.

Refined positions of weak keypoints move by up to 10⁻³ px with the last bits of the levels.  To show that the soft
pipeline *is* cv2's in the limit, each level can be given cv2's value and the derivative of the plain sum
(`Softness.rounding`).  A fused multiply–add rounds once: it is done in float64 and then rounded to float32, which
differs from the real one about once in 2²⁹ times.

imports: torch only          Facts  docs/deviations.md, 8
"""
from __future__ import annotations

import torch
from torch import Tensor


def blurred_rows(mirrored: Tensor, kernel: Tensor) -> Tensor:
    """Σ_j g[j]·row[x + j], j ascending, fused but for the last W mod 4 columns: (…, W + 2n) → (…, W) float32.

    There the products are rounded, except the last 2n mod 4.  Holds for n ≥ 3, as all of SIFT's kernels have.
    """
    n, source, taps = len(kernel) // 2, mirrored.float().double(), kernel.float().double()
    width = mirrored.shape[-1] - 2 * n
    body = width - width % 4
    fused = torch.arange(width, device=mirrored.device) < body
    total = (source[..., :width] * taps[0]).float()
    for j in range(1, 2 * n + 1):
        product = source[..., j:j + width] * taps[j]
        if j <= 2 * n - 2 * n % 4 and body < width:
            product = torch.where(fused, product, product.float().double())
        total = (product + total).float()
    return total


def blurred_columns(mirrored: Tensor, kernel: Tensor) -> Tensor:
    """g[n]·row_n + Σ_j g[n + j]·(row_{n+j} + row_{n−j}), fused but for the last W mod 8 columns: (…, H + 2n, W)."""
    n, source, taps = len(kernel) // 2, mirrored.float(), kernel.float().double()
    height, width = mirrored.shape[-2] - 2 * n, mirrored.shape[-1]
    fused = torch.arange(width, device=mirrored.device) < width - width % 8
    total = (source[..., n:n + height, :].double() * taps[n]).float()
    for j in range(1, n + 1):
        pair = source[..., n + j:n + j + height, :] + source[..., n - j:n - j + height, :]
        product = pair.double() * taps[n + j]
        if width % 8:
            product = torch.where(fused, product, product.float().double())
        total = (product + total).float()
    return total


def with_value(value: Tensor, derivative_of: Tensor) -> Tensor:
    """Return `value`, exactly, with the derivative of another tensor of nearly the same value."""
    return value.to(derivative_of.dtype) + (derivative_of - derivative_of.detach())
