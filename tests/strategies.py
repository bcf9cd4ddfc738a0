"""Pictures, volumes and numbers that the property tests draw from.

Pictures are float32 grey levels 0 … 255, (H, W).  A picture is drawn as a seed and a shape: hypothesis then
shrinks two integers instead of ten thousand pixels.

imports: oracle (for its plain blur), pysift.params
"""
from __future__ import annotations

import functools

import numpy as np
from hypothesis import strategies as st

import oracle
from pysift.params import SIFTParams

seeds = st.integers(0, 2**32 - 1)
angles = st.floats(0, 360, exclude_max=True, width=32)                  # degrees
powers = st.integers(-6, 6).map(lambda k: 2.0**k)                       # gains that float32 keeps exact


def shapes(least, most):
    """Draw (height, width), each from least to most pixels."""
    return st.tuples(st.integers(least, most), st.integers(least, most))


def noise(seed, shape):
    """White noise: every pixel its own grey level; the hardest picture for a tolerance."""
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


def texture(seed, shape, sigma=1.5):
    """Noise blurred by sigma pixels and stretched to 0 … 255: full of keypoints, like foliage."""
    smooth = oracle.blur(noise(seed, shape).astype(float), oracle.gaussian_taps(sigma))
    return (255 * (smooth - smooth.min()) / max(np.ptp(smooth), 1e-9)).astype(np.float32)


def noises(least=1, most=40):
    """Draw white noise of any shape from least to most pixels a side."""
    return st.builds(noise, seeds, shapes(least, most))


def textures(least=24, most=48):
    """Draw textures of any shape from least to most pixels a side."""
    return st.builds(texture, seeds, shapes(least, most))


def plane(shape, x, y):
    """Coordinates of every pixel relative to the point (x, y): two arrays of this shape."""
    rows, cols = np.mgrid[:shape[0], :shape[1]]
    return cols - x, rows - y


def blob(shape, x, y, sigma, height=200.0, ground=20.0):
    """A round Gaussian blob of this σ about (x, y) on a flat ground; all lengths in pixels."""
    dx, dy = plane(shape, x, y)
    return (ground + height * np.exp(-(dx**2 + dy**2) / (2 * sigma**2))).astype(np.float32)


def quadratic(shape, peak, hessian, value):
    """Volume value + ½ (p − peak)ᵀ H (p − peak), (layers, H, W) float32; peak, H in the order x, y, layer."""
    layer, row, col = np.indices(shape)
    p = np.stack([col, row, layer], axis=-1) - np.asarray(peak)
    return (value + 0.5 * np.einsum("...i,ij,...j->...", p, hessian, p)).astype(np.float32)


def levels_of(dog, zero=0):
    """Levels (S + 3, H, W) float32 of which `dog` (S + 2, H, W) are the differences; level `zero` is 0.

    They are exact where the sums are, as with a few whole numbers; else those on either side of level `zero` are.
    """
    levels = np.zeros((len(dog) + 1, *dog.shape[1:]), np.float32)
    np.cumsum(dog[zero:], axis=0, out=levels[zero + 1:])
    levels[:zero] = -np.cumsum(dog[:zero][::-1], axis=0)[::-1]
    return levels


@functools.cache
def _photo(name):
    from skimage import data
    return getattr(data, name)()


def photo(name, height=None, width=None):
    """Return the middle of a grey photograph of scikit-image: (height, width) uint8, a fresh copy."""
    image = _photo(name)
    full_height, full_width = image.shape
    height, width = height or full_height, width or full_width
    top, left = (full_height - height) // 2, (full_width - width) // 2
    return image[top:top + height, left:left + width].copy()


def params():
    """Draw SIFTParams in the range that people use."""
    return st.builds(SIFTParams, n_octave_layers=st.integers(1, 5), sigma=st.floats(1.1, 2.4),
                     contrast_threshold=st.floats(0.0, 0.1), edge_threshold=st.floats(2, 50),
                     precise_upscale=st.booleans(), first_octave=st.sampled_from([-1, 0]))
