"""Parameters that learn: a `SIFTParams` some of whose fields are tensors.

The steps read `params.sigma` and the like and compute with them, so a tensor in the place of a number is all
that a derivative needs.  What decides a *shape* (the half-width of a kernel or a window, the number of octaves)
is held fixed at the values that the parameters had to begin with: `static(params)`.

imports: pysift.params
"""
from __future__ import annotations

import copy

from torch import Tensor

from pysift.params import SIFTParams

LEARNABLE = ("sigma", "contrast_threshold", "edge_threshold", "ori_sigma", "ori_peak", "cell_width", "desc_sigma",
             "desc_clip")


def with_tensors(params: SIFTParams, **tensors: Tensor) -> SIFTParams:
    """Return a copy of `params` whose named fields are 0-dimensional tensors; shapes stay those of `params`.

    Raises
    ------
    ValueError : a name is not among `LEARNABLE`

    >>> import torch
    >>> with_tensors(SIFTParams(), sigma=torch.tensor(1.7)).sigma
    tensor(1.7000)
    """
    unknown = set(tensors) - set(LEARNABLE)
    if unknown:
        raise ValueError(f"{sorted(unknown)} cannot be learned: use some of {', '.join(LEARNABLE)}")
    changed = copy.copy(params)
    object.__setattr__(changed, "_static", static(params))
    for name, tensor in tensors.items():
        object.__setattr__(changed, name, tensor)
    return changed


def static(params: SIFTParams) -> SIFTParams:
    """Return the plain numbers behind `params`, which decide every shape."""
    return getattr(params, "_static", params)
