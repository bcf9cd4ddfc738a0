"""Ten digits as if drawn by hand, and abrakadabra.png, which is none: made by `python -m cnn.digits.make`.

The strokes are control points through which a smooth line runs (`strokes`); nobody's handwriting was copied.
"""
from __future__ import annotations

from pathlib import Path


def path(name: str) -> Path:
    """Return the path of "0".."9" or "abrakadabra".

    Raises
    ------
    ValueError : there is no such picture
    """
    file = Path(__file__).parent / f"{name}.png"
    if not file.exists():
        raise ValueError(f"there is no picture {name!r}: choose a digit or abrakadabra")
    return file
