"""Why a net decided as it did: maps over the image, and what a map must pass before it is believed.

    score.py       the logit that is explained: eval mode, gradients on, no softmax
    gradients.py   ∂ logit / ∂ pixel; SmoothGrad; integrated gradients
    cam.py         Grad-CAM at any layer that has a map
    guided.py      guided backprop, which fails the sanity checks
    sanity.py      weights randomised layer by layer, rank correlation, completeness
    removal.py     insertion and deletion curves
    overlay.py     a map over its picture
    commands.py    cnnlab saliency, cnnlab gradcam

Every map is of a batch and belongs to one class an image.  Nothing of the model is changed: not its mode, its hooks
or the gradients of its parameters.
"""
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnn.explain.cam import gradcam, weighted_map
    from cnn.explain.gradients import input_gradient, integrated_gradients, saliency, smooth_gradient
    from cnn.explain.guided import guided_backprop
    from cnn.explain.removal import deletion, insertion

_HOME = {"saliency": "gradients", "input_gradient": "gradients", "smooth_gradient": "gradients",
         "integrated_gradients": "gradients", "gradcam": "cam", "weighted_map": "cam",
         "guided_backprop": "guided", "deletion": "removal", "insertion": "removal"}
__all__ = ["saliency", "input_gradient", "smooth_gradient", "integrated_gradients", "gradcam", "weighted_map",
           "guided_backprop", "deletion", "insertion"]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'cnn.explain' has no attribute {name!r}")
    return getattr(import_module(f"cnn.explain.{_HOME[name]}"), name)
