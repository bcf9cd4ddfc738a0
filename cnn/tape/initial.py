"""How weights start.

A layer that sums n products (its fan-in) of unit variance keeps the variance if its weights have 1/n; a ReLU behind it
halves the mean square, so 2/n does.

imports: engine
Source  K. He et al., Delving Deep into Rectifiers, arXiv:1502.01852, §2.2, eq. 10
"""
from __future__ import annotations

import math

import numpy as np

from cnn.tape.engine import Tensor


def fan_in(shape: tuple[int, ...]) -> int:
    """Return how many products make one output: of weights (m, n) or (F, C/groups, kh, kw), all but the first axis."""
    return math.prod(shape[1:])


def he_normal(rng: np.random.Generator, shape: tuple[int, ...], dtype=np.float32) -> Tensor:
    """Draw weights from N(0, 2/fan_in), for a layer before a ReLU.

    >>> he_normal(np.random.default_rng(0), (6, 3, 5, 5)).shape
    (6, 3, 5, 5)
    """
    return parameter(rng.normal(0, math.sqrt(2 / fan_in(shape)), shape), dtype)


def uniform(rng: np.random.Generator, shape: tuple[int, ...], fan: int, dtype=np.float32) -> Tensor:
    """Draw from U(−1/√fan, 1/√fan): variance 1/(3·fan); what torch does unless told otherwise."""
    return parameter(rng.uniform(-1 / math.sqrt(fan), 1 / math.sqrt(fan), shape), dtype)


def parameter(values: np.ndarray, dtype) -> Tensor:
    """Make a tensor that learns."""
    return Tensor(np.asarray(values, dtype), requires_grad=True)
