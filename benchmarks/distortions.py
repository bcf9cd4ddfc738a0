"""Known changes of a picture: what each does to its pixels, and where it sends a point.

    grey picture, level  →  changed picture, H          x' ~ H x in pixels, centres at whole numbers

Rotation, zoom and tilt move points; the frame grows or shrinks to hold the whole picture.  What lies beyond the
picture's rim is its mirror image, so that no false edge is made there.  Blur, noise, JPEG, exposure and gamma leave
the frame as it is, and H is the identity.

Where a picture shrinks, each pixel is the mean of k × k cubic interpolations spread over its area, as a camera's
pixel gathers light: k = ⌈2 / least stretch⌉, so that they lie half a pixel of the original apart, or closer.  Where
nothing shrinks, k = 1.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from pysift.keypoints import Keypoints
from pysift.matching import apply_homography

SEED = 0                                    # of the noise
_DISTANCE = 2.0                             # of the camera that sees the tilted picture, in longer sides of it


class Distortion(NamedTuple):
    """A change of a picture by degrees."""

    name: str
    measure: str                # of the level, and its unit
    levels: tuple[float, ...]
    apply: Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]   # (H, W) uint8, level → (H', W') uint8, (3, 3)


def rotated(image: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn by degrees from +x to +y, clockwise on the screen."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return moved(image, np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]))


def zoomed(image: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Make `factor` times as wide and high."""
    return moved(image, np.diag([factor, factor, 1.0]))


def tilted(image: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn the picture out of its plane about its vertical middle line, the right side away from the camera.

    The camera looks at the middle from twice the longer side away and keeps its scale there.
    """
    d = _DISTANCE * max(image.shape)
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return moved(image, np.array([[c, 0, 0], [0, 1, 0], [s / d, 0, 1]]))


def moved(image: np.ndarray, about_middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move by a homography given relative to the picture's middle; the new frame begins where the picture does."""
    height, width = image.shape
    to_middle = shift(-(width - 1) / 2, -(height - 1) / 2)
    corners = apply_homography(about_middle @ to_middle, outline(image.shape))
    least, most = corners.min(axis=0), corners.max(axis=0)
    homography = shift(*(-0.5 - least)) @ about_middle @ to_middle
    size = np.ceil(np.round(most - least, 6)).astype(int)                # 512 and 1e-14 is 512
    return warp(image, homography, (size[1], size[0])), homography


def shift(x: float, y: float) -> np.ndarray:
    """Return the homography that adds (x, y)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def outline(shape: tuple[int, int]) -> np.ndarray:
    """Corners (4, 2) of a picture of this (height, width): half a pixel beyond the centres of its corner pixels."""
    right, bottom = shape[1] - 0.5, shape[0] - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])


def warp(image: np.ndarray, homography: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the picture as the homography moves it, (height, width) uint8, shrunk without aliasing.

    cv2 rounds positions to 1/32 of a pixel, of which there are k to one of the result.
    """
    stretch = np.linalg.svd(jacobian(homography, outline(image.shape)), compute_uv=False).min()
    k = 1 if stretch > 1 - 1e-9 else int(np.ceil(2 / stretch))
    height, width = shape
    finer = np.array([[k, 0, (k - 1) / 2], [0, k, (k - 1) / 2], [0, 0, 1]])
    fine = cv2.warpPerspective(image.astype(np.float32), finer @ homography, (k * width, k * height),
                               flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return grey_levels(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA))


def jacobian(homography: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Return how a homography stretches and turns about each of (N, 2) points: (N, 2, 2), ∂(x', y')/∂(x, y)."""
    weight = xy @ homography[2, :2] + homography[2, 2]
    there = apply_homography(homography, xy)
    return (homography[:2, :2] - there[:, :, None] * homography[2, :2]) / weight[:, None, None]


def carried(keypoints: Keypoints, homography: np.ndarray) -> Keypoints:
    """Return the keypoints where a homography sends them.

        σ' = √|det J|·σ        (cos θ', sin θ') ∝ J⁻ᵀ (cos θ, sin θ)

    θ is the direction of a gradient, which stays at right angles to its edge: it turns by J⁻ᵀ, not by J.
    """
    xy = keypoints.xy.astype(np.float64)
    J = jacobian(homography, xy)
    gradient = np.stack([np.cos(keypoints.theta), np.sin(keypoints.theta)], axis=-1)
    ray = np.linalg.inv(J).swapaxes(1, 2) @ gradient[..., None]
    x, y = apply_homography(homography, xy).T
    return keypoints.replace(x=x, y=y, sigma=keypoints.sigma * np.sqrt(np.abs(np.linalg.det(J))),
                             theta=np.arctan2(ray[:, 1, 0], ray[:, 0, 0]) % (2 * np.pi))


def grey_levels(values: np.ndarray) -> np.ndarray:
    """Round to whole grey levels, cut at black and white."""
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def blurred(image: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Blur by a Gaussian of sigma pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image, np.eye(3)


def noisy(image: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Add white Gaussian noise of sigma grey levels, from SEED."""
    return grey_levels(image + np.random.default_rng(SEED).normal(0, sigma, image.shape)), np.eye(3)


def compressed(image: np.ndarray, quality: float) -> tuple[np.ndarray, np.ndarray]:
    """Write as JPEG of this quality, 0 … 100, and read it again."""
    code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.eye(3)


def exposed(image: np.ndarray, stops: float) -> tuple[np.ndarray, np.ndarray]:
    """Multiply the grey levels by 2^stops; what exceeds white is white."""
    return grey_levels(image * 2.0**stops), np.eye(3)


def bent(image: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Raise the grey levels, black 0 and white 1, to the power gamma."""
    return grey_levels(255 * (image / 255) ** gamma), np.eye(3)


DISTORTIONS = (
    Distortion("rotation", "angle [°]", tuple(range(0, 361, 15)), rotated),
    Distortion("scale", "factor", (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.4, 1.6, 1.8, 2, 2.25, 2.5), zoomed),
    Distortion("viewpoint", "tilt [°]", tuple(range(0, 71, 10)), tilted),
    Distortion("blur", "σ [px]", (0, 0.5, 1, 1.5, 2, 2.5, 3, 4), blurred),
    Distortion("noise", "σ [grey levels]", (0, 2, 5, 10, 15, 20, 30, 40), noisy),
    Distortion("JPEG", "quality", (100, 95, 90, 80, 70, 60, 50, 40, 30, 20, 10, 5), compressed),
    Distortion("exposure", "stops", (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2), exposed),
    Distortion("gamma", "exponent", (0.4, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 2.5), bent),
)
