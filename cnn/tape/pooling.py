"""Pooling: an image made smaller by the largest, or the mean, of its windows.

    max         which entry is the largest is held fixed, then reading it is linear: an index
    mean        a depthwise convolution with the kernel 1/(kh·kw)
    adaptive    a mean over as many windows as asked for, whatever the size of the image: A x Bᵀ

So none of them needs a rule of its own.

imports: engine, shaping, reductions, windows, conv
"""
from __future__ import annotations

import numpy as np

from cnn.tape.conv import conv2d
from cnn.tape.engine import Tensor
from cnn.tape.reductions import matmul
from cnn.tape.shaping import index, reshape
from cnn.tape.windows import Window, pad_last


def max_pool2d(x: Tensor, kernel, stride=None, padding=0) -> Tensor:
    """Return the largest entry of each window; at a tie the first in reading order has the derivative.

    Parameters
    ----------
    x : (N, C, H, W)
    kernel, stride, padding : int or (vertical, horizontal), pixels; the stride is the kernel unless given, and the
        padding, at most half the kernel, is never the largest

    Returns
    -------
    (N, C, oh, ow)

    Raises
    ------
    ValueError : an image smaller than the window; a padding of more than half the kernel

    >>> max_pool2d(Tensor(np.arange(16.0).reshape(1, 1, 4, 4)), 2).data
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    window = Window.of(kernel, kernel if stride is None else stride, padding)
    if any(2 * p > k for p, k in zip(window.padding, window.kernel)):
        raise ValueError(f"padding={window.padding} is more than half of kernel={window.kernel}: "
                         "a window would see nothing but padding")
    return reshape(index(reshape(x, shape=(-1,)), key=_where_largest(x.data, window)),
                   shape=x.shape[:2] + window.output(*x.shape[2:]))


def _where_largest(x: np.ndarray, window: Window) -> np.ndarray:
    """Return the place in x, flat, of the first largest entry of each window, in the order of (N, C, oh, ow)."""
    size = window.output(*x.shape[2:])
    padded = pad_last(x, window.padding, fill=-np.inf)
    places = pad_last(np.arange(x.size).reshape(x.shape), window.padding)
    largest, where = None, None
    for _, _, rows, cols in window.taps(size):
        seen, at = padded[:, rows, cols], places[:, rows, cols]
        if largest is None:
            largest, where = seen.copy(), at.copy()
        else:
            larger = (seen > largest) | np.isnan(seen)
            np.copyto(largest, seen, where=larger)
            np.copyto(where, at, where=larger)
    return where.transpose(3, 0, 1, 2).reshape(-1)


def avg_pool2d(x: Tensor, kernel, stride=None, padding=0) -> Tensor:
    """Return the mean of each window, zeros of the padding counted; arguments as for `max_pool2d`.

    >>> avg_pool2d(Tensor(np.arange(16.0).reshape(1, 1, 4, 4)), 2).data
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    window = Window.of(kernel, kernel if stride is None else stride, padding)
    channels, taps = x.shape[1], window.kernel[0] * window.kernel[1]
    kernels = np.full((channels, 1, *window.kernel), 1 / taps, x.dtype)
    return conv2d(x, kernels, stride=window.stride, padding=window.padding, groups=channels)


def adaptive_avg_pool2d(x: Tensor, size=1) -> Tensor:
    """Return the means over a grid of size × size windows, whatever the size of the image.

    Window i of n covers the pixels ⌊i·H/n⌋ … ⌈(i + 1)·H/n⌉ − 1; they overlap where n does not divide H.

    Parameters
    ----------
    x : (N, C, H, W)
    size : int or (vertical, horizontal)

    >>> adaptive_avg_pool2d(Tensor(np.arange(12.0).reshape(1, 1, 3, 4)), (1, 2)).data
    array([[[[4.5, 6.5]]]])
    """
    height, width = (size, size) if isinstance(size, int) else size
    rows, cols = _means(x.shape[2], height).astype(x.dtype), _means(x.shape[3], width).astype(x.dtype)
    return matmul(matmul(rows, x), cols.T)


def _means(length: int, count: int) -> np.ndarray:
    """(count, length): each row takes the mean over its window."""
    if count < 1:
        raise ValueError(f"size={count}: give a whole number of at least 1")
    first, last = np.arange(count) * length // count, -(-(np.arange(count) + 1) * length // count)
    inside = (np.arange(length) >= first[:, None]) & (np.arange(length) < last[:, None])
    return inside / inside.sum(1, keepdims=True)
