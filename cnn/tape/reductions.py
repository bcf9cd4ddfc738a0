"""Many numbers to one: sums, means, the largest; and the product of matrices.

A sum is `sum_to` a shape with lengths of 1, so its derivative is to repeat: no rule of its own.

imports: engine, registry, shaping, elementwise
"""
from __future__ import annotations

import numpy as np

from cnn.tape.elementwise import constant
from cnn.tape.engine import Tensor, as_tensors
from cnn.tape.registry import op
from cnn.tape.shaping import broadcast_to, reshape, sum_to, transpose

Axes = int | tuple[int, ...] | None


def _reduce(to, x: Tensor, axis: Axes, keepdims: bool) -> Tensor:
    """Apply sum_to or max_to along the axes (None is every axis), then drop the lengths of 1 unless they are kept."""
    numbers = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = {range(x.ndim)[number] for number in numbers}
    reduced = to(x, shape=tuple(1 if a in axes else n for a, n in enumerate(x.shape)))
    return reduced if keepdims else reshape(reduced, shape=tuple(n for a, n in enumerate(x.shape) if a not in axes))


def sum_over(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Add up along one axis, several, or all (None).

    >>> sum_over(Tensor(np.ones((2, 3, 4))), axis=(0, -1)).data
    array([8., 8., 8.])
    """
    return _reduce(sum_to, x, axis, keepdims)


def mean_over(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return the arithmetic mean along one axis, several, or all (None)."""
    total = sum_over(x, axis, keepdims)
    return total * (total.size / x.size)


def max_over(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Return the largest along one axis, several, or all (None).  At a tie all that tie share the derivative.

    >>> x = Tensor([[1.0, 5.0, 5.0]], requires_grad=True)
    >>> max_over(x, axis=1).backward([1.0])
    >>> x.grad
    Tensor([[0. , 0.5, 0.5]])
    """
    return _reduce(max_to, x, axis, keepdims)


@op(lambda g, y, x, *, shape: broadcast_to(g, shape=x.shape) * constant(_shares(x.data, y.data), x))
def max_to(x, *, shape):
    """The largest along the axes where `shape` is 1.  At a tie all that tie share the derivative equally."""
    return x.max(tuple(a for a, n in enumerate(shape) if n != x.shape[a]), keepdims=True)


def _shares(x: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """1/n for each of the n that equal the largest of their reduction, else 0."""
    ties = x == largest
    axes = tuple(a for a, n in enumerate(largest.shape) if n != x.shape[a])
    return ties / ties.sum(axes, keepdims=True)


@op(lambda g, y, a, b: matrices(g, _swapped(b)),
    lambda g, y, a, b: matrices(_swapped(a), g))
def matrices(a, b):
    """Multiply matrices, or stacks of them of one shape: (…, m, k) by (…, k, n)."""
    return a @ b


def _swapped(a: Tensor) -> Tensor:
    return transpose(a, axes=(*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))


def matmul(a, b) -> Tensor:
    """Multiply matrices, a @ b; stacks are broadcast against each other.

    Raises
    ------
    ValueError : a vector, or lengths that do not fit

    >>> matmul(Tensor(np.ones((5, 2, 3))), Tensor(np.ones((3, 4)))).shape
    (5, 2, 4)
    """
    a, b = as_tensors((a, b))
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"cannot multiply {a.shape} by {b.shape}: give (…, m, k) and (…, k, n); "
                         "a vector is a matrix with a length of 1")
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return matrices(*(t if t.shape[:-2] == stack else broadcast_to(t, shape=stack + t.shape[-2:]) for t in (a, b)))
