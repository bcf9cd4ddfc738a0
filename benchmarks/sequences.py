"""Image sequences with known homographies: Oxford affine from a folder, or photographs warped here.

    DIR/NAME/img1.ppm … img6.ppm (or .pgm, .png)   and   DIR/NAME/H1to2p … H1to6p

H1to3p takes a pixel of img1 to its place in img3, both counted from the centre of the first pixel: read so, the
residuals of matches in "boat" 3 average 0.02 px; with the first pixel at (1, 1) it would be 0.9 px.  Any subset of
sequences and of images 2 to 6 will do, as long as img1 is there; DIR may also be a sequence itself.

Source: K. Mikolajczyk et al., A Comparison of Affine Region Detectors, IJCV 65, 2005;
https://www.robots.ox.ac.uk/~vgg/research/affine/
"""
from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pysift import to_gray
from pysift.photos import names, photo

_SUFFIXES = (".ppm", ".pgm", ".png")
WARPED = "photographs of pysift.photos, warped by known homographies"


class Sequence(NamedTuple):
    """A name, image 1, and by their number the others, each with the homography from image 1 to it."""

    name: str
    first: np.ndarray                                    # (H, W) uint8, grey
    others: dict[int, tuple[np.ndarray, np.ndarray]]     # number → ((H', W') uint8, (3, 3) float64)


def oxford(folder: str) -> list[Sequence]:
    """Read the sequences under a folder.

    Raises
    ------
    SystemExit : with status 2: there is none; the message on stderr says what is needed.
    OSError, ValueError : a picture or a homography cannot be read.
    """
    root = Path(folder)
    found = [sequence for place in (root, *sorted(p for p in root.glob("*") if p.is_dir()))
             if (sequence := _read(place)) is not None]
    if not found:
        print(f"--data {folder} holds no sequence: needed are img1.ppm (or .pgm, .png), img2.ppm, … and H1to2p, … in "
              "it or in its folders, as in the Oxford affine data set; or leave --data out", file=sys.stderr)
        raise SystemExit(2)
    return found


def _read(place: Path) -> Sequence | None:
    images = {n: path for n in range(1, 7) for suffix in _SUFFIXES if (path := place / f"img{n}{suffix}").is_file()}
    pairs = [n for n in images if n > 1 and (place / f"H1to{n}p").is_file()]
    if 1 not in images or not pairs:
        return None
    return Sequence(place.name, _grey(images[1]),
                    {n: (_grey(images[n]), _homography(place / f"H1to{n}p")) for n in pairs})


def _grey(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise OSError(f"{path} is no picture that cv2 can read: fetch it again")
    return image


def _homography(path: Path) -> np.ndarray:
    matrix = np.loadtxt(path)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise ValueError(f"{path} is no homography but an array of shape {matrix.shape}: nine numbers are needed")
    return matrix


def warped() -> list[Sequence]:
    """Warp each photograph of pysift.photos five times, ever more: turned, shrunk and tilted."""
    return [Sequence(name, grey, {n: _warp(grey, n) for n in range(2, 7)})
            for name in names() for grey in [to_gray(photo(name))]]


def _warp(grey: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Turn about the middle by 8° a step, shrink by 6 % and squeeze by a further 6 % one way, and tilt a little.

    A shrunk image is blurred first, by √(1 − scale²)·½ / scale px: the image's own blur of ½ px stays ½ px.
    """
    step = n - 1
    height, width = grey.shape
    middle = np.array([[1, 0, -(width - 1) / 2], [0, 1, -(height - 1) / 2], [0, 0, 1]])
    scale, angle = 0.94**step, np.deg2rad(8 * step)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, 1, 0], [3e-5 * step, 0, 1]])
    homography = np.linalg.inv(middle) @ turn @ np.diag([scale, scale * 0.94**step, 1]) @ tilt @ middle
    blurred = cv2.GaussianBlur(grey, (0, 0), 0.5 * np.sqrt(1 - scale**2) / scale)
    return cv2.warpPerspective(blurred, homography, (width, height), flags=cv2.INTER_CUBIC), homography
