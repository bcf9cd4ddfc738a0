"""The picture an application works on: a grey square out of a photograph, as a tensor in [0, 1]."""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def read(source: str, side: int | None = None, *, dtype: torch.dtype = torch.float64) -> Tensor:
    """Load an image and cut a square out of its middle.

    Parameters
    ----------
    source : the path of an image, or the name of a photograph that ships with pysift
    side : of the square [px]; the whole image without one

    Returns
    -------
    (1, 1, H, W) in [0, 1], multiples of 1/255

    Raises
    ------
    ValueError : the image is smaller than `side`
    OSError : there is no such file

    >>> read("camera", 32).shape
    torch.Size([1, 1, 32, 32])
    """
    from pysift.image import load_image, to_gray
    from pysift.photos import names, photo
    grey = to_gray(photo(source) if source in names() else load_image(source))
    if side is not None:
        if min(grey.shape) < side:
            raise ValueError(f"{source} is {grey.shape[1]} x {grey.shape[0]} px, too small for a square of {side}: "
                             "choose a smaller --size")
        top, left = ((length - side) // 2 for length in grey.shape)
        grey = grey[top:top + side, left:left + side]
    return torch.from_numpy(np.ascontiguousarray(grey)).to(dtype)[None, None] / np.iinfo(grey.dtype).max


def levels(image: Tensor) -> np.ndarray:
    """Round the first image of a batch to what a file holds: (H, W) uint8.

    >>> levels(torch.full((1, 1, 1, 2), 0.5))
    array([[128, 128]], dtype=uint8)
    """
    return (image[0, 0].detach().double().clamp(0, 1).numpy() * 255).round().astype(np.uint8)


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal to noise, dB, of images in [0, 1].

    >>> psnr(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.1))
    20.0
    """
    return round(-10 * torch.log10((a.double() - b.double()).square().mean().clamp(min=1e-20)).item(), 4)
