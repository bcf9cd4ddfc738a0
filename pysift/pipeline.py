"""The driver: SIFT as the paper's box.                                        [Lowe §2; docs/conventions.md]

    image → grey → scale space → extrema → refine → orient → (sort, select) → describe → Features

imports: every step, none of which imports another
"""
from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from pysift.descriptor import describe_octave, normalise
from pysift.extrema import find_extrema, scanner
from pysift.image import check_mask, grey_levels
from pysift.keypoints import Features, Keypoints
from pysift.orientation import assign_orientations
from pysift.params import SIFTParams
from pysift.refine import KEPT, Refined, refine
from pysift.scalespace import Octave, borrowed_scalespace
from pysift.selection import distinct, strongest, unmasked


def sift(image, params: SIFTParams = SIFTParams(), *, mask=None, intensity_range=None) -> Features:
    """Detect and describe the keypoints of an image.

    Parameters
    ----------
    image : (H, W) or (H, W, 1 | 3 | 4) array of uint8, uint16, float32 or float64; colours in RGB order
    params : SIFTParams
    mask : (H, W) uint8 or bool, optional; keypoints whose nearest pixel is 0 are left out
    intensity_range : (low, high), optional; the values of black and white, by default the range of
        the integer type, or (0, 1) for floats

    Returns
    -------
    Features(keypoints, descriptors) : N keypoints sorted by x, then y, and (N, 128) uint8; N may be 0

    Raises
    ------
    TypeError, ValueError : image, mask or intensity_range is of no use; the message says why
    MemoryError : the scale space would not fit; nothing was allocated

    Source: [Lowe 2004].

    Examples
    --------
    >>> from pysift.photos import photo
    >>> keypoints, descriptors = sift(photo("chelsea"))
    >>> descriptors.dtype, descriptors.shape == (len(keypoints), 128), len(keypoints) > 500
    (dtype('uint8'), True, True)
    >>> sift(np.zeros((20, 20), np.uint8)).descriptors.shape
    (0, 128)
    """
    grey, mask = read(image, mask, params, intensity_range)
    with borrowed_scalespace(grey, params, scanner(params)) as octaves:
        keypoints = select(find_keypoints(octaves, params), params, mask)
        return Features(keypoints, describe_on(octaves, keypoints, params))


def detect(image, params: SIFTParams = SIFTParams(), *, mask=None, intensity_range=None) -> Keypoints:
    """Detect the keypoints of an image; arguments and errors as `sift`.

    >>> detect(np.zeros((20, 20), np.uint8))
    Keypoints(N=0)
    """
    grey, mask = read(image, mask, params, intensity_range)
    with borrowed_scalespace(grey, params, scanner(params)) as octaves:
        return select(find_keypoints(octaves, params), params, mask)


def describe(image, keypoints: Keypoints, params: SIFTParams = SIFTParams(), *, intensity_range=None) -> np.ndarray:
    """Describe given keypoints, each for itself: its neighbours in the list make no difference.

    Parameters
    ----------
    image, params, intensity_range : as `sift`
    keypoints : Keypoints of length N, from `detect` or `Keypoints.at`; octave and layer choose the level.
        A θ that is NaN is taken as 0, an upright descriptor

    Returns
    -------
    (N, 128) uint8 or float32, see SIFTParams.descriptor

    Raises
    ------
    IndexError : an octave or layer that this image does not have; the message names the keypoint

    >>> describe(np.zeros((64, 64), np.uint8), Keypoints.at([30, 20], 31, 3.0)).shape
    (2, 128)
    """
    grey, _ = read(image, None, params, intensity_range)
    with borrowed_scalespace(grey, params) as octaves:
        return describe_on(octaves, keypoints, params)


class Finds(NamedTuple):
    """What steps 2 to 4 made of one octave."""

    candidates: np.ndarray      # (N, 3) int32, rows (layer, y, x)
    refined: Refined            # of length N
    source: np.ndarray          # (M,) int64, the candidate that each keypoint comes from
    keypoints: Keypoints        # of length M


def search(octave: Octave, params: SIFTParams) -> Finds:
    """Steps 2 to 4 on one octave; step 2 may have been done while the octave was built."""
    candidates = np.concatenate(octave.seen) if octave.seen else find_extrema(octave.levels, params)
    refined = refine(octave.levels, candidates, params)
    kept = refined.kept
    index, angle = assign_orientations(octave.levels, kept.layer, kept.row, kept.col, kept.sigma, params)
    source = np.flatnonzero(refined.status == KEPT)[index]
    return Finds(candidates, refined, source, to_input_frame(octave.index, kept, index, angle))


def find_keypoints(octaves: list[Octave], params: SIFTParams) -> Keypoints:
    """Steps 2 to 4 on every octave: all keypoints, unsorted."""
    large = [octave for octave in octaves if min(octave.levels.shape[1:]) > 2 * params.border]
    return Keypoints.concatenate([search(octave, params).keypoints for octave in large])


def to_input_frame(octave: int, refined: Refined, index: np.ndarray, angle: np.ndarray) -> Keypoints:
    """x_input = 2^o·(x + δ), σ likewise, θ from degrees to radians; one row per orientation."""
    pixel = np.float32(2.0**octave)
    x = (refined.col.astype(np.float32) + refined.dx) * pixel
    y = (refined.row.astype(np.float32) + refined.dy) * pixel
    return Keypoints(x[index], y[index], (refined.sigma * pixel)[index], np.deg2rad(angle.astype(np.float64)),
                     refined.response[index], np.full(len(index), octave), refined.layer[index], refined.ds[index])


def select(keypoints: Keypoints, params: SIFTParams, mask: np.ndarray | None) -> Keypoints:
    """Sort, drop duplicates, keep the strongest, apply the mask."""
    keypoints = keypoints[distinct(keypoints)]
    if params.nfeatures > 0:
        keypoints = keypoints[strongest(keypoints, params.nfeatures)]
    return keypoints if mask is None else keypoints[unmasked(keypoints, mask)]


def describe_on(octaves: list[Octave], keypoints: Keypoints, params: SIFTParams) -> np.ndarray:
    """Step 5 on the octave and layer that each keypoint names."""
    kind = np.uint8 if params.descriptor == "uint8" else np.float32
    descriptors = np.empty((len(keypoints), params.n_cells**2 * params.n_desc_bins), kind)
    by_index = {octave.index: octave for octave in octaves}
    for o in np.unique(keypoints.octave):
        rows = np.flatnonzero(keypoints.octave == o)
        k = keypoints[rows]
        if o not in by_index or not ((0 <= k.layer) & (k.layer < params.n_levels)).all():
            raise IndexError(f"keypoint {rows[0]} lies in octave {o}, layer {k.layer[0]}; this image has octaves "
                             f"{list(by_index)} with layers 0 to {params.n_levels - 1}: take the keypoints from "
                             "this image, or place them with Keypoints.at and a smaller sigma")
        pixel = np.float32(2.0**-o)
        angle = np.rad2deg(np.nan_to_num(k.theta)).astype(np.float32)
        raw = describe_octave(by_index[o].levels, k.layer, k.x * pixel, k.y * pixel, k.sigma * pixel, angle, params)
        descriptors[rows] = normalise(raw, params)
    return descriptors


def peak_bytes(height: int, width: int, params: SIFTParams = SIFTParams()) -> int:
    """Bytes that a call needs at its peak, the image itself and the keypoints not counted.

        4·H·W·(1 + 4^−o_min · 4/3 · (S + 3))

    Grey levels, and S + 3 levels of octaves of which the first has 4^−o_min·H·W pixels and all have 4/3 as many, in
    float32.  A described keypoint takes up to 2 kB more, and each thread some sixty rows of every level.

    >>> peak_bytes(480, 640) // 10**6
    40
    """
    first = height * width * 4 ** -params.first_octave
    return 4 * (height * width + first * 4 // 3 * params.n_levels)


def read(image, mask, params: SIFTParams, intensity_range) -> tuple[np.ndarray, np.ndarray | None]:
    """Check the arguments; return the grey levels and the mask."""
    if not isinstance(params, SIFTParams):
        raise TypeError(f"params is a {type(params).__name__}: pass a SIFTParams, for example SIFTParams.opencv()")
    if isinstance(image, np.ndarray) and image.ndim >= 2:
        check_memory(image.shape[0], image.shape[1], params)
    grey = grey_levels(image, intensity_range)
    return grey, check_mask(mask, grey.shape)


def check_memory(height: int, width: int, params: SIFTParams) -> None:
    """Raise MemoryError if the scale space of an image of this size cannot fit this machine."""
    try:
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return                                            # no way to ask this system
    needed = peak_bytes(height, width, params)
    if needed > free:
        raise MemoryError(f"an image of {width} × {height} needs {needed / 2**30:.1f} GiB, this machine has "
                          f"{free / 2**30:.1f} GiB: resize it with pysift.resize_keep_aspect, or do not double it: "
                          "SIFTParams(first_octave=0)")
