"""cnn: convolutional networks, from the derivative of an addition to the explanation of a decision.

    part        what it holds
    tape        reverse-mode differentiation over NumPy arrays, from scratch: the nets' mathematics without torch
    models      the nets, in torch: architecture as data
    explain     why a net decided as it did: saliency, Grad-CAM, and what they must pass

A part is imported when first used, so `import cnn` costs nothing.
"""
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnn import explain, models, tape

__all__ = ["tape", "models", "explain"]


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module 'cnn' has no attribute {name!r}")
    return import_module(f"cnn.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
