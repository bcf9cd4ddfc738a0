"""Gaussian blobs, whose keypoint is known in closed form, and what the quadratic fit makes of them.

A blob of standard deviation s, height 1 and centre (x₀, y₀), blurred by a Gaussian of variance b, is

    L(x, y) = s²/(s² + b) · exp(−((x − x₀)² + (y − y₀)²) / 2(s² + b))

SIFT takes the image to carry the blur σ_in = ½ already, so its level of nominal scale σ adds only b = σ² − ¼.
With a = s² − ¼, t = σ² and k = 2^(1/S), the difference of two neighbouring levels, filed under the finer one, is
at the blob's centre

    D(t) = L(k²t) − L(t) = s²/(a + k²t) − s²/(a + t)

    D'(t) = 0   ⇔   (a + k²t)² = k²(a + t)²   ⇔   t = a/k   ⇔   σ̂ = √((s² − ¼)/k)

It is the difference of Gaussians that has its extremum there, not the Laplacian: that one's would be at σ = √a,
and 2^(1/2S) = 1.12 larger.  In x and y the extremum is the centre, by symmetry.

Two things keep an exact SIFT from this truth, and both are computed here:

    the fit    a parabola through three samples a pixel and a third of an octave apart meets a curve that is none:
               `fitted` runs the fit on samples of the closed form, in exact arithmetic
    doubling   linear interpolation blurs: by ¼ px² of variance between two pixels and 0 on them, 1/8 on average,
               or by 3/16 where it samples at the quarters as cv2 and scikit-image do by default.  `extra` adds it.

What then remains is kernels cut off, rounding to 8 bits, and the implementation.  Source: own derivation.
"""
from __future__ import annotations

import numpy as np

K = 2 ** (1 / 3)             # ratio of two levels at S = 3 layers an octave
SIGMA, SIGMA_IN = 1.6, 0.5
DARK, BRIGHT = 30, 230       # grey levels of the ground and of the blob's top


def closed_form_sigma(s):
    """Scale of the extremum, σ̂ = √((s² − ¼)/k), in input pixels; s > ½ likewise."""
    return np.sqrt((np.square(s) - SIGMA_IN**2) / K)


def blob_std(sigma):
    """Standard deviation of the blob whose extremum lies at σ̂: the inverse of `closed_form_sigma`."""
    return np.sqrt(K * np.square(sigma) + SIGMA_IN**2)


def render(x: float, y: float, s: float, side: int) -> np.ndarray:
    """Return a bright blob on dark ground, (side, side) uint8, rounded to whole grey levels."""
    i = np.arange(side)
    profile_x, profile_y = (np.exp(-(i - c) ** 2 / (2 * s * s)) for c in (x, y))
    return np.rint(DARK + (BRIGHT - DARK) * profile_y[:, None] * profile_x).astype(np.uint8)


def difference(x, y, layer, s: float, extra: float = 0.0):
    """Closed-form D of the blob at the origin, at (x, y) input pixels and at a layer above σ₀ in octave 0.

    `extra` is a variance in px² by which the image is blurred beforehand.  Arguments broadcast.
    """
    square = np.square(x) + np.square(y)

    def level(sigma):
        variance = s * s + extra + np.square(sigma) - SIGMA_IN**2
        return s * s / variance * np.exp(-square / (2 * variance))
    sigma = SIGMA * K ** np.asarray(layer, np.float64)
    return level(sigma * K) - level(sigma)


def fitted(x: float, y: float, s: float, extra: float = 0.0) -> np.ndarray:
    """Return (x, y, σ) that SIFT's fit finds for a blob at (x, y): exact samples, exact arithmetic.

    Samples lie on the pixels of the octave that owns σ̂, 2^o input pixels apart from 0, and on its layers.  As in
    Lowe §4: quadratic through 3 × 3 × 3 of them, moved on while an offset is ½ or more, five fits at most.  NaN
    where that does not settle: midway between two layers each can send the fit to the other, and SIFT drops the point.
    """
    depth = np.log(closed_form_sigma(s) / SIGMA) / np.log(K)                 # layers above octave 0, layer 0
    pixel = 2.0 ** np.ceil((np.rint(depth) - 3) / 3)
    place = np.rint([x / pixel, y / pixel, depth])
    around = _neighbourhood(place, pixel, x, y, s, extra)
    place += np.array(np.unravel_index(around.argmin(), around.shape)) - 1   # the sample that is the extremum
    for _ in range(5):
        offset = _vertex(_neighbourhood(place, pixel, x, y, s, extra))
        if (np.abs(offset) < 0.5).all():
            column, row, layer = place + offset
            return np.array([column * pixel, row * pixel, SIGMA * K**layer])
        place += np.rint(offset)
    return np.full(3, np.nan)


def _neighbourhood(place, pixel: float, x: float, y: float, s: float, extra: float) -> np.ndarray:
    """Return D on the 27 samples around a place, [x, y, layer]."""
    i, j, layer = np.meshgrid(*(p + np.arange(-1, 2) for p in place), indexing="ij")
    return difference(i * pixel - x, j * pixel - y, layer, s, extra)


def _vertex(D: np.ndarray) -> np.ndarray:
    """Offset of the vertex, −H⁻¹∇, derivatives as central differences."""
    gradient, hessian = np.empty(3), np.empty((3, 3))
    for a in range(3):
        line = np.moveaxis(D, a, 0)[:, 1, 1]
        gradient[a] = (line[2] - line[0]) / 2
        hessian[a, a] = line[2] + line[0] - 2 * line[1]
        for b in range(a):
            plane = np.moveaxis(D, (a, b), (0, 1))[:, :, 1]
            hessian[a, b] = hessian[b, a] = (plane[2, 2] - plane[2, 0] - plane[0, 2] + plane[0, 0]) / 4
    return -np.linalg.solve(hessian, gradient)
