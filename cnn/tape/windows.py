"""Windows on images: where a kernel looks, as columns of a matrix (im2col), and the way back (col2im).

    output pixel (i, j) sees input pixel  (s·i + d·p − pad, s·j + d·q − pad)  at its tap (p, q);  0 outside the image

im2col writes what each output pixel sees into a column, so that a convolution is a product of matrices.  It reads a
pixel up to kh·kw times; its adjoint col2im therefore adds up what comes back to a pixel from every column that read it:

    ⟨im2col(x), c⟩ = ⟨x, col2im(c)⟩

Images are (N, C, H, W).  Columns are (C, kh, kw, oh, ow, N): as a matrix, (C·kh·kw) × (oh·ow·N).  With the images
last, a tap of many small images is one long run in memory.

imports: numpy only
Source  K. Chellapilla, S. Puri, P. Simard, High Performance CNNs for Document Processing, IWFHR 2006, §3.1
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

Pair = tuple[int, int]


class Window(NamedTuple):
    """Where a kernel looks; each a pair (vertical, horizontal), in pixels of the input."""

    kernel: Pair
    stride: Pair        # from one output pixel to the next
    padding: Pair       # zeros on each side
    dilation: Pair      # from one tap to the next

    @classmethod
    def of(cls, kernel, stride=1, padding=0, dilation=1) -> Window:
        """Make one of numbers or pairs.

        Raises
        ------
        ValueError : a kernel, stride or dilation below 1, a padding below 0
        """
        window = cls(*((p, p) if isinstance(p, int) else tuple(p) for p in (kernel, stride, padding, dilation)))
        for name, pair, least in zip(cls._fields, window, (1, 1, 0, 1)):
            if len(pair) != 2 or min(pair) < least:
                raise ValueError(f"{name}={pair}: give a whole number of at least {least}, or a pair of them")
        return window

    def reach(self) -> Pair:
        """Return the height and width of what one output pixel sees."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation))

    def output(self, height: int, width: int) -> Pair:
        """Return the height and width of the output, ⌊(H + 2·pad − reach)/s⌋ + 1.

        Raises
        ------
        ValueError : the padded image is smaller than the window

        >>> Window.of(3, stride=2, padding=1).output(8, 7)
        (4, 4)
        """
        size = tuple((n + 2 * p - r) // s + 1
                     for n, p, r, s in zip((height, width), self.padding, self.reach(), self.stride))
        if min(size) < 1:
            raise ValueError(f"an image of {height} × {width} with padding {self.padding} is smaller than the window "
                             f"of {self.reach()}: pad it, or take a smaller kernel or dilation")
        return size

    def turned(self) -> Window:
        """Return the window of the adjoint at a stride of 1, with d·(k − 1) − pad around."""
        return self._replace(padding=tuple(r - 1 - p for r, p in zip(self.reach(), self.padding)))

    def fits_rows(self, width: int) -> bool:
        """Return whether im2col_rows pays: at a stride of 1, with a ninth of a padded row past the output at most."""
        past = self.reach()[1] - 1
        return self.stride == (1, 1) and min(self.padding) >= 0 and 9 * past <= width + 2 * self.padding[1]

    def taps(self, size: Pair) -> Iterator[tuple[int, int, slice, slice]]:
        """Yield each tap (p, q), with the rows and columns of the padded image that the output pixels see there."""
        for p in range(self.kernel[0]):
            for q in range(self.kernel[1]):
                yield p, q, *(slice(d * t, d * t + s * n, s)
                              for d, t, s, n in zip(self.dilation, (p, q), self.stride, size))


def pad_last(x: np.ndarray, padding: Pair, fill: float = 0.0, below: int = 0) -> np.ndarray:
    """Put the images last and a border around each: (N, C, H, W) → (C, H + 2·pad, W + 2·pad, N); or more rows below."""
    (n, c, h, w), (above, left) = x.shape, padding
    padded = np.full((c, h + 2 * above + below, w + 2 * left, n), fill, x.dtype)
    padded[:, above:above + h, left:left + w] = x.transpose(1, 2, 3, 0)
    return padded


def im2col(x: np.ndarray, window: Window) -> np.ndarray:
    """Return what each output pixel sees: (N, C, H, W) → (C, kh, kw, oh, ow, N).

    >>> im2col(np.arange(9.0).reshape(1, 1, 3, 3), Window.of(2)).reshape(4, 4)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    n, c, h, w = x.shape
    size = window.output(h, w)
    if window.kernel == (1, 1) and window.padding == (0, 0):
        return x[:, :, ::window.stride[0], ::window.stride[1]].transpose(1, 2, 3, 0).reshape(c, 1, 1, *size, n)
    padded = pad_last(x, window.padding)
    columns = np.empty((c, *window.kernel, *size, n), x.dtype)
    for p, q, rows, cols in window.taps(size):
        columns[:, p, q] = padded[:, rows, cols]
    return columns


def im2col_rows(x: np.ndarray, window: Window) -> np.ndarray:
    """Return the columns for a stride of 1 with all pixels of a padded row as output pixels: (C, kh, kw, oh, W′, N).

    W′ = W + 2·pad.  A tap then is the whole padded image from its pixel (d·p, d·q) on: one long copy, where im2col
    makes one for each row.  Output pixels from ow on see past the end of their row, and are to be dropped.

    >>> im2col_rows(np.arange(9.0).reshape(1, 1, 3, 3), Window.of(2)).reshape(4, 2, 3)[3]       # bottom right
    array([[4., 5., 6.],
           [7., 8., 0.]])
    """
    n, c, h, w = x.shape
    padded = pad_last(x, window.padding, below=1).reshape(c, -1)
    width = w + 2 * window.padding[1]
    columns = np.empty((c, *window.kernel, window.output(h, w)[0], width, n), x.dtype)
    for p, q in np.ndindex(window.kernel):
        first = n * (window.dilation[0] * p * width + window.dilation[1] * q)
        columns[:, p, q] = padded[:, first:first + columns[0, 0, 0].size].reshape(c, -1, width, n)
    return columns


def col2im(columns: np.ndarray, shape: tuple[int, ...], window: Window) -> np.ndarray:
    """Add up at each pixel what all columns hold of it, the adjoint of im2col: → `shape`, (N, C, H, W).

    >>> col2im(np.ones((1, 2, 2, 2, 2, 1)), (1, 1, 3, 3), Window.of(2))[0, 0]       # how often each pixel was read
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    (n, c, h, w), (above, left) = shape, window.padding
    padded = np.zeros((c, h + 2 * above, w + 2 * left, n), columns.dtype)
    for p, q, rows, cols in window.taps(window.output(h, w)):
        padded[:, rows, cols] += columns[:, p, q]
    return padded[:, above:above + h, left:left + w].transpose(3, 0, 1, 2)
