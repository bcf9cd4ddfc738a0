"""The registry: every operation by its name, the rule beside the formula.

    @op(lambda g, y, a, b: g @ b.T,        ā = ȳ bᵀ
        lambda g, y, a, b: a.T @ g)        b̄ = aᵀ ȳ
    def product(a, b): return a @ b

registers OPS["product"] = (forward, vjps) and leaves `product` as a function of tensors.  The formula computes on
arrays.  A rule is handed the cotangent g of the output, the output y, the inputs and the parameters; it answers with
the cotangent of its input, computed in operations on tensors, so that it can be differentiated in its turn.  Positional
arguments are tensors, with one rule each; keywords are parameters, without one.  tests/tape_cases.py holds a case
for every name in OPS, and the laws of checks.py are tried on each.

imports: engine
"""
from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from cnn.tape.engine import Op, Tensor, apply

OPS: dict[str, Op] = {}


def op(*vjps: Callable) -> Callable[[Callable], Callable]:
    """Register a formula on arrays, with one rule a tensor argument, as an operation on tensors.

    Raises
    ------
    ValueError : the name is taken
    """
    def register(forward: Callable) -> Callable:
        name = forward.__name__
        if name in OPS:
            raise ValueError(f"there is an operation {name!r} already: choose another name")
        operation = OPS[name] = Op(forward, vjps)

        @wraps(forward)
        def call(*inputs, **parameters) -> Tensor:
            return apply(operation, inputs, parameters)

        return call

    return register
