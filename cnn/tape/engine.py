"""The engine: what was computed from what, and the chain rule through it, backwards.  It knows no operation.

    y = f(a, b)     forwards:   y keeps its origin: f, (a, b), the parameters of f
    ā += J_aᵀ ȳ     backwards:  from the youngest tensor to the oldest, each hands its cotangent to its inputs
    b̄ += J_bᵀ ȳ                 by the rules of f, the vector–Jacobian products (VJPs)

The cotangent of x is x̄ = ∂loss/∂x, of the shape of x; J_a is the Jacobian ∂y/∂a, which is never built.

An input is older than what is made of it, so from young to old is a topological order: a tensor used twice has received
every share of its cotangent before it hands on, and no recursion limits the depth.  Cotangents live in the call of
`grad`, not in the tensors, so a second call starts afresh.  The rules are operations on tensors themselves: with
create_graph=True they are recorded, and a gradient has gradients.

imports: numpy only
Source  A. Griewank, A. Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, §3.2 (reverse mode)
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import NamedTuple

import numpy as np

_births = count()
_recording = ContextVar("recording", default=True)


class Op(NamedTuple):
    """An operation: how to compute it, and one rule a tensor argument."""

    forward: Callable               # (*arrays, **parameters) → array
    vjps: tuple[Callable, ...]      # each (ȳ, y, *inputs, **parameters) → cotangent of that input, all of them tensors


class Origin(NamedTuple):
    """How a tensor came to be."""

    op: Op
    inputs: tuple[Tensor, ...]
    parameters: dict


class Tensor:
    """An array of float32 or float64 that remembers how it was computed.

    Parameters
    ----------
    data : array_like of numbers, any shape; not copied if it is an array of floats already.  Integers and truth
        values become float64.  Leave it alone between the forward and the backward pass: the rules read it.
    requires_grad : whether derivatives with respect to it, and to what is computed of it, are wanted

    Attributes
    ----------
    grad : Tensor of the same shape, or None: the sum of what the calls of `backward` left here; leaves only

    Raises
    ------
    TypeError : data is not of numbers

    >>> x = Tensor([3.0, 4.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([6., 8.])
    """

    __slots__ = ("data", "requires_grad", "grad", "origin", "birth", "__weakref__")
    __array_ufunc__ = None                                  # array + tensor: NumPy leaves it to the tensor

    def __init__(self, data, requires_grad: bool = False):
        if isinstance(data, Tensor):
            raise TypeError("this is a Tensor already: use it as it is, or detach() it")
        self.data = np.asarray(data)
        if self.data.dtype not in (np.float32, np.float64):
            if self.data.dtype.kind not in "biuf":
                raise TypeError(f"cannot differentiate {self.data.dtype}: give an array of float32 or float64")
            self.data = self.data.astype(np.float64)
        self.requires_grad = requires_grad
        self.grad, self.origin, self.birth = None, None, next(_births)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype:
        """Precision: float32 or float64."""
        return self.data.dtype

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"Tensor{np.array2string(self.data, prefix='Tensor', separator=', ').join('()')}"

    def item(self) -> float:
        """Return the one number in it."""
        return self.data.item()

    def detach(self) -> Tensor:
        """Return a tensor of the same array without an origin: a constant for every derivative."""
        return Tensor(self.data)

    def backward(self, seed=None) -> None:
        """Add Jᵀ·seed to the `grad` of every leaf that led here and requires it.

        Parameters
        ----------
        seed : array_like of the shape of this tensor; may be left out for one number, and is 1 then

        Raises
        ------
        ValueError : nothing was recorded; no seed for several numbers; a seed of another shape
        """
        if not self.requires_grad:
            raise ValueError("no tensor with requires_grad=True led to this one, or it was computed under no_grad()")
        leaves = [tensor for tensor in _ancestors(self) if tensor.origin is None]
        for leaf, cotangent in zip(leaves, grad(self, leaves, seed)):
            leaf.grad = cotangent if leaf.grad is None else leaf.grad + cotangent


def as_tensors(values: Sequence) -> tuple[Tensor, ...]:
    """Make tensors of the numbers and arrays among the values; they take the precision of the tensors there."""
    dtypes = {value.dtype for value in values if isinstance(value, Tensor)}
    if len(dtypes) > 1:
        raise TypeError("float32 and float64 do not mix: convert one, Tensor(array.astype(...))")
    dtype = dtypes.pop() if dtypes else None
    return tuple(value if isinstance(value, Tensor) else Tensor(np.asarray(value, dtype)) for value in values)


def apply(op: Op, inputs: Sequence, parameters: dict) -> Tensor:
    """Compute an operation, and record it if a derivative can be asked of it."""
    inputs = as_tensors(inputs)
    output = Tensor(op.forward(*(tensor.data for tensor in inputs), **parameters))
    if _recording.get() and any(tensor.requires_grad for tensor in inputs):
        output.requires_grad, output.origin = True, Origin(op, inputs, parameters)
    return output


@contextmanager
def _record(on: bool) -> Iterator[None]:
    token = _recording.set(on)
    try:
        yield
    finally:
        _recording.reset(token)


def no_grad():
    """Record nothing in the block: `with no_grad(): …`."""
    return _record(False)


def grad(output: Tensor, wanted: Tensor | Sequence[Tensor], seed=None, *,
         create_graph: bool = False) -> tuple[Tensor, ...]:
    """Return Jᵀ·seed of an output with respect to each of the wanted tensors, leaves or not.

    Parameters
    ----------
    output : Tensor
    wanted : Tensor, or several; each with requires_grad
    seed : Tensor or array_like of the shape of `output`; may be left out for one number, and is 1 then
    create_graph : whether to record the derivation, so that the results can be differentiated

    Returns
    -------
    tuple of Tensor, one a wanted tensor, of its shape; zeros where the output does not depend on it

    Raises
    ------
    ValueError : a wanted tensor does not require it; no seed for several numbers; a seed of another shape;
        the rule of an operation returned a cotangent of the wrong shape or precision

    >>> x = Tensor(2.0, requires_grad=True)
    >>> first, = grad(x ** 3, x, create_graph=True)
    >>> first, grad(first, x)
    (Tensor(12.), (Tensor(12.),))
    """
    wanted = (wanted,) if isinstance(wanted, Tensor) else tuple(wanted)
    for tensor in wanted:
        if not tensor.requires_grad:
            raise ValueError(f"a wanted tensor of shape {tensor.shape} was made without requires_grad=True")
    order = _ancestors(output)
    on_the_way = _leading_to(order, wanted)
    kept, cotangents = set(wanted), {output: _as_seed(seed, output)}
    with _record(create_graph):
        for tensor in order:
            if tensor in cotangents and tensor in on_the_way and tensor.origin is not None:
                cotangent = cotangents[tensor] if tensor in kept else cotangents.pop(tensor)
                for source, share in _shares(tensor, cotangent, on_the_way):
                    cotangents[source] = cotangents[source] + share if source in cotangents else share
    return tuple(cotangents[t] if t in cotangents else Tensor(np.zeros_like(t.data)) for t in wanted)


def _shares(tensor: Tensor, cotangent: Tensor, on_the_way: set[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each input that leads to a wanted tensor, with what this use of it adds to its cotangent."""
    op, inputs, parameters = tensor.origin
    for number, (source, vjp) in enumerate(zip(inputs, op.vjps)):
        if source in on_the_way:
            share = vjp(cotangent, tensor, *inputs, **parameters)
            if (share.shape, share.dtype) != (source.shape, source.dtype):
                raise ValueError(f"rule {number} of {op.forward.__name__} gave {share.dtype} {share.shape} "
                                 f"for an input of {source.dtype} {source.shape}")
            yield source, share


def _ancestors(output: Tensor) -> list[Tensor]:
    """Return what requires derivatives among the output and all that led to it, the youngest first."""
    found, waiting = {output}, [output]
    while waiting:
        origin = waiting.pop().origin
        if origin is not None:
            new = {tensor for tensor in origin.inputs if tensor.requires_grad} - found
            found |= new
            waiting += new
    return sorted(found, key=lambda tensor: tensor.birth, reverse=True)


def _leading_to(order: list[Tensor], wanted: Sequence[Tensor]) -> set[Tensor]:
    """Return the wanted tensors and what was computed of them; the cotangents of all others can be left alone."""
    found = set(wanted)
    for tensor in reversed(order):
        if tensor.origin is not None and not found.isdisjoint(tensor.origin.inputs):
            found.add(tensor)
    return found


def _as_seed(seed, output: Tensor) -> Tensor:
    if seed is None:
        if output.size != 1:
            raise ValueError(f"the output has shape {output.shape}: only one number needs no seed; "
                             "sum it, or give a seed of its shape")
        seed = np.ones_like(output.data)
    seed = seed if isinstance(seed, Tensor) else Tensor(np.asarray(seed, output.dtype))
    if seed.shape != output.shape:
        raise ValueError(f"the seed has shape {seed.shape}, the output {output.shape}: they must be equal")
    return seed
