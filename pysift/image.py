"""Before step 1: from any accepted image to the grey levels 0 … 255 that the pipeline reads.

    file or URL  →  array as stored  →  grey, same dtype  →  float32 grey levels  →  scalespace
    load_image      resize_keep_aspect  to_gray              grey_levels

Accepted are uint8, uint16, float32 and float64 arrays of shape (H, W) or (H, W, 1|3|4), in RGB order
unless said otherwise; alpha is ignored.  Inputs are never altered, and images returned are new arrays.
Source: OpenCV 5.0, modules/imgproc/src/color_rgb.simd.hpp (grey) and resize.cpp (area average).
imports: load
"""
from __future__ import annotations

import operator
from os import PathLike

import numpy as np

from pysift.load import exif_orientation, read_pixels

__all__ = ["check_image", "check_mask", "exif_orientation", "grey_levels", "load_image", "resize_keep_aspect",
           "to_gray"]

_RANGE = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "float32": (0.0, 1.0), "float64": (0.0, 1.0)}
_REMEDY = {"b": "multiply it: image.astype(np.uint8) * 255", "c": "take its magnitude: np.abs(image)",
           "f": "convert it: image.astype(np.float32)", "O": "its rows may differ in length: make them equal"}

def load_image(source: str | PathLike[str], *, max_dim: int | None = None,
               apply_exif: bool = False) -> np.ndarray:
    """Read an image file, or an http(s) URL, as the array it stores.

    Parameters
    ----------
    source, apply_exif : as for `pysift.load.read_pixels`, which also says what comes back and what is raised
    max_dim : longest side of the result, in pixels (`resize_keep_aspect`); None keeps the size

    Returns
    -------
    (H, W) or (H, W, 3|4) uint8, uint16 or float32, in RGB order

    Examples
    --------
    >>> from importlib.resources import files
    >>> path = files("pysift.photos") / "chelsea.png"
    >>> load_image(path).shape, load_image(path, max_dim=100).shape
    ((300, 451, 3), (66, 100, 3))
    """
    pixels = read_pixels(source, apply_exif=apply_exif)
    return pixels if max_dim is None else resize_keep_aspect(pixels, max_dim)


def to_gray(image: np.ndarray, *, order: str = "rgb") -> np.ndarray:
    """Luma of an image, in its own dtype.

        integers   (9798·R + 19235·G + 3735·B + 2¹⁴) >> 15     as cv2.cvtColor, to the bit
        floats     0.299·R + 0.587·G + 0.114·B

    Parameters
    ----------
    image : (H, W) or (H, W, 1|3|4) uint8, uint16, float32 or float64; alpha is ignored
    order : "rgb" or "bgr", the order of the channels

    Returns
    -------
    (H, W), dtype of `image`, a new C-contiguous array; one channel comes back as it is

    Raises
    ------
    TypeError : `image` is no array, or of another dtype.
    ValueError : another shape or order, no pixels, or NaN or inf (the message says where).

    Examples
    --------
    >>> to_gray(np.full((2, 3, 3), (255, 0, 0), np.uint8))
    array([[76, 76, 76],
           [76, 76, 76]], dtype=uint8)
    """
    return np.array(_luma(image, order), order="C")


def _luma(image: np.ndarray, order: str) -> np.ndarray:
    """`to_gray`, or a view where that will do."""
    image = check_image(image)
    if order not in ("rgb", "bgr"):
        raise ValueError(f"order={order!r} is unknown: use 'rgb' or 'bgr'")
    colours = image.reshape(*image.shape[:2], -1)[..., :3]
    _check_finite(colours)
    if colours.shape[2] == 1:
        return colours[..., 0]
    r, g, b = np.moveaxis(colours if order == "rgb" else colours[..., ::-1], 2, 0)
    if image.dtype.kind == "f":
        return 0.299 * r + 0.587 * g + 0.114 * b
    luma = np.uint32(9798) * r + np.uint32(19235) * g + np.uint32(3735) * b + np.uint32(1 << 14)     # < 2³¹
    return (luma >> np.uint32(15)).astype(image.dtype)


def grey_levels(image: np.ndarray, intensity_range: tuple[float, float] | None = None,
                order: str = "rgb") -> np.ndarray:
    """Grey levels on the scale 0 … 255 on which every threshold of SIFT is stated.

        level = (grey − low) · 255 / (high − low)

    Parameters
    ----------
    image : as for `to_gray`; uint8 and uint16 become grey as integers first, as in cv2
    intensity_range : (low, high), the values that become 0 and 255; None takes the range of an integer
        dtype, and [0, 1] for floats
    order : "rgb" or "bgr"

    Returns
    -------
    (H, W) float32, C-contiguous; values outside the range are not clipped

    Raises
    ------
    TypeError, ValueError : as `to_gray`; `intensity_range` is not two finite numbers low < high; or the image
        lies far outside it, as a float image of 0 … 255 does.

    Examples
    --------
    >>> grey_levels(np.array([[0, 65535]], np.uint16)), grey_levels(np.array([[0.0, 2.0]]), (0, 4))
    (array([[  0., 255.]], dtype=float32), array([[  0. , 127.5]], dtype=float32))
    """
    grey = _luma(image, order)
    low, high = _RANGE[grey.dtype.name] if intensity_range is None else _check_range(intensity_range)
    if grey.dtype == np.uint8 and intensity_range is None:
        return grey.astype(np.float32, order="C")
    darkest, brightest = float(grey.min()), float(grey.max())
    # A million ranges still leave gradients and their products finite in float32.
    least, most = (-0.5, 1.5) if intensity_range is None else (-1e6, 1e6)
    if (darkest - low) / (high - low) < least or (brightest - low) / (high - low) > most:
        raise ValueError(f"image spans {darkest:g} to {brightest:g}, far outside ({low:g}, {high:g}): divide "
                         "it by its white level (image / 255, say), or pass intensity_range=(low, high)")
    return ((grey.astype(np.float64) - low) * 255 / (high - low)).astype(np.float32, order="C")


def resize_keep_aspect(image: np.ndarray, max_dim: int = 800) -> np.ndarray:
    """Shrink an image so that its longer side is at most `max_dim`; smaller images keep their size.

    Each new pixel is the mean over the area that it covers, as cv2.resize does with INTER_AREA, so that
    nothing aliases.  The new size is (int(w·s), int(h·s)), s = max_dim / longer side, and at least 1.

    Parameters
    ----------
    image : (H, W) or (H, W, 1|3|4) uint8, uint16, float32 or float64
    max_dim : longest side, in pixels, at least 1

    Returns
    -------
    (h, w) or (h, w, 1|3|4), dtype of `image`, a new array

    Raises
    ------
    TypeError, ValueError : as `to_gray`; or `max_dim` is not a whole number of at least 1.

    Examples
    --------
    >>> resize_keep_aspect(np.zeros((1200, 1600, 3), np.uint8)).shape
    (600, 800, 3)
    """
    image = check_image(image)
    _check_finite(image)
    try:
        limit = operator.index(max_dim)
    except TypeError:
        raise TypeError(f"max_dim={max_dim!r} must be a whole number of pixels, e.g. 800") from None
    if limit < 1:
        raise ValueError(f"max_dim={max_dim} leaves no pixel: use 1 or more")
    height, width = image.shape[:2]
    scale = limit / max(height, width)
    if scale >= 1:
        return image.copy()
    shrunk = _area_mean(image, max(1, int(height * scale))).swapaxes(0, 1)
    shrunk = _area_mean(shrunk, max(1, int(width * scale))).swapaxes(0, 1)
    return np.ascontiguousarray(shrunk if image.dtype.kind == "f" else np.rint(shrunk), dtype=image.dtype)


def _area_mean(image: np.ndarray, new: int) -> np.ndarray:
    """Mean of an array over `new` equal intervals of its first axis, as float64.

        out[j] = 1/s · ∫ u(t) dt  over  [j·s, (j+1)·s],   s = old / new ≥ 1,   u constant on each pixel
    """
    old = len(image)
    edges = np.arange(new + 1) * old / new
    first = edges.astype(np.intp)                                  # the pixel in which each interval begins
    before = (edges - first).reshape(-1, *[1] * (image.ndim - 1))  # the share of it that lies before the edge
    whole = np.add.reduceat(image, first[:-1], axis=0, dtype=np.float64)
    cut = before * image[np.minimum(first, old - 1)]
    return (whole - cut[:-1] + cut[1:]) * new / old


def check_image(image: np.ndarray) -> np.ndarray:
    """Return `image` in native byte order; TypeError or ValueError unless dtype and shape are accepted."""
    if image is None:
        raise TypeError("image is None, which is what cv2.imread returns for a file that it cannot read: "
                        "check the path, or use pysift.load_image")
    if not isinstance(image, np.ndarray):
        raise TypeError(f"image is a {type(image).__name__}, not an array: pass np.asarray(image), "
                        "or read a file with pysift.load_image")
    if image.dtype.newbyteorder("=").name not in _RANGE:
        remedy = _REMEDY.get(image.dtype.kind, "convert it to uint8 or uint16, or to floats in [0, 1]")
        raise TypeError(f"image has dtype {image.dtype}, not uint8, uint16, float32 or float64: {remedy}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ValueError(f"image has shape {image.shape}, not (H, W) or (H, W, 1|3|4): pass one image, "
                         "its channels last")
    if image.size == 0:
        raise ValueError(f"image has shape {image.shape}, no pixel: check the crop that made it")
    return np.asarray(image, dtype=image.dtype.newbyteorder("="))


def check_mask(mask: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray | None:
    """Return a uint8 or bool mask as (H, W) bool, True (keypoints wanted) where it is not 0; None for None.

    Raises
    ------
    TypeError : `mask` is no array of uint8 or bool.
    ValueError : its shape is not `shape`, the (H, W) of the image.

    Examples
    --------
    >>> check_mask(np.array([[0, 255]], np.uint8), (1, 2))
    array([[False,  True]])
    """
    if mask is None:
        return None
    if not isinstance(mask, np.ndarray) or mask.dtype not in (np.uint8, np.bool_):
        kind = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"mask is {kind}, not a uint8 or bool array: pass np.asarray(mask) != 0")
    if mask.shape != tuple(shape):
        raise ValueError(f"mask has shape {mask.shape}, the image {tuple(shape)}: make them equal")
    return np.ascontiguousarray(mask != 0)


def _check_range(intensity_range: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(v) for v in intensity_range)
    except (TypeError, ValueError):
        raise TypeError(f"intensity_range={intensity_range!r} must be (low, high), e.g. (0, 255)") from None
    if not (np.isfinite([low, high - low]).all() and low < high):
        raise ValueError(f"intensity_range={intensity_range!r} must be finite with low < high, e.g. (0, 255)")
    return low, high


def _check_finite(image: np.ndarray) -> None:
    if image.dtype.kind != "f":
        return
    bad = ~np.isfinite(image).reshape(*image.shape[:2], -1).all(axis=2)
    if bad.any():
        y, x = np.argwhere(bad)[0]
        raise ValueError(f"image holds NaN or inf in {np.count_nonzero(bad)} of {bad.size} pixels, first at "
                         f"(x, y) = ({x}, {y}): replace them, e.g. np.nan_to_num(image, posinf=1, neginf=0)")
