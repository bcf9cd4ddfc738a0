"""Operations entry by entry, each with its derivative beside it.

Their arguments are brought to one shape first (`shaping.broadcast`), so a rule is the derivative of school times g.
Where a function has a kink its docstring names the derivative taken there; all are those of torch.

imports: engine, registry, shaping
"""
from __future__ import annotations

from functools import wraps

import numpy as np

from cnn.tape.engine import Tensor
from cnn.tape.registry import op
from cnn.tape.shaping import broadcast


def elementwise(*vjps):
    """Register an operation as `op` does, and broadcast what it is called with."""
    def register(forward):
        aligned = op(*vjps)(forward)

        @wraps(forward)
        def call(*values, **parameters) -> Tensor:
            return aligned(*broadcast(*values), **parameters)

        return call

    return register


def constant(array: np.ndarray, like: Tensor) -> Tensor:
    """Make a tensor of an array, in the precision of another tensor; no derivative passes through it."""
    return Tensor(array.astype(like.dtype))


@elementwise(lambda g, y, a, b: g,
             lambda g, y, a, b: g)
def add(a, b):
    """The sum a + b."""
    return a + b


@elementwise(lambda g, y, a, b: g,
             lambda g, y, a, b: -g)
def sub(a, b):
    """The difference a − b."""
    return a - b


@elementwise(lambda g, y, a, b: g * b,
             lambda g, y, a, b: g * a)
def mul(a, b):
    """The product a·b."""
    return a * b


@elementwise(lambda g, y, a, b: g / b,
             lambda g, y, a, b: -(g * y) / b)
def div(a, b):
    """The quotient a/b."""
    return a / b


@elementwise(lambda g, y, a: -g)
def neg(a):
    """The opposite −a."""
    return -a


@elementwise(lambda g, y, a, *, exponent: g * (exponent * power(a, exponent=exponent - 1)) if exponent else g * 0.0)
def power(a, *, exponent):
    """Raise a to a constant exponent.  Singular at 0 for an exponent below 1: the derivative is inf there."""
    return a ** float(exponent)                             # float64 of NumPy would make float64 of float32


@elementwise(lambda g, y, a: g * y)
def exp(a):
    """The exponential eᵃ."""
    return np.exp(a)


@elementwise(lambda g, y, a: g / a)
def log(a):
    """The natural logarithm, for a > 0."""
    return np.log(a)


@elementwise(lambda g, y, a: g * (1 - y * y))
def tanh(a):
    """The hyperbolic tangent."""
    return np.tanh(a)


@elementwise(lambda g, y, a: g * y * (1 - y))
def sigmoid(a):
    """The logistic function 1/(1 + e⁻ᵃ), written so that nothing overflows."""
    small = np.exp(-np.abs(a))
    return np.where(a >= 0, 1, small) / (1 + small)


@elementwise(lambda g, y, a: g * constant(a.data > 0, a))
def relu(a):
    """The larger of a and 0.  At the kink a = 0 the derivative is 0."""
    return np.maximum(a, 0)


@elementwise(lambda g, y, a: g * constant(np.sign(a.data), a))
def absolute(a):
    """The absolute value |a|.  At the kink a = 0 the derivative is 0."""
    return np.abs(a)


@elementwise(lambda g, y, a, b: g * constant(_share(a.data, b.data), a),
             lambda g, y, a, b: g * constant(_share(b.data, a.data), a))
def maximum(a, b):
    """The larger of a and b.  At a tie a = b each has the derivative ½."""
    return np.maximum(a, b)


def _share(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """1 where a is the larger, ½ at a tie, else 0."""
    return ((a > b) + (a >= b).astype(float)) / 2


def minimum(a, b) -> Tensor:
    """The smaller of a and b, −max(−a, −b).  At a tie each has the derivative ½."""
    return neg(maximum(neg(a), neg(b)))


def sqrt(a) -> Tensor:
    """The square root, for a ≥ 0.  Singular at 0: the derivative is inf there."""
    return power(a, exponent=0.5)
