"""The tape: reverse-mode differentiation over NumPy arrays, from scratch, up to training a residual net.

    layer           file              what it holds
    engine          engine.py         what was computed from what, and the chain rule backwards; knows no operation
    registry        registry.py       OPS: every operation by its name, the rule beside the formula
    operations      shaping.py        moving numbers about, broadcasting: linear, in pairs of adjoints
                    elementwise.py    + − · / exp log relu …, each with its derivative
                    reductions.py     sum, mean, max, product of matrices
                    windows.py        im2col and its adjoint col2im
                    conv.py           convolution three ways
                    pooling.py        largest, mean, adaptive: made of the above
                    operators.py      a + b, a[i], x.sum() on tensors
    nets            functions.py      softmax cross-entropy, batch norm, dropout: made of the above
                    initial.py        how weights start
                    layers.py         functions with parameters
                    optimisers.py     SGD with momentum, Adam
                    nets.py           LeNet, bottlenecks, depthwise convolutions
    proof           checks.py         the laws that every operation obeys

An operation is added by its formula and its rule (registry.py) and a case in tests/tape_cases.py, without which the
tests fail.  NumPy only.

>>> from cnn.tape import Tensor, grad
>>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> y = (x * x).sum() / x.max()
>>> grad(y, x)
(Tensor([0.66666667, 1.33333333, 0.44444444]),)
"""
from cnn.tape import (
    checks,
    conv,
    elementwise,
    functions,
    initial,
    layers,
    nets,
    operators,
    optimisers,
    pooling,
    reductions,
    shaping,
)
from cnn.tape.engine import Tensor, grad, no_grad
from cnn.tape.registry import OPS, op

__all__ = ["Tensor", "grad", "no_grad", "OPS", "op", "checks", "conv", "elementwise", "functions", "initial",
           "layers", "nets", "operators", "optimisers", "pooling", "reductions", "shaping"]
