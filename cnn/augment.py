"""Augmentation of a batch in [0, 1], drawn from torch's global generator, so that a seeded step is repeatable.

    digits    turn, zoom, slant, shift and bend   [Simard, Steinkraus, Platt 2003, for the bending]
    flips     mirrored half of the time
    photos    four pixels of mirrored border, a random crop, a flip half of the time   [He et al. 2016 §4.2, who pad
              with zeros]
    erasing   the same, with a square of grey, a quarter of the side, somewhere on it  [DeVries, Taylor 2017]
    erasing-half   the same with half the side, their choice for CIFAR-10

What is drawn is drawn on the CPU, wherever the batch lies, so that a seed means the same on every device.
"""
from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

_TURN, _ZOOM, _SLANT, _SHIFT = math.radians(10), 0.1, 0.1, 1.5      # ± rad, ±, ±, ± px
_BEND, _SMOOTH = 1.0, 3                                              # px of root mean square, knots across the image
_BORDER = 4                                                          # px


def digits(images: Tensor) -> Tensor:
    """Distort handwriting (N, C, H, W); what comes from outside is 0, the paper."""
    n, _, height, width = images.shape
    turn, zoom, slant = ((torch.rand(n) * 2 - 1) * limit for limit in (_TURN, _ZOOM, _SLANT))
    shift = (torch.rand(n, 2) * 2 - 1) * _SHIFT * 2 / torch.tensor([width, height])
    cos, sin = torch.cos(turn) / (1 + zoom), torch.sin(turn) / (1 + zoom)
    matrix = torch.stack([torch.stack([cos, -sin + slant, shift[:, 0]], 1),
                          torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    grid = (grid + _bending(n, height, width)).to(images.device)
    return F.grid_sample(images, grid, align_corners=False)


def _bending(n: int, height: int, width: int) -> Tensor:
    """Return a smooth random displacement (N, H, W, 2) in units of `grid_sample`: 2 is the whole width."""
    knots = torch.randn(n, 2, _SMOOTH, _SMOOTH) * _BEND
    field = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1) * 2 / torch.tensor([width, height])


def photos(images: Tensor) -> Tensor:
    """Crop and flip photographs (N, C, H, W)."""
    n, _, height, width = images.shape
    padded = F.pad(images, [_BORDER] * 4, mode="reflect")
    top, left = torch.randint(0, 2 * _BORDER + 1, (2, n, 1, 1))
    rows, columns = top + torch.arange(height).view(1, -1, 1), left + torch.arange(width).view(1, 1, -1)
    columns = torch.where(torch.rand(n, 1, 1) < 0.5, columns.flip(2), columns)
    which, rows, columns = (index.to(images.device) for index in (torch.arange(n).view(-1, 1, 1), rows, columns))
    return padded.permute(0, 2, 3, 1)[which, rows, columns].permute(0, 3, 1, 2)


def flips(images: Tensor) -> Tensor:
    """Mirror half of the images (N, C, H, W)."""
    mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(mirrored.to(images.device), images.flip(3), images)


def erasing(images: Tensor, part: float = 1 / 4) -> Tensor:
    """Crop and flip photographs (N, C, H, W), then cover a square of each, its centre anywhere, with middle grey.

    The square's side is a `part` of the image's.
    """
    n, _, height, width = images.shape
    away = [(torch.arange(side) + 0.5 - torch.rand(n, 1) * side).abs() < side * part / 2 for side in (height, width)]
    covered = away[0][:, None, :, None] & away[1][:, None, None, :]
    return torch.where(covered.to(images.device), 0.5, photos(images))


def broken(images: Tensor) -> Tensor:
    """Make digits (N, C, H, W), H and W even, into what is none: each with its quarters shuffled, or on top of others.

    Half of them have their quarters in a cyclic order; the others are the brightest of the image, one that is
    mirrored and, for every second, one that is transposed.
    """
    n, _, height, width = images.shape
    top, bottom = images[:, :, :height // 2], images[:, :, height // 2:]
    left, right = slice(0, width // 2), slice(width // 2, width)
    turns = torch.randint(2, (n, 1, 1, 1)) == 0              # a quarter on, or a quarter back
    on = torch.cat([torch.cat([bottom[..., left], top[..., left]], 3),
                    torch.cat([bottom[..., right], top[..., right]], 3)], 2)
    back = torch.cat([torch.cat([top[..., right], bottom[..., right]], 3),
                      torch.cat([top[..., left], bottom[..., left]], 3)], 2)
    mirrored, transposed = images[torch.randperm(n)].flip(3), images[torch.randperm(n)].transpose(2, 3)
    third, pile = torch.rand(n, 1, 1, 1) < 0.5, torch.rand(n, 1, 1, 1) < 0.5
    turns, third, pile = (which.to(images.device) for which in (turns, third, pile))
    piled = torch.maximum(torch.maximum(images, mirrored), torch.where(third, transposed, images))
    return torch.where(pile, torch.where(turns, on, back), piled)


def none(images: Tensor) -> Tensor:
    """Leave a batch as it is."""
    return images


AUGMENTATIONS = {"none": none, "digits": digits, "flips": flips, "photos": photos, "erasing": erasing,
                 "erasing-half": partial(erasing, part=1 / 2)}
