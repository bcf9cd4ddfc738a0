"""Three small photographs of things that ImageNet has a class for; LICENSES.md names who took them.

    photo(name)  →  (H, W, 3) uint8, RGB
"""
from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
from PIL import Image

NAMES = {"camera": "tripod", "chelsea": "Egyptian cat", "coffee": "espresso"}        # and the class of each


def photo(name: str) -> np.ndarray:
    """Return a photograph as an (H, W, 3) uint8 array in RGB order.

    Raises
    ------
    ValueError : `name` is none of NAMES.

    Examples
    --------
    >>> photo("chelsea").shape
    (300, 451, 3)
    """
    if name not in NAMES:
        raise ValueError(f"photo {name!r} is unknown: use one of {', '.join(NAMES)}")
    with as_file(files(__name__) / f"{name}.jpg") as path, Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))
