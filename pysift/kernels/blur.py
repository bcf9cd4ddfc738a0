"""The separable blur of step 1.

    strip of 512 columns → 32 rows blurred along x, below the last 2n of the block before
                         → four output rows at a time from the 2n + 4 rows about them

`Lanes` are sixteen columns.  Four sums run side by side: along x they hide the time that one takes, along y a row
of the block serves all four.  The radius travels as a tuple of n zeros: the length of a tuple is part of its type,
so numba compiles each kernel once per radius and LLVM unrolls the sums over the taps.  Rows blurred along x are
kept from one call to the next.  tests/oracle.py has the plain formula.  What is fused into one rounding and what
is not follows cv2 to the bit (docs/deviations.md, 8): its vector loops fuse, the scalar code for the last columns
fuses what its compiler happened to.

imports: kernels, kernels.arithmetic, kernels.lanes, kernels.memory
"""
from __future__ import annotations

import numpy as np

from pysift.kernels import njit
from pysift.kernels.arithmetic import compiled_apart, fma
from pysift.kernels.lanes import LANES, splat
from pysift.kernels.memory import load, store, store_first, whole_lines

_STRIP = 512                        # columns, a multiple of 64
_PITCH = _STRIP + LANES             # of a row in the block: a power of two would map all rows to the same cache lines
_GROUP = 4 * LANES                  # columns of a row summed side by side
_BLOCK = 32                         # rows, a multiple of 4


def empty_blocks(width: int, n: int) -> np.ndarray:
    """Return room for the rows blurred along x, (strips, 32 + 2n, 528) float32, each row on a cache line of its own."""
    shape = (-(-width // _STRIP), _BLOCK + 2 * n, _PITCH)
    return whole_lines(shape[0] * shape[1] * shape[2]).reshape(shape)


@njit(nogil=True)
def blur_rows(image, along_x, along_y, radius, out, blocks, fresh, first, last):
    """Blur rows first … last − 1 of (H, W) float32 into `out`.

    `along_x`, `along_y` are (2n + 1,) float32 with n = len(radius), or (1,) along an axis of one pixel.  `blocks`
    comes from `empty_blocks`; unless `fresh`, it stands as the call that ended with row first − 1 left it.
    """
    n = len(along_y) // 2
    for strip in range(len(blocks)):
        block, left = blocks[strip], strip * _STRIP
        ready = first - n if fresh else first + n                    # rows before this one stand in the block
        for top in range(first, last, _BLOCK):
            bottom = min(top + _BLOCK, last)
            blur_along_x(image, along_x, radius, left, ready, bottom + n, block[ready - top + n:])
            blur_along_y(block, along_y, radius, left, top, bottom, out)
            for y in range(2 * n):
                block[y] = block[y + bottom - top]
            ready = bottom + n


@njit()
def blur_along_x(image, kernel, radius, left, first, last, block):
    """block[y, x] = Σ_j g[j] · image[first + y, left + x + j − n],  j = 0 … 2n in this order, mirrored outside.

    Fused but in the last W mod 4 columns.  What a row of the block holds beyond the image is of no meaning.
    """
    compiled_apart()
    h, w = image.shape
    n, width = len(kernel) // 2, min(_STRIP, w - left)
    line = np.zeros(max(_STRIP, _GROUP) + 2 * len(radius), np.float32)
    for y in range(first, last):
        row, result = image[mirror(y, h)], block[y - first]
        if n <= 2:
            cut_line(row, left - n, line[:width + 2 * n])
            short_row(line, kernel, w - left, result[:width])
            continue
        for x in range(0, width, _GROUP):
            start = left + x - n
            if start >= 0 and start + _GROUP + 2 * n <= w:
                sum_taps(row, start, kernel, radius, result, x)
            else:
                cut_line(row, start, line[:_GROUP + 2 * n])
                sum_taps(line, 0, kernel, radius, result, x)
        if left + width == w and w % 4:
            cut_line(row, w - w % 4 - n, line[:w % 4 + 2 * n])
            row_end(line, kernel, result[width - w % 4:width])


@njit()
def sum_taps(source, at, kernel, radius, result, x):
    """Sixty-four columns of a row: result[x + i] = Σ_j g[j] · source[at + i + j]."""
    tap = splat(kernel[0])
    t0, t1 = load(source, at) * tap, load(source, at + LANES) * tap
    t2, t3 = load(source, at + 2 * LANES) * tap, load(source, at + 3 * LANES) * tap
    for j in range(at + 1, at + 2 * len(radius) + 1):
        tap = splat(kernel[j - at])
        t0, t1 = fma(load(source, j), tap, t0), fma(load(source, j + LANES), tap, t1)
        t2, t3 = fma(load(source, j + 2 * LANES), tap, t2), fma(load(source, j + 3 * LANES), tap, t3)
    store(result, x, t0)
    store(result, x + LANES, t1)
    store(result, x + 2 * LANES, t2)
    store(result, x + 3 * LANES, t3)


@njit()
def blur_along_y(block, kernel, radius, left, first, last, out):
    """out[y, left + x] = g[n] · row_n[x] + Σ_j g[n + j] · (row_{n+j}[x] + row_{n−j}[x]),  j = 1 … n in this order.

    row_k is block[y − first + k].  Fused but in the last W mod 8 columns.
    """
    compiled_apart()
    n, w = len(radius), out.shape[1]
    right = min(left + _STRIP, w)
    body = min(right, w - w % 8) - left
    flat = block.reshape(-1)
    if n <= 1 or len(kernel) == 1:
        for y in range(first, last):
            short_column(block[y - first:y - first + 2 * n + 1], kernel, out[y, left:right])
        return
    for y in range(first, last, 4):                     # rows past the last are summed, not stored
        for x in range(0, body, LANES):
            centre = (y - first + n) * _PITCH + x
            tap = splat(kernel[n])
            t0, t1 = load(flat, centre) * tap, load(flat, centre + _PITCH) * tap
            t2, t3 = load(flat, centre + 2 * _PITCH) * tap, load(flat, centre + 3 * _PITCH) * tap
            for j in range(1, n + 1):
                tap, above, below = splat(kernel[n + j]), centre - j * _PITCH, centre + j * _PITCH
                t0 = fma(load(flat, below) + load(flat, above), tap, t0)
                t1 = fma(load(flat, below + _PITCH) + load(flat, above + _PITCH), tap, t1)
                t2 = fma(load(flat, below + 2 * _PITCH) + load(flat, above + 2 * _PITCH), tap, t2)
                t3 = fma(load(flat, below + 3 * _PITCH) + load(flat, above + 3 * _PITCH), tap, t3)
            store_first(out[y], left + x, t0, body - x)
            if y + 1 < last:
                store_first(out[y + 1], left + x, t1, body - x)
            if y + 2 < last:
                store_first(out[y + 2], left + x, t2, body - x)
            if y + 3 < last:
                store_first(out[y + 3], left + x, t3, body - x)
    if body < right - left:
        for y in range(first, last):
            column_end(block[y - first:y - first + 2 * n + 1], kernel, body, out[y, left:right])


@njit()
def mirror(i, n):
    """Reflect-101: index i of an endless mirror of n pixels, edge pixels not repeated."""
    if n == 1:
        return 0
    while i < 0 or i >= n:
        i = -i if i < 0 else 2 * n - 2 - i
    return i


@njit()
def cut_line(row, start, line):
    """line[x] = row[start + x], mirrored where that lies outside."""
    w, n = len(row), len(line)
    head, tail = min(max(-start, 0), n), max(min(w - start, n), 0)
    source, target = row[start + head:start + tail], line[head:tail]
    for x in range(len(target)):
        target[x] = source[x]
    for x in range(head):
        line[x] = row[mirror(start + x, w)]
    for x in range(tail, n):
        line[x] = row[mirror(start + x, w)]


@njit()
def row_end(line, kernel, out):
    """out[x] = Σ_j g[j] · line[x + j] for the last W mod 4 columns, scalar code in cv2.

    Its compiler takes products four at a time, unfused, and fuses the last 2n mod 4 that are left over.
    """
    n = len(kernel) // 2
    for x in range(len(out)):
        total = line[x] * kernel[0]
        for j in range(1, 2 * n + 1):
            fused = j > 2 * n - 2 * n % 4
            total = fma(line[x + j], kernel[j], total) if fused else total + line[x + j] * kernel[j]
        out[x] = total


@njit()
def column_end(rows, kernel, body, out):
    """out[x] = g[n] · row_n[x] + Σ_j g[n + j] · (row_{n+j}[x] + row_{n−j}[x]) from `body` on, unfused in cv2."""
    n = len(kernel) // 2
    for x in range(body, len(out)):
        total = rows[n, x] * kernel[n]
        for j in range(1, n + 1):
            total += (rows[n + j, x] + rows[n - j, x]) * kernel[n + j]
        out[x] = total


@njit()
def short_row(line, kernel, width, out):
    """A row blurred by 1, 3 or 5 taps, which cv2 sums in pairs: g₁·(a₁ + b₁), then + g₀·c, then + g₂·(a₂ + b₂).

    The last of an odd `width` is scalar code in cv2: the centre first, and no fusing of five taps.
    """
    n = len(kernel) // 2
    for x in range(len(out)):
        centre = line[x + n] * kernel[n]
        pair = line[x + n - 1] + line[x + n + 1] if n > 0 else np.float32(0)
        wide = line[x] + line[x + 2 * n]
        scalar = x == width - 1 and width % 2 == 1
        if n == 0:
            out[x] = centre
        elif n == 1:
            out[x] = fma(pair, kernel[2], centre) if scalar else fma(line[x + 1], kernel[1], pair * kernel[2])
        elif scalar:
            out[x] = centre + pair * kernel[3] + wide * kernel[4]
        else:
            out[x] = fma(wide, kernel[4], fma(line[x + 2], kernel[2], pair * kernel[3]))


@njit()
def short_column(rows, kernel, out):
    """A column blurred by 1 or 3 taps; cv2 fuses them in every column."""
    n = len(kernel) // 2
    for x in range(len(out)):
        total = rows[n, x] * kernel[n]
        if n == 1:
            total = fma(rows[0, x] + rows[2, x], kernel[2], total)
        out[x] = total                               # once: a neighbouring band may be reading the same row
