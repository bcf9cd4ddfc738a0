"""A case for every operation of the tape, and for every function made of them: inputs, what is linear, torch's word.

`draw(rng)` gives the arrays and the parameters; lengths of 1 and no axes at all are among the shapes.  Values keep off
kinks and poles; what happens there has its own tests.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from cnn.tape import conv, elementwise, functions, pooling, reductions, shaping


class Case(NamedTuple):
    draw: Callable                      # rng → (arrays, parameters)
    torch: Callable                     # (*tensors of torch, **parameters) → tensor of torch
    linear: tuple[int, ...] = ()        # numbers of the arguments that it is linear in
    function: Callable | None = None    # of tensors of the tape; the operation itself if None


def shape(rng, least=0):
    return tuple(int(n) for n in rng.integers(1, 4, rng.integers(least, 4)))


def off_zero(rng, size):
    """Draw numbers of both signs, so far from 0 that (step/value)⁴ of the differences is small."""
    return rng.choice([-1, 1], size) * rng.uniform(0.5, 2, size)


def apart(rng, size):
    """Draw numbers that are 0.1 apart from each other."""
    return rng.permutation(int(np.prod(size))).reshape(size) * 0.1 - 0.3


def unary(values, **parameters):
    return lambda rng: ([values(rng, shape(rng))], parameters)


def positive(rng, size):
    return rng.uniform(0.5, 2, size)


def normal(rng, size):
    return rng.normal(size=size)


def pair(rng, second=normal):
    size = shape(rng)
    return [normal(rng, size), second(rng, size)], {}


def two_apart(rng):
    values = apart(rng, (2, *shape(rng)))
    return [values[0], values[1]], {}


def reshaping(rng):
    size = shape(rng)
    return [normal(rng, size)], {"shape": tuple(reversed(size))}


def transposing(rng):
    size = shape(rng, least=1)
    return [normal(rng, size)], {"axes": tuple(int(a) for a in rng.permutation(len(size)))}


def stretching(rng):
    """Draw a shape and the one it is broadcast to: some lengths of 1, some leading axes missing."""
    large = shape(rng, least=1)
    small = tuple(1 if rng.random() < 0.5 else n for n in large)[rng.integers(0, len(large) + 1):]
    return small, large


def repeating(rng):
    small, large = stretching(rng)
    return [normal(rng, small)], {"shape": large}


def summing(rng):
    small, large = stretching(rng)
    return [normal(rng, large)], {"shape": small}


def largest(rng):
    size = shape(rng)
    return [apart(rng, size)], {"shape": tuple(1 if rng.random() < 0.5 else n for n in size)}


def key(rng, size):
    """Draw a key for an array of two axes or more: slices with steps, numbers, or arrays that repeat entries."""
    return [(slice(None, None, 2), slice(1, None)), (0, slice(None)), (Ellipsis, 0),
            (rng.integers(0, size[0], 5), rng.integers(0, size[1], 5)),
            (rng.integers(0, size[0], (2, 3)),), rng.random(size) < 0.7][rng.integers(6)]


def indexing(rng):
    size = (*rng.integers(2, 4, 2), *shape(rng)[:1])
    return [normal(rng, size)], {"key": key(rng, size)}


def placing(rng):
    (x,), how = indexing(rng)
    return [normal(rng, x[how["key"]].shape)], {"key": how["key"], "shape": x.shape}


def torch_place(x, *, key, shape):
    """Scatter by reading back the number of the place of each entry."""
    places = torch.arange(int(np.prod(shape))).reshape(shape)[as_torch(key)].reshape(-1)
    return torch.zeros(int(np.prod(shape)), dtype=x.dtype).index_add(0, places, x.reshape(-1)).reshape(shape)


def as_torch(key):
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(torch.as_tensor(p) if isinstance(p, np.ndarray) else p for p in parts)


def multiplying(rng):
    stack, (m, k, n) = shape(rng)[:2], rng.integers(1, 4, 3)
    return [normal(rng, (*stack, m, k)), normal(rng, (*stack, k, n))], {}


def convolving(rng):
    """Draw images, filters and how: any stride, padding, dilation; groups of 1, some, or one a channel.

    One draw in three is wide, at a stride of 1: there the columns are whole rows.
    """
    groups, per_group, kernel = rng.integers(1, 4), rng.integers(1, 3), tuple(rng.integers(1, 4, 2))
    filters = groups * rng.integers(1, 3)
    how = {"stride": tuple(rng.integers(1, 4, 2)), "padding": tuple(rng.integers(0, 3, 2)),
           "dilation": tuple(rng.integers(1, 3, 2)), "groups": int(groups)}
    how |= {name: tuple(map(int, how[name])) for name in ("stride", "padding", "dilation")}
    height, width = rng.integers(5, 8, 2)
    if rng.random() < 1 / 3:
        width, how["stride"] = 18, (1, 1)
    images = normal(rng, (rng.integers(1, 4), groups * per_group, height, width))
    return [images, normal(rng, (filters, per_group, *kernel))], how


def to_input(rng):
    (x, w), how = convolving(rng)
    return [normal(rng, conv.conv2d(x, w, **how).shape), w], {"shape": x.shape, **how}


def to_weight(rng):
    (x, w), how = convolving(rng)
    return [normal(rng, conv.conv2d(x, w, **how).shape), x], {"shape": w.shape, **how}


def torch_to_input(g, w, *, shape, **how):
    """Derive torch's convolution; torch.nn.grad.conv2d_input is the same."""
    x = torch.zeros(shape, dtype=g.dtype, requires_grad=True)
    return torch.autograd.grad(F.conv2d(x, w, **how), x, g, create_graph=True)[0]


def torch_to_weight(g, x, *, shape, **how):
    w = torch.zeros(shape, dtype=g.dtype, requires_grad=True)
    return torch.autograd.grad(F.conv2d(x, w, **how), w, g, create_graph=True)[0]


def torch_sum_to(x, *, shape):
    return x.sum_to_size(shape)


def torch_max_to(x, *, shape):
    axes = tuple(a for a, n in enumerate(shape) if n != x.shape[a])
    return x.amax(axes, keepdim=True) if axes else x.clone()


OPERATIONS = {
    "add": Case(pair, torch.add),
    "sub": Case(pair, torch.sub),
    "mul": Case(pair, torch.mul, linear=(0, 1)),
    "div": Case(lambda rng: pair(rng, off_zero), torch.div, linear=(0,)),
    "neg": Case(unary(normal), torch.neg, linear=(0,)),
    "power": Case(lambda rng: unary(positive, exponent=rng.choice([-1.5, 0, 0.5, 1, 2, 3]))(rng),
                  lambda a, *, exponent: a ** exponent),
    "exp": Case(unary(normal), torch.exp),
    "log": Case(unary(positive), torch.log),
    "tanh": Case(unary(normal), torch.tanh),
    "sigmoid": Case(unary(normal), torch.sigmoid),
    "relu": Case(unary(off_zero), torch.relu),
    "absolute": Case(unary(off_zero), torch.abs),
    "maximum": Case(two_apart, torch.maximum),
    "reshape": Case(reshaping, lambda x, *, shape: x.reshape(shape), linear=(0,)),
    "transpose": Case(transposing, lambda x, *, axes: x.permute(axes), linear=(0,)),
    "broadcast_to": Case(repeating, lambda x, *, shape: x.expand(shape), linear=(0,)),
    "sum_to": Case(summing, torch_sum_to, linear=(0,)),
    "index": Case(indexing, lambda x, *, key: x[as_torch(key)], linear=(0,)),
    "place": Case(placing, torch_place, linear=(0,)),
    "max_to": Case(largest, torch_max_to),
    "matrices": Case(multiplying, torch.matmul, linear=(0, 1)),
    "conv2d": Case(convolving, F.conv2d, linear=(0, 1)),
    "conv2d_input": Case(to_input, torch_to_input, linear=(0, 1)),
    "conv2d_weight": Case(to_weight, torch_to_weight, linear=(0, 1)),
}


def unequal(values=normal):
    """Draw two arrays that broadcast against each other, in either order."""
    def draw(rng):
        small, large = stretching(rng)
        arrays = [normal(rng, large), values(rng, small)]
        return (arrays if rng.random() < 0.5 or values is not normal else arrays[::-1]), {}
    return draw


def padding(rng):
    size = shape(rng)
    return [normal(rng, size)], {"widths": [tuple(int(n) for n in rng.integers(0, 3, 2)) for _ in size]}


def torch_pad(x, *, widths):
    return F.pad(x, [n for pair in reversed(widths) for n in pair])


def joining(rng):
    size, axis = shape(rng, least=1), 0
    axis = int(rng.integers(len(size)))
    return [normal(rng, size[:axis] + (int(n),) + size[axis + 1:]) for n in rng.integers(1, 4, 3)], {"axis": axis}


def reducing(values):
    def draw(rng):
        size = shape(rng, least=2)
        axis = [None, 0, -1, (0, 1)][rng.integers(4)]
        return [values(rng, size)], {"axis": axis, "keepdims": bool(rng.random() < 0.5)}
    return draw


def torch_reduce(name):
    def reduce(x, *, axis, keepdims):
        axes = tuple(range(x.ndim)) if axis is None else axis
        return getattr(x, name)(axes, keepdim=keepdims)
    return reduce


def pooled(values):
    def draw(rng):
        kernel = int(rng.integers(2, 4))
        how = {"kernel": kernel, "stride": [None, 1, 2][rng.integers(3)], "padding": int(rng.integers(0, 2))}
        return [values(rng, (*rng.integers(1, 3, 2), *rng.integers(4, 8, 2)))], how
    return draw


def images(rng):
    return normal(rng, (*rng.integers(1, 4, 2), *rng.integers(2, 8, 2)))


def classified(rng):
    count, classes = rng.integers(1, 5, 2)
    return [3 * normal(rng, (count, classes))], {"labels": rng.integers(0, classes, count)}


def normed(rng):
    x = normal(rng, (3, 2, 3, 4))
    return [x, normal(rng, 2), normal(rng, 2)], {}


def batch_norm(x, gain, bias):
    return functions.normalise(x, *functions.moments(x), gain, bias, 1e-5)


def dropped(rng):
    return [normal(rng, (4, 5))], {"seed": int(rng.integers(100))}


def torch_dropout(x, *, seed):
    return x * torch.as_tensor(np.random.default_rng(seed).random(x.shape) >= 0.3) / 0.7


COMPOSED = {
    "add, broadcast": Case(unequal(), torch.add, function=elementwise.add),
    "sub, broadcast": Case(unequal(), torch.sub, function=elementwise.sub),
    "mul, broadcast": Case(unequal(), torch.mul, (0, 1), elementwise.mul),
    "div, broadcast": Case(unequal(off_zero), torch.div, (0,), elementwise.div),
    "minimum": Case(two_apart, torch.minimum, function=elementwise.minimum),
    "sqrt": Case(unary(positive), torch.sqrt, function=elementwise.sqrt),
    "pad": Case(padding, torch_pad, (0,), shaping.pad),
    "concatenate": Case(joining, lambda *x, axis: torch.cat(x, axis),
                        function=lambda *x, axis: shaping.concatenate(x, axis)),
    "sum": Case(reducing(normal), torch_reduce("sum"), (0,), reductions.sum_over),
    "mean": Case(reducing(normal), torch_reduce("mean"), (0,), reductions.mean_over),
    "max": Case(reducing(apart), torch_reduce("amax"), function=reductions.max_over),
    "matmul, broadcast": Case(lambda rng: ([normal(rng, (2, 1, 3, 2)), normal(rng, (4, 2, 3))], {}), torch.matmul,
                              (0, 1), reductions.matmul),
    "linear": Case(lambda rng: ([normal(rng, (4, 3)), normal(rng, (2, 3)), normal(rng, 2)], {}), F.linear,
                   function=functions.linear),
    "max_pool2d": Case(pooled(apart), lambda x, *, kernel, **how: F.max_pool2d(x, kernel, **how),
                       function=pooling.max_pool2d),
    "avg_pool2d": Case(pooled(normal), lambda x, *, kernel, **how: F.avg_pool2d(x, kernel, **how), (0,),
                       pooling.avg_pool2d),
    "adaptive_avg_pool2d": Case(lambda rng: ([images(rng)], {"size": tuple(int(n) for n in rng.integers(1, 5, 2))}),
                                lambda x, *, size: F.adaptive_avg_pool2d(x, size), (0,), pooling.adaptive_avg_pool2d),
    "log_softmax": Case(lambda rng: ([3 * normal(rng, (2, 5))], {}), lambda x: F.log_softmax(x, -1),
                        function=functions.log_softmax),
    "cross_entropy": Case(classified, lambda x, *, labels: F.cross_entropy(x, torch.as_tensor(labels)),
                          function=functions.cross_entropy),
    "batch norm": Case(normed, lambda x, gain, bias: F.batch_norm(x, None, None, gain, bias, training=True),
                       function=batch_norm),
    "dropout": Case(dropped, torch_dropout, (0,),
                    lambda x, *, seed: functions.dropout(x, 0.3, np.random.default_rng(seed))),
}
