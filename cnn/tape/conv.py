"""Convolution three ways: the formula, as a product of matrices, and its adjoints.

    y[n, f, i, j] = Σ_{c, p, q}  w[f, c, p, q] · x[n, c′, s·i + d·p − pad, s·j + d·q − pad]       0 outside the image

f belongs to group ⌊f·G/F⌋ and sees the C/G channels of that group only: c′ = group·C/G + c.  G = C is depthwise.  (As
in every network library it is a correlation: the kernel is not turned round.)

    conv2d_loops    the formula, loop for loop: to be read and to judge the others, not to be used
    conv2d          im2col, then a product:              y = W·im2col(x)
    conv2d_input    its adjoint in x:                    x̄ = col2im(Wᵀ·ȳ)
    conv2d_weight   its adjoint in w:                    W̄ = ȳ·im2col(x)ᵀ

With T(x, w, g) = ⟨g, conv2d(x, w)⟩, linear in each of the three, each operation is what stands beside the third
argument once two are given.  So each one's derivatives are the other two, and gradients of gradients need no new rule.

At a stride of 1 the adjoint in x is a convolution too, of ȳ with the kernel turned round, filters and channels
exchanged and padding d·(k − 1) − pad.  Taken where its columns are copied by whole rows, it has nothing to add up.

imports: registry, windows
Source  V. Dumoulin, F. Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, §2 and §4
"""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnn.tape.registry import op
from cnn.tape.windows import Window, col2im, im2col, im2col_rows

_BLOCK = 2 ** 17                # values of the images taken at a time, half a megabyte; columns are kh·kw/s² times that


def conv2d_loops(x: np.ndarray, w: np.ndarray, *, stride=1, padding=0, dilation=1, groups=1) -> np.ndarray:
    """Convolve arrays by the formula; arguments as for `conv2d`."""
    window = _window(x.shape, w.shape, stride, padding, dilation, groups)
    (count, _, height, width), (filters, depth, _, _) = x.shape, w.shape
    y = np.zeros((count, filters, *window.output(height, width)), x.dtype)
    for n, f, i, j in np.ndindex(y.shape):
        for c, p, q in np.ndindex(w.shape[1:]):
            row = window.stride[0] * i + window.dilation[0] * p - window.padding[0]
            col = window.stride[1] * j + window.dilation[1] * q - window.padding[1]
            if 0 <= row < height and 0 <= col < width:
                y[n, f, i, j] += w[f, c, p, q] * x[n, f * groups // filters * depth + c, row, col]
    return y


@op(lambda g, y, x, w, **how: conv2d_input(g, w, shape=x.shape, **how),
    lambda g, y, x, w, **how: conv2d_weight(g, x, shape=w.shape, **how))
def conv2d(x, w, *, stride=1, padding=0, dilation=1, groups=1):
    """Convolve images with filters; linear in each of the two.

    Parameters
    ----------
    x : (N, C, H, W)
    w : (F, C/groups, kh, kw)
    stride, padding, dilation : int or (vertical, horizontal), pixels; padding with zeros on each side
    groups : int, divides C and F

    Returns
    -------
    (N, F, oh, ow) with oh = ⌊(H + 2·padding − dilation·(kh − 1) − 1)/stride⌋ + 1

    Raises
    ------
    ValueError : channels that do not fit; an image smaller than the window

    >>> conv2d(np.ones((1, 2, 5, 5)), np.ones((3, 2, 3, 3)), stride=2).shape
    (1, 3, 2, 2)
    """
    return _conv2d(x, w, _window(x.shape, w.shape, stride, padding, dilation, groups), groups)


@op(lambda z, x, g, w, *, shape, **how: conv2d(z, w, **how),
    lambda z, x, g, w, *, shape, **how: conv2d_weight(g, z, shape=w.shape, **how))
def conv2d_input(g, w, *, shape, stride=1, padding=0, dilation=1, groups=1):
    """Return x̄ for the cotangent g of conv2d(x, w), x of the given shape; also called transposed convolution."""
    window = _window(shape, w.shape, stride, padding, dilation, groups)
    turned = window.turned()
    if turned.fits_rows(g.shape[3]) and len(w) <= shape[1]:         # more filters than channels: more columns
        return _conv2d(g, _turned(w, groups), turned, groups)
    x = np.empty(shape, np.result_type(g, w))
    matrices = w.reshape(groups, -1, w[0].size).transpose(0, 2, 1)
    for some in _blocks(shape):
        columns = _product(matrices, _as_matrices(g[some], groups, g.shape[3]))
        x[some] = col2im(columns.reshape(shape[1], *window.kernel, *g.shape[2:], -1), x[some].shape, window)
    return x


@op(lambda z, w, g, x, *, shape, **how: conv2d(x, z, **how),
    lambda z, w, g, x, *, shape, **how: conv2d_input(g, z, shape=x.shape, **how))
def conv2d_weight(g, x, *, shape, stride=1, padding=0, dilation=1, groups=1):
    """Return w̄ for the cotangent g of conv2d(x, w), w of the given shape."""
    window = _window(x.shape, shape, stride, padding, dilation, groups)
    filters, taps = shape[0], int(np.prod(shape[1:]))
    w = np.zeros((groups, filters // groups, taps), np.result_type(g, x))
    for some in _blocks(x.shape):
        columns = _columns(x[some], window)
        w += (_as_matrices(g[some], groups, columns.shape[4])
              @ columns.reshape(groups, taps, -1).transpose(0, 2, 1))
    return w.reshape(shape)


def _conv2d(x: np.ndarray, w: np.ndarray, window: Window, groups: int) -> np.ndarray:
    """Multiply the filters by the columns, a block of images at a time."""
    size = window.output(*x.shape[2:])
    y = np.empty((len(x), len(w), *size), np.result_type(x, w))
    for some in _blocks(x.shape):
        columns = _columns(x[some], window)
        product = w.reshape(groups, -1, w[0].size) @ columns.reshape(groups, w[0].size, -1)
        y[some] = product.reshape(len(w), *columns.shape[3:])[:, :, :size[1]].transpose(3, 0, 1, 2)
    return y


def _turned(w: np.ndarray, groups: int) -> np.ndarray:
    """(F, C/groups, kh, kw) → (C, F/groups, kh, kw), the kernel turned round."""
    filters, depth, *kernel = w.shape
    turned = w.reshape(groups, -1, depth, *kernel).swapaxes(1, 2)[..., ::-1, ::-1]
    return np.ascontiguousarray(turned).reshape(groups * depth, -1, *kernel)


def _columns(x: np.ndarray, window: Window) -> np.ndarray:
    """Return what each output pixel sees, by whole rows where that is faster."""
    return (im2col_rows if window.fits_rows(x.shape[3]) else im2col)(x, window)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a @ b; a column by a row, as in a depthwise convolution, is no work for BLAS."""
    return a * b if a.shape[-1] == 1 else a @ b


def _as_matrices(g: np.ndarray, groups: int, width: int) -> np.ndarray:
    """(N, F, oh, ow) → (groups, F/groups, oh·width·N), the order of the columns, zero past ow."""
    n, filters, height, w = g.shape
    if width == w:
        return g.transpose(1, 2, 3, 0).reshape(groups, filters // groups, -1)
    wide = np.zeros((filters, height, width, n), g.dtype)
    wide[:, :, :w] = g.transpose(1, 2, 3, 0)
    return wide.reshape(groups, filters // groups, -1)


def _blocks(shape: tuple) -> Iterator[slice]:
    """Yield runs of few enough images that their columns stay in the cache."""
    step = max(1, _BLOCK // int(np.prod(shape[1:])))
    return (slice(first, first + step) for first in range(0, shape[0], step))


def _window(x_shape: tuple, w_shape: tuple, stride, padding, dilation, groups: int) -> Window:
    """Return the window of a convolution, once the shapes are known to fit."""
    if len(x_shape) != 4 or len(w_shape) != 4:
        raise ValueError(f"images {x_shape} and filters {w_shape} must be (N, C, H, W) and (F, C/groups, kh, kw)")
    if groups < 1 or x_shape[1] != w_shape[1] * groups or w_shape[0] % groups:
        raise ValueError(f"filters {w_shape} in {groups} groups need {w_shape[1] * groups} channels and a multiple of "
                         f"{groups} filters, for images {x_shape}")
    return Window.of(w_shape[2:], stride, padding, dilation)
