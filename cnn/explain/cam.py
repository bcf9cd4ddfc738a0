"""Grad-CAM: where in the image the channels of a layer speak for a class.

    A (B, K, h, w) output of the layer        α_k = mean over h, w of ∂S_c / ∂A_k
    L = Σ_k α_k A_k                           ReLU(L)  →  H × W, bilinear  →  [0, 1]      [Selvaraju et al. 2017, §3]

The hook keeps the layer's output and hands a copy on, so a ReLU in place behind it changes the copy; nothing of it
stays on the model.  A module that is called several times counts with its last call.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn.explain.score import Target, answering, as_leaf, derivative, score


def gradcam(model: nn.Module, images: Tensor, target: Target = None, layer: str | nn.Module | None = None) -> Tensor:
    """Return Grad-CAM maps of the size of the images.

    Parameters
    ----------
    model : answers (B, classes) logits
    images : (B, C, H, W) floats, normalised as in training
    target : class, or one an image; None takes what the model answers
    layer : dotted name of a module, or the module; None takes the model's `cam_layer`, or the last whose output is a
        map of more than one pixel

    Returns
    -------
    (B, H, W) from 0 to 1; 0 throughout where no channel speaks for the class, or all places do so alike

    Raises
    ------
    TypeError, ValueError : images, target or the model's answers do not fit: see `cnn.explain.score`; the layer is
        unknown, is not called, or its output is no map.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> gradcam(net, torch.rand(5, 1, 8, 8), target=1, layer="1").shape
    torch.Size([5, 8, 8])
    """
    coarse = weighted_map(model, images, target, layer).clamp(min=0)
    fine = F.interpolate(coarse[:, None], images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    least, most = fine.amin((1, 2), keepdim=True), fine.amax((1, 2), keepdim=True)
    return (fine - least) / torch.where(most > least, most - least, torch.ones_like(most))


def weighted_map(model: nn.Module, images: Tensor, target: Target = None,
                 layer: str | nn.Module | None = None) -> Tensor:
    """Σ_k α_k A_k as it is: of the layer's size, with its sign, in units of the logit: (B, h, w)."""
    with answering(model):
        images = as_leaf(images)
        name, module = find_layer(model, images, layer)
        with outputs(module) as seen:
            total = score(model, images, target)
        if not seen:
            raise ValueError(f"layer {name!r} is not called by the model's forward: name another")
        activation = seen[-1]
        if not isinstance(activation, Tensor) or activation.dim() != 4:
            shape = tuple(activation.shape) if isinstance(activation, Tensor) else type(activation).__name__
            raise ValueError(f"layer {name!r} puts out {shape}, no map (B, K, h, w): name a convolution, or a block "
                             "of them")
        weights = derivative(total, activation).mean((2, 3), keepdim=True)
        return (weights * activation.detach()).sum(1)


@contextmanager
def outputs(module: nn.Module) -> Iterator[list]:
    """List what a module puts out, each time that it is called."""
    seen = []

    def keep(_module, _inputs, output):
        seen.append(output)
        return output.clone() if isinstance(output, Tensor) else output

    hook = module.register_forward_hook(keep)
    try:
        yield seen
    finally:
        hook.remove()


def find_layer(model: nn.Module, images: Tensor, layer: str | nn.Module | None) -> tuple[str, nn.Module]:
    """Name and module of a layer.

    Raises
    ------
    ValueError : the model has no such module.
    """
    layer = getattr(model, "cam_layer", None) if layer is None else layer
    layer = last_map(model, images) if layer is None else layer
    names = {module: name for name, module in model.named_modules()}
    if isinstance(layer, nn.Module):
        if layer not in names:
            raise ValueError(f"layer {type(layer).__name__} is no module of this model: take one of "
                             "model.named_modules()")
        return names[layer], layer
    for module, name in names.items():
        if name == layer and name:
            return name, module
    near = [name for name in names.values() if name and name.startswith(layer.split(".")[0])]
    raise ValueError(f"layer {layer!r} is unknown: use one of {', '.join((near or list(names.values())[1:])[:12])}")


def last_map(model: nn.Module, images: Tensor) -> str:
    """Name of the last module without others inside whose output is a map of more than one pixel."""
    found, hooks = [], []

    def note(name, output):
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] * output.shape[3] > 1:
            found.append(name)

    for name, module in model.named_modules():
        if not list(module.children()):
            hooks.append(module.register_forward_hook(lambda _module, _inputs, output, name=name: note(name, output)))
    try:
        with torch.no_grad():
            model(images[:1])
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise ValueError("no module of the model puts out a map of more than one pixel: Grad-CAM has nothing to weigh")
    return found[-1]
