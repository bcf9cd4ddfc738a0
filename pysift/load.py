"""Before step 1: the pixels of an image file or URL, as the file stores them.

    path or URL  →  file  →  Pillow picture, first frame  →  array in RGB order
                   fetch.py

Pillow decodes; this file decides what each of its modes becomes, and says in one sentence what is wrong
with a file that it cannot decode.  `pysift.image.load_image` is the public face.

imports: fetch (for URLs only)
"""
from __future__ import annotations

import logging
import os
import re
import reprlib
import stat
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Image import Transpose
from PIL.ImageFile import ImageFile

_log = logging.getLogger("pysift")

_ORIENTATION = 0x0112             # EXIF tag: how the stored picture must be turned to stand upright
_UPRIGHT = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
            5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90}
_INVERSE = {**_UPRIGHT, 6: _UPRIGHT[8], 8: _UPRIGHT[6]}

_EIGHT_BIT = {"1": "L", "L": "L", "RGB": "RGB", "RGBA": "RGBA", "LA": "RGBA", "PA": "RGBA", "RGBa": "RGBA",
              "RGBX": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}


def read_pixels(source: str | PathLike[str], *, apply_exif: bool = False) -> np.ndarray:
    """Decode the first frame of an image file, or of an http(s) URL.

        grey 1, 8 bit → uint8     grey 16 bit → uint16     grey float → float32      (H, W)
        colour, CMYK, YCbCr, palette → uint8 RGB                                     (H, W, 3)
        the same or grey with alpha  → uint8 RGBA                                    (H, W, 4)

    16-bit colour loses its lower byte, with a warning: Pillow has no room for it.

    Parameters
    ----------
    source : path, or http(s) URL; what a URL answers is kept, see `pysift.fetch`
    apply_exif : turn the picture upright as its EXIF orientation says; otherwise that tag is only reported,
        as a warning of the logger "pysift" (`exif_orientation` returns it)

    Returns
    -------
    (H, W) or (H, W, 3|4) uint8, uint16 or float32

    Raises
    ------
    OSError : the file is missing, a folder, empty, cut short or no image, or the download failed.
    ValueError : the picture has too many pixels or no RGB, or the URL or its answer is not acceptable.
    TypeError : `source` is neither str nor path.

    Examples
    --------
    >>> from importlib.resources import files
    >>> read_pixels(files("pysift.photos") / "camera.png").shape
    (512, 512)
    """
    picture, orientation, label = _decode(source)
    if orientation != 1 and apply_exif:
        picture = picture.transpose(_UPRIGHT[orientation])
    elif orientation != 1:
        _log.warning("%s: EXIF orientation %d (tag 0x0112) is not applied, x and y are those of the stored "
                     "picture: apply_exif=True turns it upright", label, orientation)
    return _to_array(picture, label)


def exif_orientation(source: str | PathLike[str]) -> int:
    """Return the EXIF orientation of an image file or URL: 1 upright or none, 2 … 8 as in TIFF 6.0.

    Raises
    ------
    OSError, ValueError, TypeError : as `read_pixels`.
    """
    return _decode(source)[1]


def _decode(source: str | PathLike[str]) -> tuple[Image.Image, int, str]:
    """Return the picture as stored, its EXIF orientation (1 … 8) and the name to give it in messages."""
    path, label = _locate(source)
    try:
        # A file, not its path: a raw TIFF of orientation 5 … 8 that Pillow maps into memory by its path
        # comes out with width and height exchanged, its pixels scrambled (Pillow 13.0).
        with open(path, "rb") as file, Image.open(file) as picture:
            if _is_deep_colour(picture):
                _log.warning("%s: 16-bit colour is read as 8-bit, its upper byte: 16-bit grey would keep all",
                             label)
            orientation = picture.getexif().get(_ORIENTATION, 1)
            picture.load()
            # Pillow turns TIFF files, and only these, while it loads them, and then drops the tag.
            turned = picture.getexif().get(_ORIENTATION, 1) != orientation
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise ValueError(f"{label} has too many pixels ({error}): shrink it, or raise "
                         "PIL.Image.MAX_IMAGE_PIXELS if you trust it and have the memory") from error
    except UnidentifiedImageError as error:
        raise OSError(f"{label} is no image that Pillow can read: check that it is one, and save it as PNG, "
                      "JPEG or TIFF") from error
    except Exception as error:      # damaged bytes: each of Pillow's decoders raises what it trips on
        raise OSError(f"{label} is damaged or cut short ({error}): copy or download it again") from error
    if orientation not in _UPRIGHT:
        return picture, 1, label
    return picture.transpose(_INVERSE[orientation]) if turned else picture, orientation, label


def _locate(source: str | PathLike[str]) -> tuple[Path, str]:
    """Return the file to open and the name to give it in messages; raise if there is no such file."""
    if not isinstance(source, (str, PathLike)):
        raise TypeError(f"source={reprlib.repr(source)} must be a path or an http(s) URL, not a "
                        f"{type(source).__name__}")
    if isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        from pysift.fetch import fetch
        path = fetch(source)
        return path, f"{source} (kept as {path}; delete that file to download it again)"
    path = Path(source)
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{str(source)!r} does not exist: check its spelling, and that it starts at "
                                f"{os.getcwd()} or is absolute") from None
    except ValueError as error:
        raise ValueError(f"{str(source)!r} is no path ({error}): check how it was made") from None
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(f"{str(source)!r} is a folder: give the path of one image in it")
    if not stat.S_ISREG(info.st_mode):
        raise OSError(f"{str(source)!r} is a device or a pipe: save the image to a file first")
    if info.st_size == 0:
        raise OSError(f"{str(source)!r} is empty, 0 bytes: copy or download it again")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{str(source)!r} may not be read by you: change its permissions, or copy it")
    return path, str(path)


def _is_deep_colour(picture: ImageFile) -> bool:
    """Whether the file holds more than 8 bits a channel of a picture that Pillow holds in 8."""
    return len(picture.getbands()) > 1 and any(
        ";16" in str(args) or (codec == "ppm" and "65535" in str(args)) for codec, _, _, args in picture.tile)


def _to_array(picture: Image.Image, label: str) -> np.ndarray:
    mode = picture.mode
    if mode.startswith("I;16"):
        return np.array(picture, dtype=np.uint16)
    if mode == "I":                                    # 32 bit, which is how Pillow reads 16-bit PGM
        wide = np.asarray(picture)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError(f"{label} holds integers from {wide.min()} to {wide.max()}, not 0 … 65535: "
                             "scale them, or save them as float TIFF")
        return wide.astype(np.uint16)
    if mode == "F":
        return np.array(picture, dtype=np.float32)
    if mode == "P":
        return np.array(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))
    if mode not in _EIGHT_BIT:
        raise ValueError(f"{label} has the colour mode {mode}, which has no RGB of its own: save it as RGB")
    return np.array(picture if mode == _EIGHT_BIT[mode] else picture.convert(_EIGHT_BIT[mode]))
