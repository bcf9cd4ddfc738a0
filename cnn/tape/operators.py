"""Give tensors their symbols: a + b, a[i], x.sum() … mean the operations of these names.

imports: engine, elementwise, shaping, reductions
"""
from __future__ import annotations

from cnn.tape import elementwise as e
from cnn.tape.engine import Tensor
from cnn.tape.reductions import matmul, max_over, mean_over, sum_over
from cnn.tape.shaping import index, reshape, transpose


def _power(a: Tensor, exponent) -> Tensor:
    if isinstance(exponent, Tensor):
        raise TypeError("the exponent must be a number: for a tensor b write exp(b * log(a))")
    return e.power(a, exponent=exponent)


def _reshaped(x: Tensor, *shape) -> Tensor:
    return reshape(x, shape=shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)


METHODS = {
    "__add__": e.add,                      "__radd__": lambda a, b: e.add(b, a),
    "__sub__": e.sub,                      "__rsub__": lambda a, b: e.sub(b, a),
    "__mul__": e.mul,                      "__rmul__": lambda a, b: e.mul(b, a),
    "__truediv__": e.div,                  "__rtruediv__": lambda a, b: e.div(b, a),
    "__matmul__": matmul,                  "__rmatmul__": lambda a, b: matmul(b, a),
    "__pow__": _power,                     "__neg__": e.neg,
    "__abs__": e.absolute,                 "__getitem__": lambda x, key: index(x, key=key),
    "sum": sum_over,                       "mean": mean_over,
    "max": max_over,                       "reshape": _reshaped,
    "transpose": lambda x, *axes: transpose(x, axes=axes or tuple(reversed(range(x.ndim)))),
}

for name, method in METHODS.items():
    setattr(Tensor, name, method)
