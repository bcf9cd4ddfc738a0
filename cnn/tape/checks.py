"""The laws of derivatives, for any function of tensors: each returns by how much it is broken, relatively.

    derivative        ⟨v, J u⟩ = ⟨u, Jᵀ v⟩ for random u, v: J u by differences of values, Jᵀ v by the rules
    second            the same for x, v ↦ ⟨w, J(x)ᵀ v⟩, the gradient itself as a function
    adjoint           ⟨A x, v⟩ = ⟨x, Aᵀ v⟩ where f is linear in an argument: no differences, exact to rounding
    linearity         f(αu + βw) = α f(u) + β f(w) in an argument

One random pair (u, v) tests the whole Jacobian: a wrong J passes only if uᵀ(J − J′)ᵀv = 0, which a random pair hits
with probability 0.  Keep the arrays off kinks by more than 0.05: the differences look that far.

imports: engine
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cnn.tape.engine import Tensor, grad

_STEP = 1e-3            # of the differences: h⁴ and ε/h, the two errors, are of the same size in float64


def _leaves(arrays: Sequence[np.ndarray]) -> list[Tensor]:
    return [Tensor(array, requires_grad=True) for array in arrays]


def _gap(a: float, b: float, scale: float) -> float:
    return float(abs(a - b) / max(scale, 1e-12))


def derivative(function: Callable[..., Tensor], arrays: Sequence[np.ndarray], rng: np.random.Generator) -> float:
    """Compare the rules with differences of values, along one random direction through all arguments.

        J u ≈ (8·(f(x + hu) − f(x − hu)) − (f(x + 2hu) − f(x − 2hu))) / 12h,  off by O(h⁴)

    >>> from cnn.tape.elementwise import exp
    >>> derivative(exp, [np.array([0.5, -1.0])], np.random.default_rng(0)) < 1e-10
    True
    """
    inputs = _leaves(arrays)
    output = function(*inputs)
    v, u = rng.normal(size=output.shape), [rng.uniform(-1, 1, array.shape) for array in arrays]
    shares = [(share.data * d).sum() for share, d in zip(grad(output, inputs, v), u)]

    def value(t: float) -> float:
        return (v * function(*_leaves([a + t * _STEP * d for a, d in zip(arrays, u)])).data).sum()

    differences = (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * _STEP)
    return _gap(differences, sum(shares), sum(map(abs, shares)) + abs(differences))


def second(function: Callable[..., Tensor], arrays: Sequence[np.ndarray], rng: np.random.Generator) -> float:
    """Compare the rules of the rules with differences of gradients, in the arguments and in the cotangent."""
    v = rng.normal(size=function(*_leaves(arrays)).shape)
    w = [rng.normal(size=array.shape) for array in arrays]

    def along_w(*inputs: Tensor) -> Tensor:
        *x, seed = inputs
        shares = grad(function(*x), x, seed, create_graph=True)
        total = (shares[0] * w[0]).sum()
        for share, weights in zip(shares[1:], w[1:]):
            total = total + (share * weights).sum()
        return total

    return derivative(along_w, [*arrays, v], rng)


def adjoint(function: Callable[..., Tensor], arrays: Sequence[np.ndarray], number: int,
            rng: np.random.Generator) -> float:
    """Compare ⟨A x, v⟩ with ⟨x, Aᵀ v⟩, A being the function in its argument `number`, the others held."""
    inputs = _leaves(arrays)
    output = function(*inputs)
    v = rng.normal(size=output.shape)
    back = grad(output, inputs[number], v)[0].data
    return _gap((output.data * v).sum(), (arrays[number] * back).sum(), np.abs(arrays[number] * back).sum())


def linearity(function: Callable[..., Tensor], arrays: Sequence[np.ndarray], number: int,
              rng: np.random.Generator) -> float:
    """Compare f(αu + βw) with α f(u) + β f(w), α and β > 0, in the argument `number`; w is u with its entries mixed."""
    w, (alpha, beta) = rng.permutation(arrays[number].ravel()).reshape(arrays[number].shape), rng.uniform(0.2, 1, 2)

    def at(array: np.ndarray) -> np.ndarray:
        return function(*map(Tensor, [*arrays[:number], array, *arrays[number + 1:]])).data

    together, apart = at(alpha * arrays[number] + beta * w), alpha * at(arrays[number]) + beta * at(w)
    return float(np.abs(together - apart).max(initial=0) / max(np.abs(apart).max(initial=0), 1e-12))
