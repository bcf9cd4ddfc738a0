"""Insertion and deletion: does what the map points at carry the answer?

    deletion     the most salient pixels are replaced first: the probability of the class should fall at once
    insertion    they are put first into a blurred image: it should rise at once         [Petsiuk et al. 2018, §3.2]

Measured by the area under the curve of the probability over the share of pixels, and beside a random order.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn.explain.score import answering


def deletion(model: nn.Module, images: Tensor, target: Tensor, maps: Tensor, *, steps: int = 32) -> Tensor:
    """Probability of the class while pixels give way to the mean colour (0), the most salient first.

    Parameters
    ----------
    model : answers (B, classes) logits
    images : (B, C, H, W) floats, normalised so that 0 is the mean colour
    target : (B,) classes
    maps : (B, H, W); only the order of its values counts
    steps : in which all pixels are replaced

    Returns
    -------
    (B, steps + 1), of the whole image first
    """
    return _curve(model, images, torch.zeros_like(images), target, maps, steps)


def insertion(model: nn.Module, images: Tensor, target: Tensor, maps: Tensor, *, steps: int = 32,
              sigma: float | None = None) -> Tensor:
    """Probability of the class while pixels are put into a blurred image, the most salient first: (B, steps + 1).

    Parameters
    ----------
    model, images, target, maps, steps : as for `deletion`
    sigma : of the Gaussian blur, in pixels; None takes 1/20 of the width
    """
    blurred = blur(images, images.shape[3] / 20 if sigma is None else sigma)
    return _curve(model, blurred, images, target, maps, steps)


def area(curve: Tensor) -> Tensor:
    """Area under curves over [0, 1], by trapezia: (…, steps + 1) → (…).

    >>> area(torch.tensor([1.0, 0.5, 0.0]))
    tensor(0.5000)
    """
    return torch.trapezoid(curve, dx=1 / (curve.shape[-1] - 1), dim=-1)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of a standard deviation in pixels; the rim is reflected."""
    radius = min(int(3 * sigma + 0.5), images.shape[2] - 1, images.shape[3] - 1)
    if radius < 1:
        return images
    x = torch.arange(-radius, radius + 1).to(images)
    kernel = torch.exp(-x.square() / (2 * sigma ** 2))
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, -1)
    padded = F.pad(images, [radius] * 4, mode="reflect")
    rows = F.conv2d(padded, kernel[..., None, :], groups=images.shape[1])
    return F.conv2d(rows, kernel[..., None], groups=images.shape[1])


def _curve(model: nn.Module, start: Tensor, end: Tensor, target: Tensor, maps: Tensor, steps: int) -> Tensor:
    """Probability of the class while pixels of `start` become those of `end`, in descending order of the map."""
    if maps.shape != (len(start), *start.shape[2:]):
        raise ValueError(f"maps has the shape {tuple(maps.shape)} for images of {tuple(start.shape)}: give (B, H, W)")
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(order.shape[1]).to(order).expand_as(order))
    rank, probabilities = rank.reshape(maps.shape)[:, None], []
    with answering(model), torch.no_grad():
        for step in range(steps + 1):
            mixed = torch.where(rank < round(step / steps * order.shape[1]), end, start)
            probabilities.append(model(mixed).softmax(1).gather(1, target[:, None])[:, 0])
    return torch.stack(probabilities, 1)
