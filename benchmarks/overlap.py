"""How far two sets of keypoints repeat one another under a known homography.

Keypoints are discs.  Those of image 2 are mapped to image 1 by the homography's local affine part, which makes
ellipses of them, and compared with the discs of image 1 after both are enlarged about their centres until the disc's
radius is 30 px: large regions would overlap by their size alone.  The factor from σ to a disc's radius cancels.

    overlap error   1 − |A ∩ B| / |A ∪ B|
    repeatability   pairs with an error below 40 %, each region used once, over the lesser number of regions,
                    counting only regions whose centre lies inside the other image

A disc and an ellipse of its area overlap by 60 % only up to an axis ratio of tan²(56.25°) = 2.24, so under a stronger
tilt no keypoint without affine shape repeats: "graf" 5 and 6 are at 0 for everyone.

Source: K. Mikolajczyk et al., A Comparison of Affine Region Detectors, IJCV 65, 2005, §4.1.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from pysift import Keypoints
from pysift.matching import apply_homography

RADIUS = 30.0                # px, of a disc of image 1 after normalisation
LARGEST_ERROR = 0.4
_NODES = 64                  # of the quadrature: error below 5e-4, see `overlap_error`


class Repeated(NamedTuple):
    """How many regions of two images correspond."""

    pairs: int               # one-to-one, overlap error below 40 %
    first: int               # regions of image 1 whose centre lies inside image 2
    second: int              # regions of image 2 whose centre lies inside image 1

    @property
    def share(self) -> float:
        """Repeatability: pairs over the lesser number of regions, NaN without any."""
        return self.pairs / min(self.first, self.second) if min(self.first, self.second) else float("nan")


def repeatability(k1: Keypoints, k2: Keypoints, homography: np.ndarray, shape1, shape2) -> Repeated:
    """Count the regions of two images that correspond.

    Parameters
    ----------
    k1, k2 : Keypoints of image 1 and 2; several at one place and scale, with different θ, are one region
    homography : (3, 3), takes image 1 to image 2
    shape1, shape2 : (height, width) of the images
    """
    discs1, discs2 = _regions(k1), _regions(k2)
    back = np.linalg.inv(homography)
    discs1 = discs1[_inside(apply_homography(homography, discs1[:, :2]), shape2)]
    discs2 = discs2[_inside(apply_homography(back, discs2[:, :2]), shape1)]
    if not len(discs1) or not len(discs2):
        return Repeated(0, len(discs1), len(discs2))
    centres, shapes = apply_homography(back, discs2[:, :2]), local_affine(back, discs2[:, :2])
    shapes = shapes * discs2[:, 2, None, None]
    i, j = _near(discs1, centres, shapes)
    grow = RADIUS / discs1[i, 2]
    disc = np.eye(2) * RADIUS
    error = overlap_error(centres[j] - discs1[i, :2], np.broadcast_to(disc, (len(i), 2, 2)),
                          shapes[j] * grow[:, None, None])
    return Repeated(_one_to_one(i, j, error), len(discs1), len(discs2))


def overlap_error(shift: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 − |A ∩ B| / |A ∪ B| of two ellipses.

    The plane is mapped so that A is the unit disc.  The area that the other one shares with it is the integral over
    x of the common part of two chords, on the range of x where both exist, at x = middle + half·sin t: the roots at
    either end are smooth in t, and what remains is a kink where chords cross.  The midpoint rule at 64 nodes then
    errs by less than 5e-4 (tests/test_matching_benchmark.py measures it against 4096).

    Parameters
    ----------
    shift : (N, 2), centre of B less that of A
    first, second : (N, 2, 2), of A and of B: the matrix that takes the unit disc to the ellipse

    Returns
    -------
    (N,) in [0, 1]: 0 for equal ellipses, 1 for disjoint ones
    """
    to_disc = np.linalg.inv(first)
    d = np.einsum("nij,nj->ni", to_disc, shift)
    shape = to_disc @ second
    area = np.pi * np.abs(np.linalg.det(shape))
    common = _area_in_disc(d, shape @ shape.transpose(0, 2, 1))
    return np.clip(1 - common / (np.pi + area - common), 0, 1)


def _area_in_disc(d: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Area that the ellipses d + M·disc, square = M Mᵀ, share with the unit disc; (N,)."""
    reach = np.sqrt(square[:, 0, 0])
    low, high = np.maximum(-1, d[:, 0] - reach), np.minimum(1, d[:, 0] + reach)
    t = np.pi * ((np.arange(_NODES) + 0.5) / _NODES - 0.5)
    half = np.maximum(high - low, 0)[:, None] / 2
    x = (low + high)[:, None] / 2 + half * np.sin(t)
    u = (x - d[:, :1]) / reach[:, None]                                     # −1 … 1 across the ellipse
    slope = square[:, 0, 1] / square[:, 0, 0]                               # of the line through the chords' middles
    height = np.sqrt(np.linalg.det(square) / square[:, 0, 0])[:, None] * np.sqrt(np.maximum(1 - u * u, 0))
    middle = d[:, 1:] + slope[:, None] * (x - d[:, :1])
    circle = np.sqrt(np.maximum(1 - x * x, 0))
    chord = np.minimum(circle, middle + height) - np.maximum(-circle, middle - height)
    return (np.maximum(chord, 0) * half * np.cos(t)).sum(axis=1) * np.pi / _NODES


def local_affine(homography: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Jacobian of the map at points (N, 2):  (H₂ₓ₂ − y·h₃ᵀ) / w  with y = H(x), w the third coordinate; (N, 2, 2)."""
    y = apply_homography(homography, xy)
    w = xy @ homography[2, :2] + homography[2, 2]
    return (homography[:2, :2] - y[:, :, None] * homography[2, :2]) / w[:, None, None]


def _regions(keypoints: Keypoints) -> np.ndarray:
    """Return distinct (x, y, σ), float64 (N, 3)."""
    rows = np.stack([keypoints.x, keypoints.y, keypoints.sigma], axis=1).astype(np.float64)
    return np.unique(rows, axis=0)


def _inside(xy: np.ndarray, shape) -> np.ndarray:
    height, width = shape
    return ((xy >= -0.5) & (xy <= [width - 0.5, height - 0.5])).all(axis=1)


def _near(discs1: np.ndarray, centres: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs that may overlap enough, as indices.

    Centres a radius or more apart leave at most half of B in common, as B is symmetric: an error above 0.54 then.
    Areas must be alike too: |A ∩ B| / |A ∪ B| ≤ smaller / larger.
    """
    lists = cKDTree(discs1[:, :2]).query_ball_point(centres, RADIUS)
    j = np.repeat(np.arange(len(centres)), [len(near) for near in lists])
    i = np.concatenate([np.asarray(near, np.int64) for near in lists])
    ratio = np.abs(np.linalg.det(shapes[j])) / discs1[i, 2] ** 2
    alike = np.minimum(ratio, 1 / ratio) > 1 - LARGEST_ERROR
    return i[alike], j[alike]


def _one_to_one(i: np.ndarray, j: np.ndarray, error: np.ndarray) -> int:
    """Count pairs, best first, each index used once."""
    used_i, used_j = set(), set()
    for n in np.argsort(error, kind="stable"):
        if error[n] >= LARGEST_ERROR:
            break
        if i[n] not in used_i and j[n] not in used_j:
            used_i.add(i[n])
            used_j.add(j[n])
    return len(used_i)
