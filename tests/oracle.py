"""SIFT in slow, plain NumPy: one formula a function, float64, for the tests to hold the kernels to.

Written from the papers and from OpenCV's conventions, never from the kernels: it imports nothing of
pysift but `SIFTParams`.  It departs from OpenCV where OpenCV only approximates: angles are true arc
tangents (cv2's polynomial is within ATAN2_ERROR), sums are in float64, LAPACK solves the systems.

    [Lowe]     Distinctive Image Features from Scale-Invariant Keypoints, IJCV 60, 2004
    [Anatomy]  Anatomy of the SIFT Method, IPOL 4, 2014
    [cv2]      cv2.SIFT, OpenCV 5.0

Arrays are indexed [row, col] or [layer, row, col]; grey levels run 0 … 255; angles are in degrees.
"""
from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

import numpy as np

from pysift.params import SIFTParams

P = SIFTParams()
ATAN2_ERROR = 0.01          # degrees; largest departure of cv2.fastAtan2 over the circle is 0.0096, measured


# step 1: scale space --------------------------------------------------------------------------

def gaussian_taps(sigma, params=P):
    """Return samples of exp(−x²/2σ²) on round(2·reach·σ + 1) | 1 integers, of sum 1.       [cv2]"""
    radius = (round(2 * params.kernel_reach * sigma + 1) | 1) // 2
    taps = np.exp(-np.arange(-radius, radius + 1) ** 2 / (2 * sigma ** 2))
    return taps / taps.sum()


def reflect_101(i, n):
    """Mirror index i into 0 … n − 1 about the centres of the end pixels: … 2 1 | 0 1 2 …"""
    if n == 1:
        return 0
    i = i % (2 * n - 2)
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
    return np.array([[image[2 * y, 2 * x] for x in range(image.shape[1] // 2)]
                     for y in range(image.shape[0] // 2)]).reshape(image.shape[0] // 2, image.shape[1] // 2)


def base_image(grey, params=P):
    """Return the doubled image, blurred from the 2σ_in it carries to σ₀.                [Lowe §3.3]"""
    image, carried = np.asarray(grey, float), params.sigma_in
    if params.first_octave < 0:
        image, carried = upsample(image, params), 2 * carried
    missing = max(params.sigma ** 2 - carried ** 2, 0.01)
    return blur(image, gaussian_taps(math.sqrt(missing), params))


def scale_space(grey, params=P):
    """Return one array (S + 3, H, W) an octave; level i of an octave carries σ₀ · 2^(i/S) of its pixels."""
    base, octaves = base_image(grey, params), []
    n_octaves = round(math.log2(min(base.shape)) - params.octave_margin) + 1
    for _ in range(n_octaves):
        levels = [base]
        for i in range(1, params.n_octave_layers + 3):
            reached, wanted = (params.sigma * 2 ** (k / params.n_octave_layers) for k in (i - 1, i))
            levels.append(blur(levels[-1], gaussian_taps(math.sqrt(wanted ** 2 - reached ** 2), params)))
        octaves.append(np.array(levels))
        base = downsample(levels[params.n_octave_layers])
    return octaves


def difference(levels):
    """D_i = L_{i+1} − L_i."""
    return levels[1:] - levels[:-1]


# step 2: extrema ------------------------------------------------------------------------------

def candidate_threshold(params=P):
    """Least |D| of a candidate, exclusive: a share of C/S, in whole grey levels as cv2 stores it."""
    levels = params.prefilter * params.contrast_threshold / params.n_octave_layers * 255
    return math.floor(levels) if params.prefilter_floor else levels


def find_extrema(dog, params=P):
    """List (layer, row, col) where D is positive and ≥, or negative and ≤, all its 26 neighbours.  [cv2]"""
    border, found = params.border, []
    _, height, width = dog.shape
    for layer, row, col in product(range(1, params.n_octave_layers + 1), range(border, height - border),
                                   range(border, width - border)):
        value = dog[layer, row, col]
        if abs(value) <= candidate_threshold(params):
            continue
        cube = dog[layer - 1:layer + 2, row - 1:row + 2, col - 1:col + 2]
        if (value > 0 and value >= cube.max()) or (value < 0 and value <= cube.min()):
            found.append((layer, row, col))
    return found


# step 3: refinement ---------------------------------------------------------------------------

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


def is_edge(hessian, params=P):
    """Whether tr²/det of the spatial Hessian reaches (r + 1)²/r, or it is no blob at all.   [Lowe §4.1]"""
    r, (xx, yy, xy) = params.edge_threshold, (hessian[0, 0], hessian[1, 1], hessian[0, 1])
    trace, det = xx + yy, xx * yy - xy ** 2
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
    return Refined("edge" if is_edge(hessian, params) else "", layer, row, col, offset, contrast)


# step 4: orientation --------------------------------------------------------------------------

def gradients(level, row, col, radius):
    """Differences over two pixels in the square about (row, col), the image's frame left out.

    Returns
    -------
    dy, dx : offsets from the centre (K,), pixels; magnitude (K,); angle (K,), degrees, from +x towards *up*
    """
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


def smooth(histogram):
    """Convolve round the circle with [1 4 6 4 1] / 16."""
    return sum(w / 16 * np.roll(histogram, k) for k, w in zip(range(-2, 3), (1, 4, 6, 4, 1)))


def angle_histogram(level, row, col, sigma, params=P):
    """Every vote to its nearest bin, then smoothed: (n_ori_bins,)."""
    position, weight = orientation_votes(level, row, col, sigma, params)
    nearest = np.rint(position).astype(int) % params.n_ori_bins
    return smooth(np.bincount(nearest, weight, params.n_ori_bins))


def peak_angles(histogram, params=P):
    """Angles of the peaks, degrees, clockwise on the screen; a peak beats both neighbours.  [Lowe §5; cv2]"""
    n, angles = len(histogram), []
    for j in range(n):
        left, centre, right = histogram[j - 1], histogram[j], histogram[(j + 1) % n]
        if centre > left and centre > right and centre >= params.ori_peak * max(histogram):
            vertex = j + 0.5 * (left - right) / (left - 2 * centre + right)     # of the parabola
            angles.append(-vertex * 360 / n % 360)
    return np.array(angles)


# step 5: descriptor ---------------------------------------------------------------------------

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
    raw = np.ravel(raw)
    clipped = np.minimum(raw, params.desc_clip * np.linalg.norm(raw))
    return clipped / max(np.linalg.norm(clipped), np.finfo(np.float32).eps)


def normalise(raw, params=P):
    """Unit vector in whole quanta, saturated at 255: (…,) uint8."""
    return np.clip(np.rint(params.desc_scale * unit(raw, params)), 0, 255).astype(np.uint8)


# the whole ------------------------------------------------------------------------------------

class Keypoint(NamedTuple):
    """One keypoint, input pixels; angle in degrees, clockwise on the screen."""

    x: float
    y: float
    sigma: float
    angle: float
    response: float
    octave: int
    layer: int


def deduplicate(keypoints):
    """Sort by x, y, then falling σ, angle, …, and keep one of each (x, y, σ, angle).            [cv2]"""
    kept: list[Keypoint] = []
    for k in sorted(keypoints, key=lambda k: (k.x, k.y, -k.sigma, k.angle, -k.response, -k.octave)):
        if not kept or k[:4] != kept[-1][:4]:
            kept.append(k)
    return kept


def retain_best(keypoints, n):
    """Return the n of largest response and whatever ties with the last of them; all if n is 0."""
    if n == 0 or len(keypoints) <= n:
        return keypoints
    least = sorted(k.response for k in keypoints)[-n]
    return [k for k in keypoints if k.response >= least]


def sift(grey, params=P):
    """Run all steps on a picture of grey levels (H, W): list of Keypoint, descriptors (N, 128) uint8."""
    found, described, octaves = [], {}, scale_space(grey, params)
    for o, levels in enumerate(octaves, start=params.first_octave):
        dog = difference(levels)
        for candidate in find_extrema(dog, params):
            r = refine(dog, *candidate, params)
            if r.why:
                continue
            dx, dy, ds = r.offset
            sigma = params.sigma * 2 ** ((r.layer + ds) / params.n_octave_layers)
            x, y = r.col + dx, r.row + dy
            for angle in peak_angles(angle_histogram(levels[r.layer], r.row, r.col, sigma, params), params):
                k = Keypoint(x * 2.0 ** o, y * 2.0 ** o, sigma * 2.0 ** o, angle, abs(r.contrast), o, r.layer)
                found.append(k)
                described[k] = levels[r.layer], x, y, sigma, angle
    best = retain_best(deduplicate(found), params.nfeatures)
    rows = [normalise(describe(*described[k], params), params) for k in best]
    return best, np.array(rows, np.uint8).reshape(len(best), params.n_cells ** 2 * params.n_desc_bins)
