"""The notebook's five patterns, painted over noise, all images of a class at once.

    label = i mod 5;   image = noise outside a mask, one fixed colour inside:
    0 vertical red stripes       x mod 10 < 5
    1 horizontal green stripes   y mod 10 < 5
    2 blue discs                 (x − cx)² + (y − cy)² ≤ r²,  cx, cy in 20..43, r in 10..19
    3 yellow squares             15..24 px wide, corner in 10..33
    4 diagonal violet stripes    (x + y) mod 20 < 10

The colours alone separate the classes: `mean_colours` are three numbers an image, and a linear classifier on them
makes no mistake (`cnn/two_networks.py`).  So the set cannot tell one network from another.
"""
from __future__ import annotations

import numpy as np

CLASSES = ("red vertical stripes", "green horizontal stripes", "blue discs", "yellow squares", "violet diagonals")
COLOURS = np.array([[0.8, 0.2, 0.2], [0.2, 0.8, 0.2], [0.2, 0.2, 0.8], [0.8, 0.8, 0.2], [0.8, 0.2, 0.8]], np.float32)


def make(n: int, size: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` images.

    Parameters
    ----------
    n : number of images
    size : side in px, at least 41, below which the notebook's discs have no room
    seed : of the noise and the places

    Returns
    -------
    images (n, 3, size, size) float32 in [0, 1], labels (n,) int64

    Raises
    ------
    ValueError : `size` is too small

    >>> images, labels = make(10)
    >>> images.shape, labels.tolist()
    ((10, 3, 64, 64), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
    """
    if size < 41:
        raise ValueError(f"size={size} must be at least 41 px, so that discs have room 20 px from every side")
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(CLASSES)
    noise = rng.random((n, 3, size, size), np.float32)
    mask = masks(labels, places(n, size, rng), size)
    return np.where(mask[:, None], COLOURS[labels][:, :, None, None], noise), labels


def places(n: int, size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw what the discs and squares need, (n, 1, 1) each: centre and radius, corner and side."""
    limits = {"cx": (20, size - 20), "cy": (20, size - 20), "r": (10, 20),
              "x0": (10, size - 30), "y0": (10, size - 30), "side": (15, 25)}
    return {name: rng.integers(low, high, (n, 1, 1)) for name, (low, high) in limits.items()}


def masks(labels: np.ndarray, at: dict[str, np.ndarray], size: int) -> np.ndarray:
    """Return where each image is painted, (n, size, size) bool."""
    y, x = np.mgrid[:size, :size]
    inside = [np.broadcast_to(x % 10 < 5, (len(labels), size, size)),
              np.broadcast_to(y % 10 < 5, (len(labels), size, size)),
              (x - at["cx"])**2 + (y - at["cy"])**2 <= at["r"]**2,
              (at["x0"] <= x) & (x < at["x0"] + at["side"]) & (at["y0"] <= y) & (y < at["y0"] + at["side"]),
              np.broadcast_to((x + y) % 20 < 10, (len(labels), size, size))]
    return np.choose(labels[:, None, None], inside)


def mean_colours(images: np.ndarray) -> np.ndarray:
    """Return the mean of each channel, (N, 3), of images (N, 3, H, W)."""
    return images.mean(axis=(2, 3))
