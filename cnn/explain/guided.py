"""Guided backprop: a ReLU that lets only positive gradients back through.  It fails the sanity checks.

    g_in = g_out · [x > 0] · [g_out > 0]                                           [Springenberg et al. 2015, §3.4]

Its pictures are crisp because it almost restores the image, whatever the last layers are: [Adebayo et al. 2018],
proved in [Nie et al. 2018].  It is here to be compared with, not to be believed.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cnn.explain.score import Target, answering, as_leaf, derivative, score

_RELUS = {F.relu, F.relu_, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}


class GuidedReLUs(TorchFunctionMode):
    """While it is on, each ReLU that is called, as a module or a function, in place or not, passes no negative back."""

    def __init__(self) -> None:
        super().__init__()
        self.met = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Call the function; if it is a ReLU, clip the gradient that will come back to its output."""
        output = function(*args, **(kwargs or {}))
        if function in _RELUS and output.requires_grad:
            self.met += 1
            output.register_hook(lambda gradient: gradient.clamp(min=0))
        return output


def guided_backprop(model: nn.Module, images: Tensor, target: Target = None) -> Tensor:
    """Return what guided backprop brings back to the pixels, with its sign: (B, C, H, W).

    Parameters
    ----------
    model, images, target : as for `cnn.explain.saliency`

    Raises
    ------
    ValueError : the model has no ReLU to guide.
    """
    with answering(model):
        images, relus = as_leaf(images), GuidedReLUs()
        with relus:
            total = score(model, images, target)
        if not relus.met:
            raise ValueError("the model calls no ReLU, so there is nothing to guide: use saliency")
        return derivative(total, images)
