"""Three small photographs that anyone may use for anything; LICENSES.md names who took them.

    names()  →  photo(name)  →  (H, W, 3) uint8, RGB

imports: image
"""
from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np

from pysift.image import load_image


def names() -> tuple[str, ...]:
    """Names of the photographs, in alphabetical order.

    >>> names()
    ('camera', 'chelsea', 'coffee')
    """
    stored = (file.name for file in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".png") for name in stored if name.endswith(".png")))


def photo(name: str) -> np.ndarray:
    """Return a photograph as an (H, W, 3) uint8 array in RGB order; a grey one has three equal channels.

    Raises
    ------
    ValueError : `name` is none of `names()`.

    Examples
    --------
    >>> photo("chelsea").shape, photo("camera").shape
    ((300, 451, 3), (512, 512, 3))
    """
    if name not in names():
        raise ValueError(f"photo {name!r} is unknown: use one of {', '.join(names())}")
    with as_file(files(__name__) / f"{name}.png") as path:
        pixels = load_image(path)
    return pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)
