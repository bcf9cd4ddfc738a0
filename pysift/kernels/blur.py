"""The separable blur of step 1.

    strip of 512 columns → rows blurred along x, into a block that the innermost cache holds
                         → each output row from the 2n + 1 block rows about it → its difference

The radius travels as a tuple of n zeros: the length of a tuple is part of its type, so numba compiles each
kernel once per radius and unrolls the sums over the taps into straight vector code, two to three times as
fast as a loop.  tests/oracle.py has the plain formula.  What is fused into one rounding and what is not
follows cv2 to the bit (docs/deviations.md, 8): its vector loops fuse, the scalar code for the last columns
fuses what its compiler happened to.

imports: kernels.arithmetic
"""
from __future__ import annotations

import numpy as np
from numba import njit

from pysift.kernels.arithmetic import compiled_apart, fma

_STRIP = 512                                        # columns, a multiple of 8
_BLOCK = 64                                         # rows


@njit(cache=True, nogil=True)
def blur_rows(image, along_x, along_y, radius, out, difference, first, last):
    """Blur rows first … last − 1 of (H, W) float32 into `out`; write out − image into `difference`.

    `along_x`, `along_y` are (2n + 1,) float32 with n = len(radius), or (1,) along an axis of one pixel;
    `difference` may have no rows, then it is left out.
    """
    h, w = image.shape
    ny = len(along_y) // 2
    block = whole_lines(_BLOCK + 2 * ny)
    for left in range(0, w, _STRIP):
        ready = first - ny                                           # rows before this one stand in the block
        for top in range(first, last, _BLOCK):
            bottom = min(top + _BLOCK, last)
            for y in range(top - ny, ready):
                block[y - top + ny] = block[y - top + ny + _BLOCK]
            blur_along_x(image, along_x, radius, left, ready, bottom + ny, block[ready - top + ny:])
            ready = bottom + ny
            blur_along_y(block, along_y, radius, left, top, bottom, out)
            if len(difference) > 0:
                subtract(out, image, left, top, bottom, difference)


@njit(cache=True)
def whole_lines(rows):
    """Return an empty (rows, _STRIP) float32 array that starts on a cache line; loads across two cost double."""
    values = np.empty(rows * _STRIP + 16, np.float32)
    skip = -(values.ctypes.data // 4) % 16
    return values[skip:skip + rows * _STRIP].reshape(rows, _STRIP)


@njit(cache=True)
def blur_along_x(image, kernel, radius, left, first, last, block):
    """block[y, x] = Σ_j g[j] · image[first + y, left + x + j − n],  j = 0 … 2n in this order, mirrored outside.

    Fused but in the last W mod 4 columns.
    """
    compiled_apart()
    h, w = image.shape
    n = len(radius)
    right = min(left + _STRIP, w)
    body = min(right, w - w % 4) - left
    line = np.empty(_STRIP + 2 * n, np.float32)
    inside = left >= n and right + n <= w
    for y in range(first, last):
        row, result = image[mirror(y, h)], block[y - first, :right - left]
        if n <= 2 or len(kernel) == 1:
            cut_line(row, left - len(kernel) // 2, line[:right - left + len(kernel) - 1])
            short_row(line, kernel, w - left, result)
            continue
        if not inside:
            cut_line(row, left - n, line[:right - left + 2 * n])
        source = row[left - n:right + n] if inside else line[:right - left + 2 * n]
        for x in range(body):
            total = source[x] * kernel[0]
            for j in range(1, 2 * n + 1):
                total = fma(source[x + j], kernel[j], total)
            result[x] = total
        if body < right - left:
            row_end(source, kernel, body, result)


@njit(cache=True)
def blur_along_y(block, kernel, radius, left, first, last, out):
    """out[y, left + x] = g[n] · row_n[x] + Σ_j g[n + j] · (row_{n+j}[x] + row_{n−j}[x]),  j = 1 … n in this order.

    row_k is block[y − first + k].  Fused but in the last W mod 8 columns.
    """
    compiled_apart()
    n, w = len(radius), out.shape[1]
    right = min(left + _STRIP, w)
    body = min(right, w - w % 8) - left
    for y in range(first, last):
        result, rows = out[y, left:right], block[y - first:y - first + 2 * n + 1]
        if n <= 1 or len(kernel) == 1:
            short_column(rows, kernel, result)
            continue
        flat = rows.reshape(-1)
        for x in range(body):
            total = flat[x + n * _STRIP] * kernel[n]
            for j in range(n):
                pair = flat[x + (n + 1) * _STRIP + j * _STRIP] + flat[x + (n - 1) * _STRIP - j * _STRIP]
                total = fma(pair, kernel[n + 1 + j], total)
            result[x] = total
        if body < right - left:
            column_end(rows, kernel, body, result)


@njit(cache=True)
def mirror(i, n):
    """Reflect-101: index i of an endless mirror of n pixels, edge pixels not repeated."""
    if n == 1:
        return 0
    while i < 0 or i >= n:
        i = -i if i < 0 else 2 * n - 2 - i
    return i


@njit(cache=True)
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


@njit(cache=True)
def subtract(after, before, left, first, last, difference):
    """Write difference = after − before on rows first … last − 1 of the strip that starts at column `left`."""
    compiled_apart()
    right = min(left + _STRIP, after.shape[1])
    for y in range(first, last):
        a, b, result = after[y, left:right], before[y, left:right], difference[y, left:right]
        for x in range(len(result)):
            result[x] = a[x] - b[x]


@njit(cache=True)
def row_end(line, kernel, body, out):
    """out[x] = Σ_j g[j] · line[x + j] for the columns from `body` on, scalar code in cv2.

    Its compiler takes products four at a time, unfused, and fuses the last 2n mod 4 that are left over.
    """
    n = len(kernel) // 2
    for x in range(body, len(out)):
        total = line[x] * kernel[0]
        for j in range(1, 2 * n + 1):
            fused = j > 2 * n - 2 * n % 4
            total = fma(line[x + j], kernel[j], total) if fused else total + line[x + j] * kernel[j]
        out[x] = total


@njit(cache=True)
def column_end(rows, kernel, body, out):
    """out[x] = g[n] · row_n[x] + Σ_j g[n + j] · (row_{n+j}[x] + row_{n−j}[x]) from `body` on, unfused in cv2."""
    n = len(kernel) // 2
    for x in range(body, len(out)):
        total = rows[n, x] * kernel[n]
        for j in range(1, n + 1):
            total += (rows[n + j, x] + rows[n - j, x]) * kernel[n + j]
        out[x] = total


@njit(cache=True)
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


@njit(cache=True)
def short_column(rows, kernel, out):
    """A column blurred by 1 or 3 taps; cv2 fuses them in every column."""
    n = len(kernel) // 2
    for x in range(len(out)):
        total = rows[n, x] * kernel[n]
        if n == 1:
            total = fma(rows[0, x] + rows[2, x], kernel[2], total)
        out[x] = total                               # once: a neighbouring band may be reading the same row
