"""How much each stage of SIFT has to do, counted from its formulas and not from its code.

A multiply-add is one instruction and counts as one, and so does a product without an addition; additions alone are
counted but bound nothing, since they may run beside the others.  A comparison is a minimum, a maximum or a test.
Bytes are those that have to move at least: what a stage reads and what it leaves behind, once each.  What is
computed twice, at the seams of bands and strips, is the code's affair and not counted.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

import numpy as np

from benchmarks import stages
from benchmarks.stages import Work
from pysift import SIFTParams
from pysift.scalespace import gaussian_kernel

_FLOAT = 4                                              # bytes
# products, fused or not, of one sample of a histogram
_MAGNITUDE = 2                                          # √(x·x + y·y)
_ANGLE = 5                                              # c², a quartic in c² without its last product, ·c
_EXP = 7                                                # to 64ths of log 2 and back, a cubic in r, ·2^(i/64), ·2^k
_VOTE = _MAGNITUDE + _ANGLE + _EXP + 3                  # r²/2(λσ)², weight·length, angle → bin
_PLACE = 2 + 2 + 1                                      # u, v, then u² + v², then ·1/2(d/2)²
_SPLIT = 1 + 1 + 1 + 2 + 4                              # angle → bin, weight·length, rows, columns, angles
_SHARE = _PLACE + _MAGNITUDE + _ANGLE + _EXP + _SPLIT


@dataclass
class Count:
    """Operations, and the bytes that they read and leave, each with the footprint that decides where those lie."""

    multiply_adds: float = 0
    additions: float = 0
    comparisons: float = 0
    quotients: float = 0                                # pairs of one division and one square root
    bins: float = 0                                     # numbers added to a bin
    cells: float = 0                                    # vectors added to a cell of bins
    moved: list[tuple[int, int]] = field(default_factory=list)

    def __add__(self, other: Count) -> Count:
        return Count(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def bytes(self) -> int:
        """All bytes, wherever they lie."""
        return sum(amount for amount, _ in self.moved)


def blur(pixels: int, taps: int) -> Count:
    """Rows, then columns, with a symmetric kernel of 2n + 1 taps; no bytes.

        rows      Σ_j g[j]·a[j]                          2n + 1 multiply-adds a pixel
        columns   g[0]·a[0] + Σ_j g[j]·(a[j] + a[−j])    n + 1 multiply-adds, n additions
    """
    n = taps // 2
    return Count(multiply_adds=pixels * (2 * n + 1 + n + 1), additions=pixels * n)


def base(height: int, width: int, params: SIFTParams) -> Count:
    """Doubling and the first blur of an image of grey levels.

        along x    2 outputs an input pixel, 2 products each (cv2's ¼, ¾)       4·HW
        along y    4 outputs an input pixel, 2 products each                    8·HW
        blur       of 4·HW pixels with the kernel of base_sigma
        bytes      the image read, level 0 left: 4·HW + 16·HW

    Without doubling the blur alone, and as many bytes in as out.  The precise doubling has fewer products: this
    counts cv2's.
    """
    pixels = height * width
    scale = 4 if params.first_octave < 0 else 1
    doubling = Count(multiply_adds=12 * pixels, additions=6 * pixels) if scale == 4 else Count()
    moved = _FLOAT * (1 + scale) * pixels
    return doubling + blur(scale * pixels, len(gaussian_kernel(params.base_sigma(), params))) + Count(
        moved=[(moved, moved)])


def levels(shape: tuple[int, int], params: SIFTParams) -> Count:
    """Levels 1 … S + 2 of an octave of P pixels.

        blurs    as `blur`, with the kernels of level_sigmas
        bytes    level 0 read, S + 2 levels left: 4·(S + 3)·P
    """
    pixels = shape[0] * shape[1]
    kernels = [gaussian_kernel(sigma, params) for sigma in params.level_sigmas()[1:]]
    moved = _FLOAT * (len(kernels) + 1) * pixels
    return sum((blur(pixels, len(kernel)) for kernel in kernels), Count(moved=[(moved, moved)]))


def extrema(shape: tuple[int, int], params: SIFTParams) -> Count:
    """Differences of P pixels, and the search of S layers less the border: the six nearest first, as they decide.

        differences   (S + 2)·P additions
        comparisons   5 maxima, 5 minima and 4 tests, of D with both and with ± the threshold: 14·S·P'
        bytes         S + 3 levels read, 4·(S + 3)·P; a few rows of each at a time, so from L2 at best

    A search that begins with the threshold alone could do with one comparison.
    """
    pixels, inner = shape[0] * shape[1], [max(side - 2 * params.border, 0) for side in shape]
    return Count(additions=(params.n_octave_layers + 2) * pixels,
                 comparisons=14 * params.n_octave_layers * inner[0] * inner[1],
                 moved=[(_FLOAT * (params.n_octave_layers + 3) * pixels, 0)])


def orientations(samples: int) -> Count:
    """Votes of so many samples of windows: 17 products, 1 division, 1 root, and 1 bin added to, each.

    A sample needs the values about it, which its neighbours share: 4 bytes each, from L2 at best.
    """
    return Count(multiply_adds=_VOTE * samples, quotients=samples, bins=samples, moved=[(_FLOAT * samples, 0)])


def descriptors(samples: int) -> Count:
    """Votes of so many samples of turned squares: 28 products, 1 division, 1 root, and 4 cells added to, each.

    The eight angle bins of a cell fit one register, so a sample's two bins of one cell are one addition.  A
    histogram that stays in registers as long as samples fall into the same cells would need fewer.
    """
    return Count(multiply_adds=_SHARE * samples, quotients=samples, cells=4 * samples,
                 moved=[(_FLOAT * samples, 0)])


def normalising(keypoints: int, params: SIFTParams) -> Count:
    """Norm, clip, norm, scale of D numbers: 3 products and 2 comparisons each, 4 bytes read and 1 left."""
    entries = keypoints * params.n_cells**2 * params.n_desc_bins
    return Count(multiply_adds=3 * entries, comparisons=2 * entries, moved=[((_FLOAT + 1) * entries, 5 * entries)])


def window_samples(refined: np.ndarray, shape: tuple[int, int], params: SIFTParams) -> tuple[int, float]:
    """Samples of the orientation windows of N keypoints: those inside the image, and those of the formula.

    The window is a square |q − p|∞ ≤ r = round(3·1.5·σ) about the pixel, the outermost pixels of the image
    excepted; away from the border it has (2r + 1)² pixels.  `refined` is (N, 3): column, row, σ in octave pixels.
    """
    reach = np.rint(params.ori_reach * params.ori_sigma * refined[:, 2])
    sides = [np.clip(np.minimum(at + reach, size - 2) - np.maximum(at - reach, 1) + 1, 0, None)
             for at, size in ((refined[:, 0], shape[1]), (refined[:, 1], shape[0]))]
    return int((sides[0] * sides[1]).sum()), float(((2 * reach + 1) ** 2).sum())


def square_samples(described: np.ndarray, shape: tuple[int, int], params: SIFTParams) -> tuple[int, float]:
    """Samples of the turned squares of N keypoints: those inside the image, counted, and the area by formula.

    A pixel votes if its cell coordinates lie in (−1, d), that is |u|, |v| < (d + 1)/2 with u, v in cells of 3σ: a
    square of side 3σ·(d + 1) = 15σ, so 225σ² pixels.  `described` is (N, 4): x, y, σ in octave pixels, θ.
    """
    side = params.cell_width * (params.n_cells + 1)
    inside = 0
    for x, y, sigma, theta in described:
        reach = math.ceil(side * sigma / math.sqrt(2)) + 1
        col, row = round(x), round(y)
        j = np.arange(max(-reach, 1 - col), min(reach, shape[1] - 2 - col) + 1)
        i = np.arange(max(-reach, 1 - row), min(reach, shape[0] - 2 - row) + 1)[:, None]
        across = np.abs(j * math.cos(theta) + i * math.sin(theta))
        along = np.abs(i * math.cos(theta) - j * math.sin(theta))
        inside += int(((across < side * sigma / 2) & (along < side * sigma / 2)).sum())
    return inside, float(((side * described[:, 2]) ** 2).sum())


def count_stages(work: Work, params: SIFTParams) -> tuple[dict[str, Count], dict[str, tuple[int, float]]]:
    """Counts of each stage that has a bound, and the samples of the two histograms, counted and by formula."""
    height, width = work.input_shape
    pairs = {"orientations": [window_samples(r, s, params) for r, s in zip(work.refined, work.shapes)],
             "descriptors": [square_samples(d, s, params) for d, s in zip(work.described, work.shapes)]}
    samples = {name: (sum(n for n, _ in each), sum(area for _, area in each)) for name, each in pairs.items()}
    counts = {"read": Count(moved=[(5 * height * width, 5 * height * width)]),
              stages.BASE: base(height, width, params),
              stages.LEVELS: sum((levels(shape, params) for shape in work.shapes), Count()),
              "extrema": sum((extrema(shape, params) for shape in work.shapes), Count()),
              "orientations": orientations(samples["orientations"][0]),
              "descriptors": descriptors(samples["descriptors"][0]),
              "normalising": normalising(sum(map(len, work.described)), params)}
    return counts, samples
