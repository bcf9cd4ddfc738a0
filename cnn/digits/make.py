"""Draw the pictures of this folder: `python -m cnn.digits.make [FOLDER]`."""
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from cnn.digits.strokes import DIGITS, Stroke, draw
from cnn.manifest import replacing

_SEED = 7


def main(folder: Path) -> None:
    """Write 0.png … 9.png and abrakadabra.png."""
    rng = np.random.default_rng(_SEED)
    for name, strokes in {**DIGITS, "abrakadabra": abrakadabra()}.items():
        with replacing(folder / f"{name}.png") as part:
            draw(strokes, rng).save(part, format="PNG", optimize=True)


def abrakadabra() -> list[Stroke]:
    """A word that a tired hand wrote: loops from left to right, a line through them and one under them."""
    t = np.linspace(0, 1, 26)
    height = 0.16 + 0.10 * np.sin(9 * t + 1)
    loops = np.stack([t + 0.07 * np.cos(44 * t), 0.45 + height * np.sin(44 * t)], 1)
    return [[tuple(p) for p in loops], [(0.02, .52), (.35, .44), (.70, .55), (.99, .40)],
            [(.98, .78), (.60, .84), (.30, .76), (.03, .86)]]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
