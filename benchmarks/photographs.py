"""Real photographs of unlike kind and size to hold pysift and its peers against each other.

From scikit-image's wheel (the `test` extra), and crops and mosaics of them; grey or BGR uint8, as
cv2.imread gives them.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np


@lru_cache(maxsize=None)
def _file(name: str, grey: bool = False) -> np.ndarray:
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise ImportError('the photographs come with scikit-image: pip install "siftgrad[test]"')
    path = Path(package.origin).parent / "data" / name
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    if image is None:
        raise OSError(f"{path} is no picture that cv2 can read: reinstall scikit-image")
    return image


def _mosaic() -> np.ndarray:
    """Two photographs side by side, 2411 × 872: over two megapixels."""
    return np.hstack([_file("retina.jpg", True)[200:1072], _file("hubble_deep_field.jpg", True)])


def four() -> np.ndarray:
    """Four photographs at their own resolution in one of 1280 × 854, grey."""
    left = _file("motorcycle_left.png", True)[30:457, 50:690]
    right = _file("motorcycle_right.png", True)[60:487, 90:730]
    sky = _file("hubble_deep_field.jpg", True)[:427, :640]
    return np.vstack([np.hstack([_file("rocket.jpg", True), left]), np.hstack([right, sky])])


# what a camera saw, sparse and dense in keypoints by turns; not the moon, whose pixels are doubled already
_SCENES = ("astronaut.png", "rocket.jpg", "gravel.png", "coffee.png", "hubble_deep_field.jpg", "motorcycle_left.png",
           "camera.png", "ihc.png", "retina.jpg", "brick.png", "chelsea.png", "cell.png", "grass.png", "coins.png",
           "clock_motion.png", "motorcycle_right.png")
_BAND = 250                                                   # rows: most photographs hold two or more of them


@lru_cache(maxsize=None)
def _ribbon() -> np.ndarray:
    """Every whole band of every photograph, side by side, (250, 22738): first the top band of each, and so on."""
    bands: list[tuple[int, int, np.ndarray]] = []
    for place, name in enumerate(_SCENES):
        scene = _file(name, True)
        bands += [(i, place, scene[i * _BAND:(i + 1) * _BAND]) for i in range(len(scene) // _BAND)]
    return np.hstack([band for _, _, band in sorted(bands, key=lambda row: row[:2])])


def sized(height: int, width: int) -> np.ndarray:
    """Return a grey picture of this size, (height, width) uint8, with as many keypoints as photographs have.

    The first photograph of just this size, where there is one.  Otherwise a mosaic: bands of 16 photographs at their
    own resolution, laid in rows like a text.  The bands come to 5.7 megapixels; further ones are their mirror images.

    Raises
    ------
    ValueError : more than 22 megapixels: the mirror images would come to their end

    >>> sized(427, 640).shape, sized(1200, 1600).shape
    ((427, 640), (1200, 1600))
    """
    exact = (scene for scene in (_file(name, True) for name in _SCENES) if scene.shape == (height, width))
    if (whole := next(exact, None)) is not None:
        return whole
    ribbon = _ribbon()
    ribbon = np.hstack([ribbon, ribbon[:, ::-1], ribbon[::-1], ribbon[::-1, ::-1]])
    rows = -(-height // _BAND)
    if rows * width > ribbon.shape[1]:
        raise ValueError(f"{width} × {height} is more than {ribbon.size // 10**6} megapixels, which is all that the "
                         "photographs and their mirror images come to: ask for less")
    return np.vstack([ribbon[:, i * width:(i + 1) * width] for i in range(rows)])[:height]


def _checkerboard() -> np.ndarray:
    y, x = np.indices((301, 243))
    return ((x // 17 + y // 17) % 2 * 200 + 20).astype(np.uint8)


def _noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (211, 187), dtype=np.uint8)


PHOTOGRAPHS: dict[str, Callable[[], np.ndarray]] = {
    "astronaut, colour": lambda: _file("astronaut.png"),
    "brick wall": lambda: _file("brick.png"),
    "cameraman": lambda: _file("camera.png"),
    "cell, portrait": lambda: _file("cell.png", True),
    "cat, odd width": lambda: _file("chelsea.png"),
    "cat, portrait": lambda: np.rot90(_file("chelsea.png")),
    "cat's eye, 32 × 32": lambda: _file("chelsea.png")[100:132, 160:192],
    "clock, moving": lambda: _file("clock_motion.png"),
    "coffee": lambda: _file("coffee.png"),
    "coffee, 597 × 399": lambda: _file("coffee.png")[:399, :597],
    "coffee, 593 × 97": lambda: _file("coffee.png")[150:247, 3:596],
    "coins": lambda: _file("coins.png"),
    "grass": lambda: _file("grass.png"),
    "grass, 41 × 505": lambda: _file("grass.png")[:505, 100:141],
    "gravel": lambda: _file("gravel.png"),
    "gravel, 63 × 61": lambda: _file("gravel.png")[7:68, 11:74],
    "galaxies in the sky": lambda: _file("hubble_deep_field.jpg"),
    "horse, silhouette": lambda: _file("horse.png"),
    "logo": lambda: _file("logo.png"),
    "microaneurysms": lambda: _file("microaneurysms.png"),
    "moon": lambda: _file("moon.png"),
    "motorcycle": lambda: _file("motorcycle_left.png"),
    "motorcycle, grey, 739 × 498": lambda: _file("motorcycle_right.png", True)[:498, :739],
    "page of text": lambda: _file("page.png"),
    "text": lambda: _file("text.png"),
    "retina, 2 megapixels": lambda: _file("retina.jpg"),
    "rocket": lambda: _file("rocket.jpg"),
    "tissue": lambda: _file("ihc.png"),
    "mosaic, 2411 × 872": _mosaic,
    "checkerboard": _checkerboard,
    "noise": _noise,
}
