"""Images that are no digit, as a network that knows digits should notice: (N, 1, 28, 28) uint8 each.

    noise       every pixel uniform
    letters     printed, those that no digit looks like, framed as MNIST frames
    scribbles   wandering lines, framed likewise
    fashion     5000 images of Fashion-MNIST's training half: its test half is not ours to spend here
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from cnn import data
from cnn.digits.strokes import draw, scribble
from cnn.frame import frame

LETTERS = "ACEFHKMNPRTUVWXYadefhkmnrtvwxy"                   # left out: those that O I 2 3 5 6 8 9 can look like
_SIDE = 96                                                   # px, drawn before framing


def noise(n: int, rng: np.random.Generator) -> Tensor:
    """Draw `n` images of uniform noise."""
    return torch.from_numpy(rng.integers(0, 256, (n, 1, 28, 28), np.uint8))


def letters(n: int, rng: np.random.Generator) -> Tensor:
    """Print `n` letters, turned by up to 15°."""
    font = ImageFont.load_default(56)
    pictures = []
    for letter in rng.choice(list(LETTERS), n):
        paper = Image.new("L", (_SIDE, _SIDE))
        ImageDraw.Draw(paper).text((_SIDE / 2, _SIDE / 2), letter, 255, font, "mm")
        pictures.append(frame(np.asarray(paper.rotate(rng.uniform(-15, 15), Image.Resampling.BICUBIC))))
    return _stack(pictures)


def scribbles(n: int, rng: np.random.Generator) -> Tensor:
    """Draw `n` scribbles."""
    return _stack([frame(255 - np.asarray(draw(scribble(rng), rng, size=_SIDE))) for _ in range(n)])


def fashion(files: str | Path | None) -> Tensor:
    """Read Fashion-MNIST's validation part."""
    return data.load("fashion", "validation", files).images


DRAWN: dict[str, Callable[[int, np.random.Generator], Tensor]] = {
    "noise": noise, "letters": letters, "scribbles": scribbles}


def _stack(pictures: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures))[:, None]
