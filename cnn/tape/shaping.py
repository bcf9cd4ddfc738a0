"""Moving numbers about: all linear, all without arithmetic but for adding up, and in pairs of adjoints.

    reshape         ↔ reshape           back to the old shape
    transpose       ↔ transpose         by the inverse permutation
    broadcast_to    ↔ sum_to            repeat along an axis ↔ add up along it
    index           ↔ place             read entries ↔ write them into zeros, adding where one was read twice

A pair is adjoint, ⟨A x, y⟩ = ⟨x, Aᵀ y⟩, so each one's rule is the other.  Broadcasting is handled here and nowhere
else: `broadcast` makes shapes equal before an elementwise operation, whose rules then never meet two shapes.

imports: engine, registry
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnn.tape.engine import Tensor, as_tensors
from cnn.tape.registry import op


@op(lambda g, y, x, *, shape: reshape(g, shape=x.shape))
def reshape(x, *, shape):
    """Give the entries another shape, in the same order; one length may be −1."""
    return x.reshape(shape)


@op(lambda g, y, x, *, axes: transpose(g, axes=tuple(np.argsort(axes))))
def transpose(x, *, axes):
    """Reorder the axes: axis i of the output is axis axes[i] of x."""
    return x.transpose(axes)


@op(lambda g, y, x, *, shape: sum_to(g, shape=x.shape))
def broadcast_to(x, *, shape):
    """Repeat x along new leading axes and along axes of length 1, as NumPy does."""
    return np.broadcast_to(x, shape)


@op(lambda g, y, x, *, shape: broadcast_to(g, shape=x.shape))
def sum_to(x, *, shape):
    """Add up x along the axes that `broadcast_to` would have repeated to make it of `shape`."""
    new = x.ndim - len(shape)
    repeated = tuple(axis for axis in range(x.ndim) if axis < new or shape[axis - new] != x.shape[axis])
    return x.sum(repeated).reshape(shape)


@op(lambda g, y, x, *, key: place(g, key=key, shape=x.shape))
def index(x, *, key):
    """x[key], for any key of NumPy: numbers, slices, arrays of indices (gather), a mask."""
    return x[key]


@op(lambda g, y, x, *, key, shape: index(g, key=key))
def place(x, *, key, shape):
    """Write x at `key` into zeros of `shape`; entries that meet in one place add up (scatter)."""
    whole = np.zeros(shape, x.dtype)
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, (list, np.ndarray)) for part in parts):
        np.add.at(whole, key, x)
    else:
        whole[key] = x                                      # slices name no entry twice
    return whole


def broadcast(*values) -> tuple[Tensor, ...]:
    """Bring tensors, arrays and numbers to their common shape.

    Raises
    ------
    ValueError : there is none

    >>> [t.shape for t in broadcast(np.ones((3, 1)), np.ones(4), 2.0)]
    [(3, 4), (3, 4), (3, 4)]
    """
    tensors = as_tensors(values)
    shape = np.broadcast_shapes(*(t.shape for t in tensors))
    return tuple(t if t.shape == shape else broadcast_to(t, shape=shape) for t in tensors)


def pad(x: Tensor, widths: Sequence[tuple[int, int]]) -> Tensor:
    """Put zeros before and behind x on each axis: widths (before, behind) ≥ 0, one an axis.

    >>> pad(Tensor([1.0, 2.0]), [(1, 2)])
    Tensor([0., 1., 2., 0., 0.])
    """
    if len(widths) != x.ndim or min(min(pair) for pair in widths) < 0:
        raise ValueError(f"widths={widths}: give a pair of numbers of at least 0 for each of the {x.ndim} axes")
    shape = tuple(before + n + behind for n, (before, behind) in zip(x.shape, widths))
    return place(x, key=tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths)), shape=shape)


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Join tensors along an axis: each is placed into zeros, and these are added.

    >>> concatenate([Tensor([[1.0], [2.0]]), Tensor([[3.0, 4.0], [5.0, 6.0]])], axis=1)
    Tensor([[1., 3., 4.],
            [2., 5., 6.]])
    """
    axis = range(tensors[0].ndim)[axis]
    ends = np.cumsum([t.shape[axis] for t in tensors])
    shape = tuple(int(ends[-1]) if a == axis else n for a, n in enumerate(tensors[0].shape))
    whole = None
    for t, end in zip(tensors, ends):
        part = place(t, key=(slice(None),) * axis + (slice(end - t.shape[axis], end),), shape=shape)
        whole = part if whole is None else whole + part
    return whole
