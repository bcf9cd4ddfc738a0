"""The explorer: a page on which one picks a keypoint of an image and sees how it came about.

    image → trace, and a trace at the widest thresholds → arrays → one HTML file

    replay.py        the Newton steps of a candidate, and the numbers that the tests compare
    candidates.py    every extremum within reach of the sliders
    points.py        the keypoints, the strongest of them in full
    neighbours.py    the nearest descriptors
    windows.py       the level upright for θ, turned for the descriptor
    page.py          HTML with everything in it
    page/            template, style and scripts
    explain.py       the same for one place, as a figure

imports: explorer.candidates, explorer.page, explorer.points, params, pipeline, tracing
"""
from __future__ import annotations

from dataclasses import asdict

import numpy as np

from pysift import __version__
from pysift.explorer.candidates import candidate_arrays, slider_ranges, widest
from pysift.explorer.page import fill
from pysift.explorer.points import full_arrays, point_arrays
from pysift.params import SIFTParams
from pysift.pipeline import sift
from pysift.tracing import STEPS, trace


def explore(image: np.ndarray, params: SIFTParams = SIFTParams(), *, name: str = "image",
            other: np.ndarray | None = None, other_name: str = "the other image") -> str:
    """Return an HTML page that shows every step of SIFT on an image, for each of its keypoints.

    Parameters
    ----------
    image : as for `sift`
    params : SIFTParams
    name : what the page calls the image
    other : a second image, whose descriptors the matches come from; None looks among those of `image`
    other_name : what the page calls it

    Returns
    -------
    str, a page that asks for no other file

    Raises
    ------
    TypeError, ValueError, MemoryError : as `sift`

    Examples
    --------
    >>> from pysift.photos import photo
    >>> page = explore(photo("chelsea")[:100, :120], name="a corner of Chelsea")
    >>> page[:15], page.count("a corner of Chelsea") > 0
    ('<!doctype html>', True)
    """
    seen = trace(image, params)
    wide = trace(image, widest(params))
    pictures, there = {"image": _bytes(image)}, None
    about = {"name": name, "version": __version__, "steps": STEPS, "params": asdict(params),
             "ranges": slider_ranges(params), "keypoints": len(seen.keypoints), "height": seen.grey.shape[0],
             "width": seen.grey.shape[1]}
    arrays = {**candidate_arrays(wide), **point_arrays(seen, wide)}
    if other is not None:
        there = sift(other, params)
        k = there.keypoints
        pictures["other"] = _bytes(other)
        about |= {"other": other_name, "otherHeight": len(other), "otherWidth": other.shape[1]}
        arrays |= {"otherX": k.x, "otherY": k.y, "otherSigma": k.sigma, "otherTheta": k.theta}
    arrays |= full_arrays(seen, None if there is None else there.descriptors)
    return fill(f"{name}: SIFT explorer", about, arrays, pictures)


def _bytes(image: np.ndarray) -> np.ndarray:
    """Bring a picture to uint8 for looking at, as `grey_levels` reads its range; colours stay."""
    colours = image[..., :3] if image.ndim == 3 and image.shape[2] > 1 else image.reshape(image.shape[:2])
    white = 255 if image.dtype.kind == "f" else 255 / np.iinfo(image.dtype).max
    return np.rint(np.clip(colours * np.float64(white), 0, 255)).astype(np.uint8)
