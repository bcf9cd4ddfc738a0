"""Constants that learn: a `SIFTParams` or a `Softness` some of whose fields are tensors.

The steps read `params.sigma` and the like and compute with them, so a tensor in the place of a number is all
that a derivative needs.  What decides a *shape* (the half-width of a kernel or a window, the number of octaves)
is held fixed at the values that the parameters had to begin with: `static(params)`.

imports: softness, pysift.params
"""
from __future__ import annotations

import copy
from typing import TypeVar

from torch import Tensor

from diffsift.softness import Softness
from pysift.params import SIFTParams

LEARNABLE = {SIFTParams: ("sigma", "contrast_threshold", "edge_threshold", "ori_sigma", "ori_peak", "cell_width",
                          "desc_sigma", "desc_clip"),
             Softness: ("cell_kernel", "angle_kernel")}

Constants = TypeVar("Constants", SIFTParams, Softness)


def with_tensors(constants: Constants, **tensors: Tensor) -> Constants:
    """Return a copy whose named fields are 0-dimensional tensors; shapes stay those of `constants`.

    Raises
    ------
    ValueError : a field is not among those of `LEARNABLE`

    >>> import torch
    >>> with_tensors(SIFTParams(), sigma=torch.tensor(1.7)).sigma
    tensor(1.7000)
    """
    known = LEARNABLE[type(constants)]
    unknown = sorted(set(tensors) - set(known))
    if unknown:
        raise ValueError(f"{unknown} cannot be learned: use some of {', '.join(known)}")
    changed = copy.copy(constants)
    object.__setattr__(changed, "_static", static(constants))
    for name, tensor in tensors.items():
        object.__setattr__(changed, name, tensor)
    return changed


def static(constants: Constants) -> Constants:
    """Return the plain numbers behind `constants`, which decide every shape."""
    return getattr(constants, "_static", constants)
