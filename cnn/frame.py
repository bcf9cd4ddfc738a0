"""Bring a picture of one digit into the frame that MNIST's digits have.

    picture  →  grey  →  light ink on black  →  crop to the ink  →  20 px box  →  centre of mass to the middle of 28 px

[LeCun, Bottou, Bengio, Haffner 1998, §III.A: "size normalized to fit in a 20 × 20 pixel box while preserving their
aspect ratio", "centered in a 28 × 28 image by computing the center of mass of the pixels"]
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE, _BOX = 28, 20                                          # px
_INK = 0.25                                                  # of the range: fainter pixels are paper


def read(path: str | Path) -> np.ndarray:
    """Read a picture as light ink on a black ground, (H, W) uint8; the border tells which is the ground.

    Raises
    ------
    OSError : there is no such file, or it is no picture
    """
    try:
        with Image.open(path) as image:
            flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            grey = np.asarray(flat.convert("L"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f"{path} cannot be read as a picture ({error}): pass a PNG, JPEG or WebP") from None
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return 255 - grey if np.median(border) > 127 else grey


def frame(ink: np.ndarray) -> np.ndarray:
    """Return light ink on black (H, W) uint8 in MNIST's frame, (28, 28) uint8.

    Raises
    ------
    ValueError : nothing is drawn

    >>> picture = np.zeros((100, 80), np.uint8)
    >>> picture[20:90, 30:40] = 255                          # a stroke
    >>> rows, columns = np.nonzero(frame(picture))
    >>> int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    (20, 3)
    """
    low, high = int(ink.min()), int(ink.max())
    if high - low < 32:                                      # of 255: paper alone varies less
        raise ValueError("nothing is drawn on this picture: its grey levels span less than 32 of 255")
    values = (ink.astype(np.float32) - low) / (high - low)
    values[values < _INK] = 0
    rows, columns = np.flatnonzero(values.any(1)), np.flatnonzero(values.any(0))
    crop = values[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    scale = _BOX / max(crop.shape)
    height, width = (max(1, round(length * scale)) for length in crop.shape)
    small = np.asarray(Image.fromarray(crop).resize((width, height), Image.Resampling.BOX if scale < 1
                                                    else Image.Resampling.BILINEAR))
    mass = small.sum()
    top = round(SIDE / 2 - 0.5 - float((small.sum(1) * np.arange(height)).sum() / mass))
    left = round(SIDE / 2 - 0.5 - float((small.sum(0) * np.arange(width)).sum() / mass))
    top, left = (int(np.clip(at, 0, SIDE - length)) for at, length in ((top, height), (left, width)))
    out = np.zeros((SIDE, SIDE), np.uint8)
    out[top:top + height, left:left + width] = np.round(255 * small.clip(0, 1))
    return out
