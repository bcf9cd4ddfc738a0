"""What the tests of diffsift share: images as tensors, whole Jacobians, and one thread for torch.

On a busy machine two threads of torch wait for one another at every operation, a hundred times the work itself.

imports: strategies (photographs)
"""
from __future__ import annotations

import numpy as np
import torch

from strategies import photo

torch.set_num_threads(1)
STEP = 1e-7                         # of finite differences in float64: truncation and rounding both near 10⁻⁷


def tensor(grey_levels, dtype=torch.float64):
    """Turn grey levels 0 … 255 (H, W) into images (1, 1, H, W) in [0, 1]."""
    return torch.from_numpy(np.asarray(grey_levels, float)).to(dtype)[None, None] / 255


def dithered(name, top, left, height, width, seed=0):
    """Cut a piece out of a photograph and add ± ½ grey level of noise, so that no two pixels tie."""
    piece = photo(name)[top:top + height, left:left + width].astype(float)
    return tensor(piece + np.random.default_rng(seed).uniform(-0.5, 0.5, piece.shape))


def photograph(name):
    """A photograph of scikit-image, colours made grey: (H, W) uint8."""
    from skimage import data

    from pysift.image import to_gray
    return to_gray(getattr(data, name)())


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def central_difference(function, x, direction, step=STEP):
    """Derivatives of every output of `function` at x along `direction`, by central differences."""
    return [(a - b) / (2 * step) for a, b in zip(function(x + step * direction), function(x - step * direction))]


def gradient_norms(outputs, x):
    """Norm of the gradient of each entry of a (n,) tensor with respect to x, (n,)."""
    return torch.stack([torch.autograd.grad(out, x, retain_graph=True)[0].norm() for out in outputs])
