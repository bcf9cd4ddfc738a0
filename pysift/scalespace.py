"""Step 1 of 5: the Gaussian scale space and its differences.          [Lowe §3; Anatomy Alg. 1–2]

    grey image → doubled → blurred to σ₀ → S + 2 further blurs → differences D
                             ↑                      │
                             └── every 2nd pixel ←──┘   next octave starts from level S

Level i of an octave carries the blur σ₀·2^(i/S) in that octave's pixels; D_i = L_{i+1} − L_i.  Grey
levels run over 0 … 255 as float32 throughout, as in cv2, and each sum is taken in cv2's order with
cv2's fused multiply-adds (docs/deviations.md, 8), so that every pixel is equal to the bit.

imports: params, threads, kernels.arithmetic, kernels.blur          Reads  image.grey_levels
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from pysift.kernels.arithmetic import HALF
from pysift.kernels.blur import blur_rows
from pysift.params import SIFTParams
from pysift.threads import over

_NEAR, _FAR = np.float32(0.75), np.float32(0.25)
_GRAIN = 1 << 15                                    # pixels that are worth a thread


@dataclass(frozen=True, eq=False)
class Octave:
    """One octave of the scale space; its pixel is 2^index input pixels wide."""

    index: int              # −1 for the doubled image
    levels: np.ndarray      # L (S + 3, H, W) float32, grey levels 0 … 255
    dog: np.ndarray         # D (S + 2, H, W) float32, L[1:] − L[:-1]


def build_scalespace(grey: np.ndarray, params: SIFTParams = SIFTParams()) -> list[Octave]:
    """Build every octave of an image.

    Parameters
    ----------
    grey : (H, W) float32, grey levels 0 … 255
    params : SIFTParams; reads sigma, n_octave_layers, first_octave, kernel_reach and those of `base_image`

    Returns
    -------
    list of Octave, finest first; empty where the image is too small for one.

    Source: [Lowe §3.3]; the octave count and the decimation are cv2's (docs/deviations.md, 2).

    >>> [octave.levels.shape for octave in build_scalespace(np.zeros((20, 30), np.float32))]
    [(6, 40, 60), (6, 20, 30), (6, 10, 15), (6, 5, 7)]
    """
    octaves: list[Octave] = []
    kernels = [gaussian_kernel(sigma, params) for sigma in params.level_sigmas()]
    n_octaves = params.n_octaves(*grey.shape)
    level = base_image(grey, params) if n_octaves else grey
    for o in range(n_octaves):
        if o > 0:
            level = downsample(octaves[-1].levels[params.n_octave_layers])
        levels = np.empty((params.n_levels, *level.shape), np.float32)
        dog = np.empty((params.n_levels - 1, *level.shape), np.float32)
        levels[0] = level
        for i in range(1, params.n_levels):
            blur(levels[i - 1], kernels[i], out=levels[i], difference=dog[i - 1])
        octaves.append(Octave(o + params.first_octave, levels, dog))
    return octaves


def base_image(grey: np.ndarray, params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Level 0 of the first octave: the image, doubled if first_octave is −1, blurred to σ₀.

    >>> base_image(np.zeros((20, 30), np.float32)).shape
    (40, 60)
    """
    image = upsample(grey, params) if params.first_octave < 0 else grey
    return blur(image, gaussian_kernel(params.base_sigma(), params))


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


def upsample(image: np.ndarray, params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Double an image by linear interpolation, (H, W) → (2H, 2W).

    Precise:     even 2i ← s[i],                        odd 2i + 1 ← (s[i] + s[i+1]) / 2
    cv2's own:   even 2i ← s[i−1]/4 + 3·s[i]/4,         odd 2i + 1 ← 3·s[i]/4 + s[i+1]/4

    with the last pixel repeated outside.  The second one keeps the corners of the image in place
    rather than the centres of its pixels, which moves keypoints by +¼ input pixel: deviation 1.

    >>> upsample(np.float32([[0, 4]]), SIFTParams())[0], upsample(np.float32([[0, 4]]), SIFTParams.opencv())[0]
    (array([0., 2., 4., 4.], dtype=float32), array([0., 1., 3., 4.], dtype=float32))
    """
    h, w = image.shape
    out = np.empty((2 * h, 2 * w), np.float32)
    over(h, _double_rows, image, params.precise_upscale, out, grain=1 + _GRAIN // max(w, 1))
    return out


@njit(cache=True, nogil=True)
def _double_rows(image, precise, out, first, last):
    """Write rows 2·first … 2·last − 1 of `out`: each row doubled along x, then the two between rows."""
    h, w = image.shape
    above, here, below = np.empty(2 * w, np.float32), np.empty(2 * w, np.float32), np.empty(2 * w, np.float32)
    for y in range(first, last):
        _double(image[y], precise, here)
        _double(image[min(y + 1, h - 1)], precise, below)
        even, odd = out[2 * y], out[2 * y + 1]
        if precise:
            even[:] = here
            _mix(here, below, HALF, HALF, odd)
        else:
            _double(image[max(y - 1, 0)], precise, above)
            _mix(above, here, _FAR, _NEAR, even)
            _mix(here, below, _NEAR, _FAR, odd)


@njit(cache=True)
def _double(row, precise, out):
    """(W,) → (2W,), the formulas of `upsample` along one axis."""
    w = len(row)
    for x in range(w):
        here, after = row[x], row[min(x + 1, w - 1)]
        out[2 * x] = here if precise else row[max(x - 1, 0)] * _FAR + here * _NEAR
        out[2 * x + 1] = (here + after) * HALF if precise else here * _NEAR + after * _FAR


@njit(cache=True)
def _mix(a, b, of_a, of_b, out):
    for x in range(len(out)):
        out[x] = a[x] * of_a + b[x] * of_b


def downsample(image: np.ndarray) -> np.ndarray:
    """Keep every second pixel, starting with the first: (H, W) → (⌊H/2⌋, ⌊W/2⌋).

    >>> downsample(np.arange(5, dtype=np.float32)[None].repeat(3, axis=0))
    array([[0., 2.]], dtype=float32)
    """
    h, w = image.shape[0] // 2, image.shape[1] // 2
    return np.ascontiguousarray(image[: 2 * h : 2, : 2 * w : 2])


def blur(image: np.ndarray, kernel: np.ndarray, out: np.ndarray | None = None,
         difference: np.ndarray | None = None) -> np.ndarray:
    """Convolve rows, then columns, with a symmetric kernel; the border is mirrored, … 2 1 | 0 1 2 …

    Parameters
    ----------
    image : (H, W) float32, C-contiguous
    kernel : (2n + 1,) float32, symmetric
    out : (H, W) float32, optional; where to write the result
    difference : (H, W) float32, optional; where to write result − image, while both are in the cache

    Returns
    -------
    (H, W) float32

    >>> blur(np.float32([[0, 0, 4, 0, 0]]), np.float32([0.25, 0.5, 0.25]))
    array([[0., 1., 2., 1., 0.]], dtype=float32)
    """
    h, w = image.shape
    out = np.empty_like(image) if out is None else out
    difference = np.empty((0, w), np.float32) if difference is None else difference
    alone = np.ones(1, np.float32)                                  # a single pixel is its own blur
    along_x, along_y = kernel if w > 1 else alone, kernel if h > 1 else alone
    grain = 1 + _GRAIN // max(w, 1)
    over(h, blur_rows, image, along_x, along_y, (0,) * (len(kernel) // 2), out, difference, grain=grain)
    return out
