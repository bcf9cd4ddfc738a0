"""Keypoints and descriptors in the conventions of other systems, and back.

    system         here         first pixel  order                       size   angle
    pysift                      (0, 0)       x y                         σ      rad [0, 2π), +x to +y
    cv2            to_cv2       (0, 0)       x y, packed octave          2σ     deg [0, 360), +x to +y
    scikit-image   to_skimage   (0, 0)       row column, octave from 0   σ      rad (−π, π], π/2 − ours
    kornia         to_laf       (0, 0)       2×3 matrix                  6σ     in the matrix, −ours
    COLMAP         to_colmap    (½, ½)       x y σ θ                     σ      rad, +x to +y
    VLFeat         to_vlfeat    (0, 0)       x y σ θ                     σ      rad, +x to +y
    Lowe's .key    to_lowe      (0, 0)       row column σ θ              σ      rad (−π, π], −ours

"First pixel" is where its centre lies; VLFeat's MATLAB side adds 1.
Conversion changes the frame and the unit, never what was measured: the +0.25 px by which default
`cv2.SIFT_create()` and scikit-image err stay in x and y, as do the +5° of scikit-image's angles.
Numbers leave as float64, so that x + 0.5 loses nothing; cast where the other side wants float32.
What has no place in a format returns as: response 0, θ 0 for NaN, octave and layer those nearest to σ.

Source: the programs themselves (tests/test_convert.py); for kornia and VLFeat their source text.

imports: keypoints, params
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from pysift.keypoints import Keypoints
from pysift.params import SIFTParams

_TURN = 2 * np.pi


def _wrap(theta: np.ndarray) -> np.ndarray:
    """Bring radians into [0, 2π); an angle just below 0 rounds to 2π, which is 0."""
    theta = np.mod(theta, _TURN)
    return np.where(theta == _TURN, 0.0, theta)


def to_cv2(keypoints: Keypoints) -> tuple:
    """Return the keypoints as a tuple of cv2.KeyPoint.

        octave = (o & 255) | layer << 8 | round((offset + ½)·255) << 16,   round half to even

    θ leaves as float32 degrees, NaN as −1; `class_id` is −1.  Raises ImportError without OpenCV.

    >>> [(k.pt, k.size) for k in to_cv2(Keypoints.at([8], [5], sigma=[2]))]
    [((8.0, 5.0), 4.0)]
    """
    try:
        import cv2
    except ImportError:
        raise ImportError('cv2.KeyPoint needs OpenCV: pip install "siftgrad[cv2]"') from None
    angle = np.rad2deg(keypoints.theta).astype(np.float32)
    angle = np.where(angle == 360, 0, np.where(np.isnan(angle), -1, angle))     # 359.99999 rounds to 360
    step = np.rint((keypoints.offset.astype(np.float64) + 0.5) * 255).astype(np.int64)
    packed = (keypoints.octave & 255) | keypoints.layer << 8 | np.clip(step, 0, 255) << 16
    return tuple(map(cv2.KeyPoint, keypoints.x.tolist(), keypoints.y.tolist(), (2 * keypoints.sigma).tolist(),
                     angle.tolist(), keypoints.response.tolist(), packed.tolist()))


def from_cv2(keypoints: Iterable) -> Keypoints:
    """Read cv2.KeyPoint objects; `to_cv2` gives the same ones back to the bit, `class_id` apart.

    The packed octave holds `offset` in steps of 1/255 of a layer only.  A keypoint made by hand has
    octave 0 there, which reads as octave 0, layer 0, offset −½, and stays so.

    >>> len(from_cv2(()))
    0
    """
    rows = [(*k.pt, k.size, k.angle, k.response, k.octave) for k in keypoints]
    x, y, size, angle, response, packed = np.array(rows, np.float64).reshape(-1, 6).T
    bits = packed.astype(np.int64)
    return Keypoints(x, y, size / 2, np.where(angle == -1, np.nan, _wrap(np.deg2rad(angle))), response,
                     octave=(bits & 255 ^ 128) - 128,                    # the low byte is signed
                     layer=bits >> 8 & 255, offset=(bits >> 16 & 255) / 255 - 0.5)


class SkimageKeypoints(NamedTuple):
    """N keypoints under the attribute names of `skimage.feature.SIFT`."""

    keypoints: np.ndarray      # (N, 2) int64, row and column, rounded
    positions: np.ndarray      # (N, 2) float64, row and column
    sigmas: np.ndarray         # (N,) float64, input pixels
    orientations: np.ndarray   # (N,) float64, radians (−π, π]
    octaves: np.ndarray        # (N,) int64, 0 is the first
    scales: np.ndarray         # (N,) int64, layer within the octave
    upsampling: int            # how many times the first octave enlarges the image


def to_skimage(keypoints: Keypoints) -> SkimageKeypoints:
    """Return the keypoints as `skimage.feature.SIFT` holds them after `detect`.

    >>> to_skimage(Keypoints.at([8], [5], sigma=[2])).positions
    array([[5., 8.]])
    """
    x, y, sigma, theta = to_vlfeat(keypoints).T
    positions = np.stack([y, x], axis=1)
    return SkimageKeypoints(keypoints=np.rint(positions).astype(int), positions=positions, sigmas=sigma,
                            orientations=_half_turn(np.pi / 2 - theta), upsampling=2,
                            octaves=keypoints.octave.astype(int) + 1, scales=keypoints.layer.astype(int))


def from_skimage(sift: Any, params: SIFTParams = SIFTParams()) -> Keypoints:
    """Read a `skimage.feature.SIFT` on which `detect` was called, or a `SkimageKeypoints`.

    `params` says by its n_octave_layers and sigma what `offset` is reckoned from; skimage lets it reach
    ±0.6, and beyond ±½ it is cut.
    Raises ValueError where `sift` holds no keypoints yet.
    """
    if sift.positions is None:
        raise ValueError("this skimage SIFT holds no keypoints: call its detect or detect_and_extract first")
    y, x = np.asarray(sift.positions, np.float64).reshape(-1, 2).T
    octave = np.asarray(sift.octaves) - round(np.log2(sift.upsampling))
    placed = Keypoints.at(x, y, sift.sigmas, _wrap(np.pi / 2 - np.asarray(sift.orientations)), params=params)
    depth = params.n_octave_layers * (np.log2(placed.sigma.astype(np.float64) / params.sigma) - octave)
    return placed.replace(octave=octave, layer=sift.scales, offset=np.clip(depth - sift.scales, -0.5, 0.5))


def to_laf(keypoints: Keypoints) -> np.ndarray:
    """Return kornia's local affine frames (N, 2, 3):  [6σ·R(θ) | (x, y)].

    R's columns are where the patch's axes point; 6σ is half the side of the descriptor's window.
    For kornia: `torch.from_numpy(lafs).float()[None]`.

    >>> to_laf(Keypoints.at([8], [5], sigma=[2])).shape
    (1, 2, 3)
    """
    x, y, sigma, theta = to_vlfeat(keypoints).T
    c, s = 6 * sigma * np.cos(theta), 6 * sigma * np.sin(theta)
    return np.stack([c, -s, x, s, c, y], axis=1).reshape(-1, 2, 3)


def from_laf(lafs: np.ndarray, params: SIFTParams = SIFTParams()) -> Keypoints:
    """Read kornia's frames (N, 2, 3): σ = √det A / 6 and θ = −atan2(A₁₂, A₁₁); affine shape is dropped.

    Raises ValueError for a mirrored or an empty frame (kornia pads with zeros).
    """
    lafs = np.asarray(lafs, np.float64)
    if lafs.ndim != 3 or lafs.shape[1:] != (2, 3):
        raise ValueError(f"lafs have shape {lafs.shape}: give (N, 2, 3), of a batch `lafs[0].numpy()`")
    area = np.linalg.det(lafs[:, :, :2])
    if not (area > 0).all():
        first = int(np.argmin(area > 0))
        raise ValueError(f"lafs[{first}] is padding or mirrored (its determinant is not above 0): "
                         "drop such frames, and their descriptors")
    return Keypoints.at(lafs[:, 0, 2], lafs[:, 1, 2], np.sqrt(area) / 6,
                        _wrap(np.arctan2(-lafs[:, 0, 1], lafs[:, 0, 0])), params=params)


def to_vlfeat(keypoints: Keypoints) -> np.ndarray:
    """Return VLFeat's frames (N, 4): x, y, σ, θ; like all but cv2's they have no mark for a missing θ.

    >>> to_vlfeat(Keypoints.at([8], [5], sigma=[2]))
    array([[8., 5., 2., 0.]])
    """
    theta = np.where(np.isnan(keypoints.theta), 0.0, keypoints.theta)
    return np.stack([keypoints.x, keypoints.y, keypoints.sigma, theta], axis=1, dtype=np.float64)


def from_vlfeat(frames: np.ndarray, params: SIFTParams = SIFTParams()) -> Keypoints:
    """Read VLFeat's oriented frames (N, 4): x, y, σ, θ."""
    x, y, sigma, theta = _columns(frames, 4).T
    return Keypoints.at(x, y, sigma, _wrap(theta), params=params)


def to_colmap(keypoints: Keypoints) -> np.ndarray:
    """Return COLMAP's keypoints (N, 4): x + ½, y + ½, σ, θ; exact for |x| and |y| above 2⁻²⁹ px.

    >>> to_colmap(Keypoints.at([8], [5], sigma=[2]))
    array([[8.5, 5.5, 2. , 0. ]])
    """
    return to_vlfeat(keypoints) + [0.5, 0.5, 0.0, 0.0]


def from_colmap(keypoints: np.ndarray, params: SIFTParams = SIFTParams()) -> Keypoints:
    """Read COLMAP's keypoints (N, 4), or (N, 6) with the matrix a11, a12, a21, a22 that COLMAP 4 stores.

    Of a matrix, σ is the mean length of its columns and θ the direction of the first, as in COLMAP.
    """
    rows = _columns(keypoints, 4, 6)
    sigma, theta = rows[:, 2], rows[:, 3]
    if rows.shape[1] == 6:
        a11, a12, a21, a22 = rows[:, 2:].T
        sigma, theta = (np.hypot(a11, a21) + np.hypot(a12, a22)) / 2, np.arctan2(a21, a11)
    return Keypoints.at(rows[:, 0] - 0.5, rows[:, 1] - 0.5, sigma, _wrap(theta), params=params)


def to_lowe(keypoints: Keypoints) -> np.ndarray:
    """Return the numbers of Lowe's .key file (N, 4): row, column, σ, and −θ in (−π, π].

    >>> to_lowe(Keypoints.at([8], [5], sigma=[2], theta=[1.5]))
    array([[ 5. ,  8. ,  2. , -1.5]])
    """
    x, y, sigma, theta = to_vlfeat(keypoints).T
    return np.stack([y, x, sigma, _half_turn(-theta)], axis=1)


def from_lowe(rows: np.ndarray, params: SIFTParams = SIFTParams()) -> Keypoints:
    """Read the numbers of Lowe's .key file (N, 4): row, column, σ, angle."""
    y, x, sigma, angle = _columns(rows, 4).T
    return Keypoints.at(x, y, sigma, _wrap(-angle), params=params)


def _half_turn(theta: np.ndarray) -> np.ndarray:
    """Bring radians of (−2π, π] into (−π, π]; θ + 2π is exact there, so that nothing is lost."""
    return np.where(theta <= -np.pi, theta + _TURN, theta) + 0.0            # −0 becomes 0


def _columns(rows: np.ndarray, *widths: int) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or rows.shape[1] not in widths:
        raise ValueError(f"the keypoints have shape {rows.shape}: "
                         f"give {' or '.join(f'(N, {w})' for w in widths)}, one keypoint a row")
    return rows


_OPENCV = np.arange(128).reshape(4, 4, 8)              # [row y, column x, angle o], o counter-clockwise
_TURNED = _OPENCV[:, :, -np.arange(8) % 8]             # the same, o clockwise
LAYOUTS = {                                            # where in OpenCV's layout each entry of another lies
    "opencv": _OPENCV.ravel(),                         # also COLMAP's, Lowe's and ours
    "vlfeat": _TURNED.ravel(),                         # vl[y, x, o] = cv[y, x, −o]
    "kornia": np.moveaxis(_TURNED, 2, 0).ravel(),      # ko[o, y, x] = cv[y, x, −o]
    "skimage": _OPENCV[::-1].swapaxes(0, 1).ravel(),   # sk[x, 3 − y, o] = cv[y, x, o]
}


def convert_descriptors(descriptors: np.ndarray, source: str, target: str) -> np.ndarray:
    """Reorder the 128 entries of SIFT descriptors from one system's layout to another's.

    Values and dtype stay: norm, quantisation and RootSIFT are none of a layout's business.

    Parameters
    ----------
    descriptors : (N, 128)
    source, target : "opencv", "vlfeat", "kornia" or "skimage": see `LAYOUTS`; others raise ValueError

    >>> convert_descriptors(np.arange(128)[None], "opencv", "vlfeat")[0, :8]
    array([0, 7, 6, 5, 4, 3, 2, 1])
    """
    descriptors = np.asarray(descriptors)
    if descriptors.ndim != 2 or descriptors.shape[1] != 128:
        raise ValueError(f"descriptors have shape {descriptors.shape}: give (N, 128)")
    for layout in (source, target):
        if layout not in LAYOUTS:
            raise ValueError(f"layout {layout!r} is unknown: use one of {', '.join(sorted(LAYOUTS))}")
    return descriptors[:, np.argsort(LAYOUTS[source])[LAYOUTS[target]]]
