"""The data types: K slots an image, each a keypoint with a weight.

Frame and units are those of the hard twin (docs/conventions.md): x to the right, y down, the centre of the first
pixel at (0, 0), in pixels of the input image; σ in input pixels; θ in radians in [0, 2π), from +x to +y.

imports: torch only          Hard twin  pysift/keypoints.py
"""
from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class SoftKeypoints(NamedTuple):
    """K keypoints of B images; tensors (B, K), the heaviest first.

    A slot of weight 0 holds finite numbers that mean nothing.
    """

    x: Tensor
    y: Tensor
    sigma: Tensor
    theta: Tensor
    log_weight: Tensor      # log of the product of all gates; −inf where a hard gate is shut
    response: Tensor        # |D| at the refined point, fraction of the range
    octave: Tensor          # int64, −1 for the doubled image
    layer: Tensor           # int64, 1 … S

    @property
    def weight(self) -> Tensor:
        """exp(log_weight), in [0, 1]."""
        return self.log_weight.exp()

    def take(self, index: Tensor) -> SoftKeypoints:
        """Rows `index` (B, n) of each image."""
        return SoftKeypoints(*(column.gather(1, index) for column in self))


class SoftFeatures(NamedTuple):
    """Keypoints (B, K) and their descriptors (B, K, 128)."""

    x: Tensor
    y: Tensor
    sigma: Tensor
    theta: Tensor
    weight: Tensor          # in [0, 1]; above ½ where the hard twin has a keypoint
    descriptors: Tensor
