"""Saliency: how much each pixel moves the logit, for a small move.

    gradient      ∂S_c / ∂x                                                        [Simonyan et al. 2014, §3]
    SmoothGrad    mean over n of ∂S_c/∂x at x + σ·noise                            [Smilkov et al. 2017, §2]
    integrated    (x − x₀) · ∫₀¹ ∂S_c/∂x at x₀ + t·(x − x₀) dt                     [Sundararajan et al. 2017, §3]
                  sums to S_c(x) − S_c(x₀)

    (B, C, H, W) of either  →  absolute value  →  maximum over channels  →  ÷ maximum of the image  →  (B, H, W)
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from cnn.explain.score import Target, answering, as_leaf, check_logits, classes, derivative, score


def saliency(model: nn.Module, images: Tensor, target: Target = None, *, smooth: int = 0, noise: float = 0.15,
             seed: int = 0) -> Tensor:
    """Return maps of |∂ logit / ∂ pixel|, the largest of each image being 1.

    Parameters
    ----------
    model : answers (B, classes) logits
    images : (B, C, H, W) floats, normalised as in training
    target : class, or one an image; None takes what the model answers
    smooth : noisy copies to average over; 0 takes the gradient at the image itself
    noise : standard deviation of the noise, as a share of each image's range
    seed : of the noise

    Returns
    -------
    (B, H, W) in [0, 1]

    Raises
    ------
    TypeError, ValueError : images, target or the model's answers do not fit: see `cnn.explain.score`.

    Examples
    --------
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    >>> net[1].weight.data = torch.tensor([[0.0, 1.0, -4.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    >>> saliency(net, torch.zeros(1, 1, 2, 2), target=0)
    tensor([[[0.0000, 0.2500],
             [1.0000, 0.5000]]])
    """
    gradient = (smooth_gradient(model, images, target, smooth, noise, seed) if smooth
                else input_gradient(model, images, target))
    return flattened(gradient)


def flattened(attribution: Tensor) -> Tensor:
    """(B, C, H, W) of any sign → (B, H, W) in [0, 1]: largest magnitude of the channels, over that of the image."""
    magnitude = attribution.abs().amax(1)
    most = magnitude.amax((1, 2), keepdim=True)
    return magnitude / torch.where(most > 0, most, torch.ones_like(most))


def input_gradient(model: nn.Module, images: Tensor, target: Target = None) -> Tensor:
    """∂ logit / ∂ images, with its sign: (B, C, H, W)."""
    with answering(model):
        images = as_leaf(images)
        return derivative(score(model, images, target), images)


def smooth_gradient(model: nn.Module, images: Tensor, target: Target = None, copies: int = 32, noise: float = 0.15,
                    seed: int = 0) -> Tensor:
    """Mean gradient of noisy copies, with its sign: (B, C, H, W).  The class is that of the image without noise.

    Raises
    ------
    ValueError : copies or noise out of range.
    """
    if copies < 1 or not 0 <= noise < float("inf"):
        raise ValueError(f"copies={copies}, noise={noise}: give at least 1 and 0, e.g. 32 and 0.15")
    images, generator = images.detach(), torch.Generator().manual_seed(seed)
    target = decided(model, images, target)
    spread = noise * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    total = torch.zeros_like(images)
    for _ in range(copies):
        draw = torch.randn(images.shape, generator=generator).to(images)
        total += input_gradient(model, images + spread * draw, target)
    return total / copies


def integrated_gradients(model: nn.Module, images: Tensor, target: Target = None, *, baseline: Tensor | float = 0.0,
                         steps: int = 64) -> Tensor:
    """Integrated gradients by the midpoint rule, with their sign: (B, C, H, W).

    Parameters
    ----------
    model, images, target : as for `saliency`
    baseline : image without information, of a shape that broadcasts; 0 is the mean colour of a normalised image
    steps : of the rule

    Raises
    ------
    ValueError : steps out of range.
    """
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1, e.g. 64")
    images = images.detach()
    target = decided(model, images, target)
    start = torch.as_tensor(baseline).to(images).expand_as(images)
    way, total = images - start, torch.zeros_like(images)
    for step in range(steps):
        total += input_gradient(model, start + (step + 0.5) / steps * way, target)
    return way * total / steps


def decided(model: nn.Module, images: Tensor, target: Target) -> Tensor:
    """The class that is explained, once and for all copies of an image: (B,)."""
    with answering(model), torch.no_grad():
        logits = model(as_leaf(images))
        check_logits(logits)
        return classes(logits, target)
