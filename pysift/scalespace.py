"""Step 1 of 5: the Gaussian scale space.                               [Lowe §3; Anatomy Alg. 1–2]

    grey image → doubled → blurred to σ₀ → S + 2 further blurs
                             ↑                      │
                             └── every 2nd pixel ←──┘   next octave starts from level S

Level i of an octave carries the blur σ₀·2^(i/S) in that octave's pixels; their differences
D_i = L_{i+1} − L_i are taken where they are needed and not stored.  Grey levels run over 0 … 255 as
float32 throughout, as in cv2, and each sum is taken in cv2's order with cv2's fused multiply-adds
(docs/deviations.md, 8), so that every pixel is equal to the bit.

imports: params, threads, workspace, kernels.blur, kernels.upsample         Reads  image.grey_levels
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import numpy as np

from pysift.kernels.blur import blur_rows, empty_blocks
from pysift.kernels.upsample import double_rows, halve_rows
from pysift.params import SIFTParams
from pysift.threads import get_num_threads, over
from pysift.workspace import borrowed

Visit = Callable[[np.ndarray, int, int], object]

_ROWS = 64                                          # of a level at a time, or more where they are short
_GRAIN = 1 << 15                                    # pixels that are worth a call or a thread
_ALONE = np.ones(1, np.float32)                     # the kernel along one pixel, which is its own blur


@dataclass(frozen=True, eq=False)
class Octave:
    """One octave of the scale space; its pixel is 2^index input pixels wide."""

    index: int              # −1 for the doubled image
    levels: np.ndarray      # L (S + 3, H, W) float32, grey levels 0 … 255
    seen: list = field(default_factory=list)        # what `visit` returned, in the order of the rows

    @cached_property
    def dog(self) -> np.ndarray:
        """D (S + 2, H, W) float32, D_i = L_{i+1} − L_i."""
        return self.levels[1:] - self.levels[:-1]


def build_scalespace(grey: np.ndarray, params: SIFTParams = SIFTParams()) -> list[Octave]:
    """Build every octave of an image.

    Parameters
    ----------
    grey : (H, W) float32, grey levels 0 … 255
    params : SIFTParams; reads sigma, n_octave_layers, first_octave, kernel_reach and those of `base_image`

    Returns
    -------
    list of Octave, finest first; empty where the image is too small for one

    Source: [Lowe §3.3]; the octave count and the decimation are cv2's (docs/deviations.md, 2).

    >>> [octave.levels.shape for octave in build_scalespace(np.zeros((20, 30), np.float32))]
    [(6, 40, 60), (6, 20, 30), (6, 10, 15), (6, 5, 7)]
    """
    return _build(grey, params, _empty(_n_values(grey, params)), None)


@contextmanager
def borrowed_scalespace(grey: np.ndarray, params: SIFTParams = SIFTParams(),
                        visit: Visit | None = None) -> Iterator[list[Octave]]:
    """Lend the scale space of an image for the length of a `with` block; its memory serves the next call too.

    `visit(levels, first, last)` is called on rows first … last − 1 of an octave as soon as they and the rows next to
    them stand in all levels, while the cache still holds them; `Octave.seen` lists what it returned.

    >>> with borrowed_scalespace(np.zeros((20, 30), np.float32)) as octaves: len(octaves)
    4
    """
    with borrowed(_n_values(grey, params)) as memory:
        yield _build(grey, params, memory, visit)


def _sizes(grey: np.ndarray, params: SIFTParams) -> list[tuple[int, int]]:      # height and width of every octave
    height, width = (side * 2 ** -params.first_octave for side in grey.shape)
    return [(height >> o, width >> o) for o in range(params.n_octaves(*grey.shape))]


def _n_values(grey: np.ndarray, params: SIFTParams) -> int:
    return sum(h * w for h, w in _sizes(grey, params)) * params.n_levels


def _empty(n: int) -> np.ndarray:
    """Return n float32 from a cache line on; NumPy asks the system for huge pages, which numba does not."""
    values = np.empty(n + 16, np.float32)
    return values[-(values.ctypes.data // 4) % 16:][:n]


def _build(grey: np.ndarray, params: SIFTParams, memory: np.ndarray, visit: Visit | None) -> list[Octave]:
    """Build every octave in a flat buffer."""
    octaves: list[Octave] = []
    kernels = [gaussian_kernel(sigma, params) for sigma in params.level_sigmas()]
    used = 0
    for o, (height, width) in enumerate(_sizes(grey, params)):
        if visit is not None and min(height, width) <= 2 * params.border:
            break                                                    # too small for an extremum, and so are the next
        levels = memory[used:used + params.n_levels * height * width].reshape(-1, height, width)
        used += levels.size
        if o == 0:
            base_image(grey, params, out=levels[0], scratch=levels[1])
        else:
            downsample(octaves[-1].levels[params.n_octave_layers], levels[0])
        band = max(height // get_num_threads(), _GRAIN // max(width, 1))
        seen = over(height, _fill_band, levels, kernels[1:], visit, grain=band)
        octaves.append(Octave(o + params.first_octave, levels, list(chain.from_iterable(seen))))
    return octaves


def _fill_band(levels: np.ndarray, kernels: list[np.ndarray], visit: Visit | None, first: int, last: int) -> list:
    """Fill levels 1 … on rows first … last − 1, and return what `visit` returned of them.

    Some rows of one level, then of the next, while the cache still holds what it reads: level i lags behind level 0 by
    the half-widths of the kernels up to it.  At its ends a band also computes the rows that later levels and `visit`
    reach for; where two bands meet, both write the same numbers, each pixel once.
    """
    height, width = levels.shape[1:]
    halves = [len(kernel) // 2 for kernel in kernels]
    beyond = [1 + sum(halves[i + 1:]) for i in range(len(kernels))]
    starts = [max(first - rows, 0) for rows in beyond]
    ends = [min(last + rows, height) for rows in beyond]
    blocks = [empty_blocks(width, n) for n in halves]
    done, seen, ready, found = starts.copy(), first, first, []
    while done[-1] < ends[-1]:
        ready += max(_ROWS, _GRAIN // width)
        reach = ready
        for i, kernel in enumerate(kernels):
            reach = height if reach >= height else reach - halves[i]
            stop = min(reach, ends[i])
            if stop > done[i]:
                run_blur(levels[i], kernel, levels[i + 1], blocks[i], done[i] == starts[i], done[i], stop)
                done[i] = stop
        complete = last if done[-1] == ends[-1] else done[-1] - 1
        if visit is not None and complete > seen:
            found.append(visit(levels, seen, complete))
            seen = complete
    return found


def base_image(grey: np.ndarray, params: SIFTParams = SIFTParams(), out: np.ndarray | None = None,
               scratch: np.ndarray | None = None) -> np.ndarray:
    """Level 0 of the first octave: the image, doubled if first_octave is −1, blurred to σ₀.

    `out` is where to write it, `scratch` where to double it, both of its shape and optional.

    >>> base_image(np.zeros((20, 30), np.float32)).shape
    (40, 60)
    """
    image = upsample(grey, params, scratch) if params.first_octave < 0 else grey
    return blur(image, gaussian_kernel(params.base_sigma(), params), out)


def gaussian_kernel(sigma: float, params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Sampled Gaussian of odd length round(2·reach·σ + 1) | 1 that sums to 1, float32.

        g[j] = exp(−j² / 2σ²) / Σ,   evaluated and normalised in float64

    >>> gaussian_kernel(1.6).shape
    (15,)
    """
    size = round(sigma * params.kernel_reach * 2 + 1) | 1
    j = np.arange(size) - size // 2
    taps = np.exp(-0.5 * j**2 / sigma**2)
    return (taps / taps.sum()).astype(np.float32)


def upsample(image: np.ndarray, params: SIFTParams = SIFTParams(), out: np.ndarray | None = None) -> np.ndarray:
    """Double an image by linear interpolation, (H, W) → (2H, 2W).

    Precise:     even 2i ← s[i],                        odd 2i + 1 ← (s[i] + s[i+1]) / 2
    cv2's own:   even 2i ← s[i−1]/4 + 3·s[i]/4,         odd 2i + 1 ← 3·s[i]/4 + s[i+1]/4

    with the last pixel repeated outside.  The second one keeps the corners of the image in place
    rather than the centres of its pixels, which moves keypoints by +¼ input pixel: deviation 1.

    >>> upsample(np.float32([[0, 4]]), SIFTParams())[0], upsample(np.float32([[0, 4]]), SIFTParams.opencv())[0]
    (array([0., 2., 4., 4.], dtype=float32), array([0., 1., 3., 4.], dtype=float32))
    """
    h, w = image.shape
    out = np.empty((2 * h, 2 * w), np.float32) if out is None else out
    over(h, double_rows, image, params.precise_upscale, out, grain=1 + _GRAIN // max(w, 1))
    return out


def downsample(image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Keep every second pixel, starting with the first: (H, W) → (⌊H/2⌋, ⌊W/2⌋).

    >>> downsample(np.arange(5, dtype=np.float32)[None].repeat(3, axis=0))
    array([[0., 2.]], dtype=float32)
    """
    h, w = image.shape[0] // 2, image.shape[1] // 2
    out = np.empty((h, w), np.float32) if out is None else out
    over(h, halve_rows, image, out, grain=1 + _GRAIN // max(w, 1))
    return out


def blur(image: np.ndarray, kernel: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Convolve rows, then columns, with a symmetric kernel; the border is mirrored, … 2 1 | 0 1 2 …

    Parameters
    ----------
    image : (H, W) float32, C-contiguous
    kernel : (2n + 1,) float32, symmetric
    out : (H, W) float32, optional; where to write the result

    Returns
    -------
    (H, W) float32

    >>> blur(np.float32([[0, 0, 4, 0, 0]]), np.float32([0.25, 0.5, 0.25]))
    array([[0., 1., 2., 1., 0.]], dtype=float32)
    """
    h, w = image.shape
    out = np.empty_like(image) if out is None else out
    over(h, lambda first, last: run_blur(image, kernel, out, empty_blocks(w, len(kernel) // 2), True, first, last),
         grain=1 + _GRAIN // max(w, 1))
    return out


def run_blur(image: np.ndarray, kernel: np.ndarray, out: np.ndarray, blocks: np.ndarray, fresh: bool,
             first: int, last: int) -> None:
    """Blur rows first … last − 1 on this thread; `blocks` and `fresh` as `kernels.blur.blur_rows`."""
    along_y, along_x = (kernel if side > 1 else _ALONE for side in image.shape)
    blur_rows(image, along_x, along_y, (0,) * (len(kernel) // 2), out, blocks, fresh, first, last)
