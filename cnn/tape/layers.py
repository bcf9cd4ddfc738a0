"""Layers: functions with parameters of their own.

    layer = Conv2d(3, 8, 3, rng=rng);   y = layer(x)

A layer finds its parameters, its buffers (arrays that are kept but do not learn) and its layers among its attributes,
by their names: "0.weight", "body.1.running_mean".  The names, shapes and default starts are torch's, so weights can
move between the two.

imports: engine, initial, conv, pooling, functions, elementwise
"""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnn.tape import functions, pooling
from cnn.tape.conv import conv2d
from cnn.tape.elementwise import relu
from cnn.tape.engine import Tensor
from cnn.tape.initial import fan_in, parameter, uniform


class Layer:
    """A function of one tensor, with what it has learned."""

    training = True

    def __call__(self, x: Tensor) -> Tensor:
        """Compute it; each kind of layer does this in its own way."""
        raise NotImplementedError(f"{type(self).__name__} needs a __call__(self, x)")

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the layers in this one, by name."""
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Layer))

    def named(self, kind: type) -> Iterator[tuple[str, Layer, str]]:
        """Yield the dotted name of each attribute of a type, in this layer and below, with its owner."""
        yield from ((name, self, name) for name, value in vars(self).items() if isinstance(value, kind))
        for child, layer in self.children():
            yield from ((f"{child}.{name}", owner, last) for name, owner, last in layer.named(kind))

    def parameters(self) -> dict[str, Tensor]:
        """Return what learns, by name."""
        return {name: getattr(owner, last) for name, owner, last in self.named(Tensor)}

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of all parameters and buffers, by name."""
        parameters = {name: tensor.data.copy() for name, tensor in self.parameters().items()}
        return parameters | {name: getattr(owner, last).copy() for name, owner, last in self.named(np.ndarray)}

    def load(self, state: dict[str, np.ndarray]) -> None:
        """Take over all parameters and buffers; they are copied, in the precision of the layer.

        Raises
        ------
        ValueError : names that are missing, not known, or of another shape; nothing has changed then
        """
        mine = self.state()
        wrong = sorted({*mine} ^ {*state}) or [name for name in mine if mine[name].shape != np.shape(state[name])]
        if wrong:
            raise ValueError(f"the state does not fit at {', '.join(wrong[:5])}: "
                             "names and shapes must be those of state()")
        for name, owner, last in self.named(np.ndarray):
            setattr(owner, last, np.array(state[name], mine[name].dtype))
        for name, tensor in self.parameters().items():
            tensor.data = np.array(state[name], mine[name].dtype)

    def train(self, on: bool = True) -> Layer:
        """Switch dropout and batch norm, here and below, to training, or (False) to use; return the layer."""
        self.training = on
        for _, layer in self.children():
            layer.train(on)
        return self

    def eval(self) -> Layer:
        """Switch to use: `train(False)`."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients that `backward` left at the parameters."""
        for tensor in self.parameters().values():
            tensor.grad = None


class Sequential(Layer):
    """One layer after the other; they are called "0", "1", …

    >>> rng = np.random.default_rng(0)
    >>> net = Sequential(Flatten(), Linear(12, 5, rng=rng), ReLU())
    >>> net(Tensor(np.ones((2, 3, 2, 2), np.float32))).shape, list(net.parameters())
    ((2, 5), ['1.weight', '1.bias'])
    """

    def __init__(self, *layers: Layer):
        self.layers = layers

    def children(self):
        """Yield the layers in order; their names are their numbers."""
        return ((str(number), layer) for number, layer in enumerate(self.layers))

    def __call__(self, x):
        """Pass x through all, in order."""
        for layer in self.layers:
            x = layer(x)
        return x


class Linear(Layer):
    """x Wᵀ + b; starts as torch's, U(±1/√inputs)."""

    def __init__(self, inputs: int, outputs: int, *, rng: np.random.Generator, dtype=np.float32):
        self.weight = uniform(rng, (outputs, inputs), inputs, dtype)
        self.bias = uniform(rng, (outputs,), inputs, dtype)

    def __call__(self, x):
        """(N, inputs) → (N, outputs)."""
        return functions.linear(x, self.weight, self.bias)


class Conv2d(Layer):
    """Convolution, see `conv.conv2d`, and a bias a channel; starts as torch's, U(±1/√fan_in)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride=1, padding=0, groups: int = 1,
                 bias: bool = True, rng: np.random.Generator, dtype=np.float32):
        self.weight = uniform(rng, (outputs, inputs // groups, kernel, kernel), inputs // groups * kernel ** 2, dtype)
        self.bias = uniform(rng, (outputs,), fan_in(self.weight.shape), dtype) if bias else None
        self.how = {"stride": stride, "padding": padding, "groups": groups}

    def __call__(self, x):
        """(N, inputs, H, W) → (N, outputs, oh, ow)."""
        y = conv2d(x, self.weight, **self.how)
        return y if self.bias is None else y + self.bias.reshape(1, -1, 1, 1)


class BatchNorm2d(Layer):
    """Bring each channel to mean 0 and variance 1, then to a mean and a scale that learn.

    In training by the moments of the batch, which the running ones follow: r ← (1 − momentum)·r + momentum·batch, with
    the variance over n − 1.  In use by the running ones.
    """

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1, dtype=np.float32):
        self.weight, self.bias = parameter(np.ones(channels), dtype), parameter(np.zeros(channels), dtype)
        self.running_mean, self.running_var = np.zeros(channels, dtype), np.ones(channels, dtype)
        self.eps, self.momentum = eps, momentum

    def __call__(self, x):
        """(N, channels, H, W) → the same shape; in training the running moments move."""
        mean, variance = functions.moments(x) if self.training else (self.running_mean, self.running_var)
        if self.training:
            self._follow(mean.data, variance.data, x.size // x.shape[1])
        return functions.normalise(x, mean, variance, self.weight, self.bias, self.eps)

    def _follow(self, mean: np.ndarray, variance: np.ndarray, n: int) -> None:
        if n < 2:
            raise ValueError("batch norm in training needs at least 2 values a channel: take a larger batch, or eval()")
        self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
        self.running_var = (1 - self.momentum) * self.running_var + self.momentum * variance * (n / (n - 1))


class ReLU(Layer):
    """max(x, 0)."""

    def __call__(self, x):
        """Any shape → the same."""
        return relu(x)


class Flatten(Layer):
    """One axis of all but the first."""

    def __call__(self, x):
        """(N, …) → (N, all the rest)."""
        return x.reshape(len(x), -1)


class MaxPool2d(Layer):
    """Largest of each window, see `pooling.max_pool2d`."""

    def __init__(self, kernel, stride=None, padding=0):
        self.how = (kernel, stride, padding)

    def __call__(self, x):
        """(N, C, H, W) → (N, C, oh, ow)."""
        return pooling.max_pool2d(x, *self.how)


class AvgPool2d(Layer):
    """Mean of each window, see `pooling.avg_pool2d`."""

    def __init__(self, kernel, stride=None, padding=0):
        self.how = (kernel, stride, padding)

    def __call__(self, x):
        """(N, C, H, W) → (N, C, oh, ow)."""
        return pooling.avg_pool2d(x, *self.how)


class AdaptiveAvgPool2d(Layer):
    """Means over a grid of windows, see `pooling.adaptive_avg_pool2d`."""

    def __init__(self, size=1):
        self.size = size

    def __call__(self, x):
        """(N, C, H, W) → (N, C, *size)."""
        return pooling.adaptive_avg_pool2d(x, self.size)


class Dropout(Layer):
    """In training drop each entry with probability p, see `functions.dropout`; in use do nothing."""

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator):
        if not 0 <= p < 1:
            raise ValueError(f"p={p}: give a probability in [0, 1)")
        self.p, self.rng = p, rng

    def __call__(self, x):
        """Any shape → the same."""
        return functions.dropout(x, self.p, self.rng) if self.training else x
