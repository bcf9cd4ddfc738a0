"""What a net gets of a picture.

    picture (H, W, 3) uint8, RGB  →  its middle square  →  side × side  →  (x − mean) / std  →  (1, 3, side, side)
"""
from __future__ import annotations

from os import PathLike
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor


class Input(NamedTuple):
    """How a net was fed when it was trained.

    Parameters
    ----------
    side : of the square, in pixels
    mean, std : of the grey levels 0 … 255 of red, green and blue
    crop : side of the middle square that is kept, over the shorter side of the picture
    """

    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: float

    def square(self, image: np.ndarray | Image.Image | str | PathLike[str]) -> np.ndarray:
        """The part of a picture that the net sees: (side, side, 3) uint8.

        Parameters
        ----------
        image : (H, W), (H, W, 3) or (H, W, 4) uint8, a PIL image, or the path of a file
        """
        picture = image if isinstance(image, Image.Image) else as_picture(image)
        picture = picture.convert("RGB")
        side = round(min(picture.size) * self.crop)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
        return np.asarray(picture.resize((self.side, self.side), Image.Resampling.BILINEAR))

    def tensor(self, square: np.ndarray) -> Tensor:
        """What the net gets of a square: (1, 3, side, side) float32.

        Examples
        --------
        >>> net = Input(side=32, mean=(0, 0, 0), std=(255, 255, 255), crop=1)
        >>> net.tensor(net.square(np.zeros((40, 50, 3), np.uint8))).shape
        torch.Size([1, 3, 32, 32])
        """
        values = (np.asarray(square, np.float32) - np.float32(self.mean)) / np.float32(self.std)
        return torch.from_numpy(values.transpose(2, 0, 1).copy())[None]


def as_picture(image: np.ndarray | str | PathLike[str]) -> Image.Image:
    """Open a file, or wrap an array.

    Raises
    ------
    OSError : the file is missing or no picture.
    ValueError, TypeError : an array of another shape or type.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or not (image.ndim == 2 or image.ndim == 3 and image.shape[2] in (3, 4)):
            raise ValueError(f"image has the shape {image.shape} and type {image.dtype}: give (H, W), (H, W, 3) or "
                             "(H, W, 4) of uint8")
        return Image.fromarray(image)
    try:
        with Image.open(image) as picture:
            return picture.convert("RGB")
    except FileNotFoundError:
        raise FileNotFoundError(f"{image}: no such file: check the path") from None
    except OSError as error:
        raise OSError(f"{image} cannot be read as a picture ({error}): give a PNG, JPEG or WebP file") from None
