"""SIFT in slow, plain NumPy: one formula a function, float64, for the tests to hold the kernels to.

Written from the papers and from OpenCV's conventions, never from the kernels: it imports nothing of
pysift but `SIFTParams`.  It departs from OpenCV where OpenCV only approximates: angles are true arc
tangents (cv2's polynomial is within ATAN2_ERROR), sums are in float64, LAPACK solves the systems.

    [Lowe] Distinctive Image Features from Scale-Invariant Keypoints, IJCV 60, 2004      [cv2] OpenCV 5.0

Arrays are indexed [row, col] or [layer, row, col]; grey levels run 0 … 255; angles are in degrees.
"""
import math
from collections import namedtuple
from itertools import product
from typing import NamedTuple

import numpy as np

from pysift.params import SIFTParams

P = SIFTParams()
Keypoint = namedtuple("Keypoint", "x y sigma angle response octave layer")       # input pixels, degrees
ATAN2_ERROR = 0.01          # degrees; largest departure of cv2.fastAtan2 over the circle is 0.0096, measured


def gaussian_taps(sigma, params=P):
    """Return samples of exp(−x²/2σ²) on round(2·reach·σ + 1) | 1 integers, of sum 1.       [cv2]"""
    radius = (round(2 * params.kernel_reach * sigma + 1) | 1) // 2
    taps = np.exp(-np.arange(-radius, radius + 1) ** 2 / (2 * sigma ** 2))
    return taps / taps.sum()


def reflect_101(i, n):
    """Mirror index i into 0 … n − 1 about the centres of the end pixels: … 2 1 | 0 1 2 …"""
    i = i % max(2 * n - 2, 1)
    return min(i, 2 * n - 2 - i)


def blur(image, taps):
    """Convolve along x, then along y, the image mirrored at its sides."""
    for axis in (1, 0):
        n, radius = image.shape[axis], len(taps) // 2
        total = np.zeros(image.shape)
        for j, tap in enumerate(taps):
            total += tap * np.take(image, [reflect_101(x + j - radius, n) for x in range(n)], axis)
        image = total
    return image


def upsample(image, params=P):
    """Double the sides by linear interpolation, clamped at the ends.

    Output pixel j looks at j/2 if the upscale is precise, so that pixel centres stay put; else at
    (j + ½)/2 − ½, so that pixel *edges* stay put and halving j later leaves +¼ px.      [cv2 #23123]
    """
    for axis in (0, 1):
        n = image.shape[axis]
        j = np.arange(2 * n)
        at = j / 2 if params.precise_upscale else (j + 0.5) / 2 - 0.5
        image = np.apply_along_axis(lambda line, at=at, n=n: np.interp(at, np.arange(n), line), axis, image)
    return image


def downsample(image):
    """Keep pixels (2x, 2y); a last odd row or column is dropped."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    pixels = [image[2 * y, 2 * x] for y, x in product(range(height), range(width))]
    return np.array(pixels).reshape(height, width)


def scale_space(grey, params=P):
    """Return one array (S + 3, H, W) an octave; level i carries σ₀ · 2^(i/S) of its pixels.  [Lowe §3.3]"""
    image, carried, S = np.asarray(grey, float), params.sigma_in, params.n_octave_layers
    if params.first_octave < 0:
        image, carried = upsample(image, params), 2 * carried
    n_octaves = round(math.log2(min(image.shape)) - params.octave_margin) + 1
    base = blur(image, gaussian_taps(math.sqrt(max(params.sigma ** 2 - carried ** 2, 0.01)), params))
    octaves = []
    for _ in range(n_octaves):
        levels = [base]
        for i in range(1, S + 3):
            reached, wanted = (params.sigma * 2 ** (k / S) for k in (i - 1, i))
            levels.append(blur(levels[-1], gaussian_taps(math.sqrt(wanted ** 2 - reached ** 2), params)))
        octaves.append(np.array(levels))
        base = downsample(levels[S])
    return octaves


def find_extrema(dog, params=P):
    """List (layer, row, col) where D is positive and ≥, or negative and ≤, all its 26 neighbours.  [cv2]

    |D| must exceed a share of C/S, in whole grey levels as cv2 stores it.
    """
    threshold = params.prefilter * params.contrast_threshold / params.n_octave_layers * 255
    threshold = math.floor(threshold) if params.prefilter_floor else threshold
    border, found, (_, height, width) = params.border, [], dog.shape
    for layer, row, col in product(range(1, params.n_octave_layers + 1), range(border, height - border),
                                   range(border, width - border)):
        value = dog[layer, row, col]
        if abs(value) > threshold:
            cube = dog[layer - 1:layer + 2, row - 1:row + 2, col - 1:col + 2]
            if (value > 0 and value >= cube.max()) or (value < 0 and value <= cube.min()):
                found.append((layer, row, col))
    return found


class Refined(NamedTuple):
    """Where a candidate ended, and why: `why` is "" if it is kept."""
    why: str
    layer: int
    row: int
    col: int
    offset: np.ndarray          # (x, y, scale), pixels of the octave and layers
    contrast: float             # D at the refined point, fraction of the intensity range


def derivatives(cube):
    """Central differences of a (3, 3, 3) cube at its centre: gradient (3,), Hessian (3, 3), order x, y, s."""
    def f(*steps):
        x, y, s = np.sum(steps, axis=0)
        return cube[1 + s, 1 + y, 1 + x]

    e = np.eye(3, dtype=int)
    gradient = np.array([(f(e[a]) - f(-e[a])) / 2 for a in range(3)])
    hessian = np.empty((3, 3))
    for a, b in product(range(3), repeat=2):
        hessian[a, b] = (f(e[a]) - 2 * cube[1, 1, 1] + f(-e[a]) if a == b else
                         (f(e[a], e[b]) - f(e[a], -e[b]) - f(-e[a], e[b]) + f(-e[a], -e[b])) / 4)
    return gradient, hessian


def is_edge(hessian, r):
    """Whether tr²/det of the spatial Hessian reaches (r + 1)²/r, or it is no blob at all.   [Lowe §4.1]"""
    trace, det = np.trace(hessian[:2, :2]), np.linalg.det(hessian[:2, :2])
    return det <= 0 or trace ** 2 * r >= (r + 1) ** 2 * det


def refine(dog, layer, row, col, params=P):
    """Fit a quadratic, move to the cell of its extremum, repeat; then ask for contrast, and for no edge."""
    S, border, (_, height, width) = params.n_octave_layers, params.border, dog.shape
    for _ in range(params.max_steps):
        cube = dog[layer - 1:layer + 2, row - 1:row + 2, col - 1:col + 2] / 255
        gradient, hessian = derivatives(cube)
        try:
            offset = -np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:                       # cv2 stays where it is if the system is singular
            offset = np.zeros(3)
        if np.all(np.abs(offset) < params.accept_offset):
            break
        col, row, layer = (int(v) for v in np.rint(offset) + (col, row, layer))
        if not (1 <= layer <= S and border <= row < height - border and border <= col < width - border):
            return Refined("left", layer, row, col, offset, math.nan)
    else:
        return Refined("unsettled", layer, row, col, offset, math.nan)
    contrast = cube[1, 1, 1] + gradient @ offset / 2
    if abs(contrast) * S < params.contrast_threshold:
        return Refined("contrast", layer, row, col, offset, contrast)
    return Refined("edge" if is_edge(hessian, params.edge_threshold) else "", layer, row, col, offset, contrast)


def gradients(level, row, col, radius):
    """Offsets dy, dx, magnitude and angle (K,), from +x to *up*, in the square about (row, col) less the frame."""
    height, width = level.shape
    found = []
    for y, x in product(range(max(row - radius, 1), min(row + radius, height - 2) + 1),
                        range(max(col - radius, 1), min(col + radius, width - 2) + 1)):
        right, up = level[y, x + 1] - level[y, x - 1], level[y - 1, x] - level[y + 1, x]
        found.append((y - row, x - col, math.hypot(right, up), math.degrees(math.atan2(up, right)) % 360))
    return np.array(found, float).reshape(-1, 4).T


def orientation_votes(level, row, col, sigma, params=P):
    """Return bin position (K,) in [0, bins) and weight (K,) of every pixel of the window, not yet rounded."""
    std = params.ori_sigma * sigma
    dy, dx, magnitude, angle = gradients(level, row, col, round(params.ori_reach * std))
    return angle * params.n_ori_bins / 360, magnitude * np.exp(-(dx ** 2 + dy ** 2) / (2 * std ** 2))


def angle_histogram(level, row, col, sigma, params=P):
    """Every vote to its nearest bin, then convolved round the circle with [1 4 6 4 1] / 16: (n_ori_bins,)."""
    position, weight = orientation_votes(level, row, col, sigma, params)
    nearest = np.rint(position).astype(int) % params.n_ori_bins
    votes = np.bincount(nearest, weight, params.n_ori_bins)
    return sum(w / 16 * np.roll(votes, k) for k, w in zip(range(-2, 3), (1, 4, 6, 4, 1)))


def peak_angles(histogram, params=P):
    """Angles of the peaks, degrees, clockwise on the screen; a peak beats both neighbours.  [Lowe §5; cv2]"""
    n, angles = len(histogram), []
    for j in range(n):
        left, centre, right = histogram[j - 1], histogram[j], histogram[(j + 1) % n]
        if centre > left and centre > right and centre >= params.ori_peak * max(histogram):
            vertex = j + 0.5 * (left - right) / (left - 2 * centre + right)     # of the parabola
            angles.append(-vertex * 360 / n % 360)
    return np.array(angles)


def describe(level, x, y, sigma, angle, params=P):
    """Histograms (d, d, n) of gradients round the *rounded* centre, in the keypoint's own frame.  [cv2]

    Every gradient is shared among the 2 × 2 × 2 nearest cells and angle bins.            [Lowe §6.1]
    """
    d, n, turn, width = params.n_cells, params.n_desc_bins, 360 - angle, params.cell_width * sigma
    radius = min(round(width * math.sqrt(2) * (d + 1) / 2), int(math.hypot(*level.shape)))
    dy, dx, magnitude, theta = gradients(level, round(y), round(x), radius)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    along, across = (dx * cos - dy * sin) / width, (dx * sin + dy * cos) / width       # cells from the centre
    weight = magnitude * np.exp(-(along ** 2 + across ** 2) / (2 * (params.desc_sigma * d) ** 2))
    position = np.array([across + d / 2 - 0.5, along + d / 2 - 0.5, (theta - turn) % 360 * n / 360])
    inside = np.all((position[:2] > -1) & (position[:2] < d), axis=0)
    position, weight = position[:, inside], weight[inside]
    low = np.floor(position).astype(int)
    cells = np.zeros((d + 2, d + 2, n))                     # a ring of cells outside, dropped at the end
    for corner in product((0, 1), repeat=3):
        share = np.prod(1 - np.abs(position - low - np.array(corner)[:, None]), axis=0)
        row, col, bin_ = low + np.array(corner)[:, None]
        np.add.at(cells, (row + 1, col + 1, bin_ % n), weight * share)
    return cells[1:-1, 1:-1]


def unit(raw, params=P):
    """Unit length, no entry above the clip, unit length again.                           [Lowe §6.1]"""
    clipped = np.minimum(raw, params.desc_clip * np.linalg.norm(raw))
    return clipped / max(np.linalg.norm(clipped), np.finfo(np.float32).eps)


def sift(grey, params=P):
    """Run all steps on grey levels (H, W): list of Keypoint, descriptors (N, d²·n) in quanta 0 … 255.

    Rows are sorted by x, y, then falling σ, and of those that share x, y, σ and angle one stays.  [cv2]
    """
    found = {}
    for o, levels in enumerate(scale_space(grey, params), start=params.first_octave):
        dog = levels[1:] - levels[:-1]
        for r in (refine(dog, *candidate, params) for candidate in find_extrema(dog, params)):
            if r.why:
                continue
            (dx, dy, ds), level = r.offset, levels[r.layer]
            sigma, x, y = params.sigma * 2 ** ((r.layer + ds) / params.n_octave_layers), r.col + dx, r.row + dy
            for angle in peak_angles(angle_histogram(level, r.row, r.col, sigma, params), params):
                place = x * 2.0 ** o, y * 2.0 ** o, sigma * 2.0 ** o, angle
                found[place] = (Keypoint(*place, abs(r.contrast), o, r.layer),
                                unit(describe(level, x, y, sigma, angle, params).ravel(), params))
    rows = [found[place] for place in sorted(found, key=lambda p: (p[0], p[1], -p[2], p[3]))]
    values = np.array([v for _, v in rows]).reshape(len(rows), params.n_cells ** 2 * params.n_desc_bins)
    return [k for k, _ in rows], np.clip(np.rint(params.desc_scale * values), 0, 255).astype(np.uint8)
