"""A net that is a chain of layers, written as a table, one row a layer.

    rows, shape of one image  →  modules in order, named by kind and number: conv1, relu1, pool1, conv2, …, logits

Each row knows the shape that it makes of the one it gets, so a table that cannot be built says at which row, and why.
`same` is what TensorFlow and Keras call so: ⌈n / stride⌉ positions.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, ...]                                      # channels, height, width; or features


class Conv(NamedTuple):
    """A square convolution and its ReLU; `same` pads by half the odd kernel, else the kernel stays inside."""

    channels: int
    kernel: int
    stride: int = 1
    same: bool = False

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        return self.channels, *(positions(n, self.kernel, self.stride, self.same) for n in shape[1:])

    def modules(self, shape: Shape) -> Iterator[tuple[str, nn.Module]]:
        """Kind and module, in order."""
        padding = self.kernel // 2 if self.same else 0
        yield "conv", nn.Conv2d(shape[0], self.channels, self.kernel, self.stride, padding)
        yield "relu", nn.ReLU()


class MaxPool(NamedTuple):
    """The largest value of each window."""

    kernel: int
    stride: int
    same: bool = False

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        return shape[0], *(positions(n, self.kernel, self.stride, self.same) for n in shape[1:])

    def modules(self, shape: Shape) -> Iterator[tuple[str, nn.Module]]:
        """Kind and module, in order."""
        yield "pool", (SameMaxPool if self.same else nn.MaxPool2d)(self.kernel, self.stride)


class Flatten(NamedTuple):
    """A map becomes one long vector."""

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        return shape[0] * shape[1] * shape[2],

    def modules(self, shape: Shape) -> Iterator[tuple[str, nn.Module]]:
        """Kind and module, in order."""
        yield "flatten", nn.Flatten()


class Dense(NamedTuple):
    """A fully connected layer and its ReLU; in training, this share of its values is zeroed."""

    features: int
    dropout: float = 0.0

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output."""
        return self.features,

    def modules(self, shape: Shape) -> Iterator[tuple[str, nn.Module]]:
        """Kind and module, in order."""
        yield "fc", nn.Linear(shape[0], self.features)
        yield "relu", nn.ReLU()
        if self.dropout:
            yield "dropout", nn.Dropout(self.dropout)


class SameMaxPool(nn.MaxPool2d):
    """Max pooling with ⌈n / stride⌉ positions; the rim that it adds, the smaller half left and above, never wins."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, ⌈H / stride⌉, ⌈W / stride⌉)."""
        rows, columns = (max((positions(n, self.kernel_size, self.stride, True) - 1) * self.stride
                             + self.kernel_size - n, 0) for n in x.shape[2:])
        rim = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        return super().forward(F.pad(x, rim, value=float("-inf")))


def positions(n: int, kernel: int, stride: int, same: bool) -> int:
    """How many windows a side of n holds: 0 or less where not even one fits.

    >>> positions(32, 11, 4, same=False), positions(6, 3, 2, same=True), positions(2, 3, 2, same=False)
    (6, 3, 0)
    """
    return -(-n // stride) if same else (n - kernel) // stride + 1


def chain(rows: Iterable[Conv | MaxPool | Flatten | Dense], shape: Shape, classes: int) -> OrderedDict[str, nn.Module]:
    """Build the modules of a table, and behind them the logits: one score a class, no softmax.

    Parameters
    ----------
    rows : the table
    shape : channels, height and width of an image
    classes : how many logits

    Raises
    ------
    ValueError : a window is larger than the map that it gets.

    Examples
    --------
    >>> list(chain([Conv(6, 5), MaxPool(2, 2), Flatten(), Dense(84)], shape=(1, 28, 28), classes=10))
    ['conv1', 'relu1', 'pool1', 'flatten1', 'fc1', 'relu2', 'logits']
    """
    made, counts = OrderedDict(), {}
    for number, row in enumerate(rows, 1):
        output = row.shape(shape)
        if min(output) < 1:
            raise ValueError(f"row {number}, {row}, gets a map of {shape[1]} × {shape[2]}, smaller than its window: "
                             "give it same=True, or a larger image, or a smaller stride to the rows before it")
        for kind, module in row.modules(shape):
            counts[kind] = counts.get(kind, 0) + 1
            made[f"{kind}{counts[kind]}"] = module
        shape = output
    made["logits"] = nn.Linear(shape[0], classes)
    return made
