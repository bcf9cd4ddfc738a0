"""The implementations of SIFT with derivatives that are measured: diffsift and kornia, each in two modes.

    images (B, 1, H, W) float in [0, 1] → build(K, device) → outputs, tensors → places → x, y, σ, θ, descriptors

All with the defaults of the installed version and K slots an image.  What they leave out differs: kornia has no
contrast test, no edge test and one orientation a point; its descriptor is RootSIFT, which `places` undoes.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import numpy as np
import torch
from torch import Tensor

Detect = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Contestant:
    """One implementation in one mode.

    Attributes
    ----------
    name : what tables call it
    module : what it imports
    build : number of slots, device → function of images that returns tensors
    places : what that function returned for one image → columns x, y, σ, θ and descriptors of the slots in use
    """

    name: str
    module: str
    build: Callable[[int, str], Detect]
    places: Callable[[tuple[Tensor, ...]], tuple[np.ndarray, np.ndarray]]

    def missing(self) -> str | None:
        """Return why it cannot be imported, or None if it can."""
        try:
            import_module(self.module)
        except ImportError as error:
            return str(error)
        return None


class Passes:
    """Forward and backward of one contestant on images; between the two it holds the graph."""

    def __init__(self, detect: Detect, images: Tensor) -> None:
        self.detect, self.images, self.outputs = detect, images.clone().requires_grad_(), []

    def inference(self) -> None:
        """The values alone, without a graph."""
        with torch.no_grad():
            self.detect(self.images)

    def forward(self) -> None:
        """The values and the graph."""
        self.outputs = [out for out in self.detect(self.images) if out.requires_grad]

    def backward(self) -> None:
        """The derivative of the sum of all outputs of the last `forward` to every pixel."""
        outputs, self.outputs, self.images.grad = self.outputs, [], None
        torch.autograd.backward(outputs, [torch.ones_like(out) for out in outputs])


def by_name(name: str) -> Contestant:
    """The contestant of that name."""
    return next(c for c in CONTESTANTS if c.name == name)


def present() -> list[Contestant]:
    """Those that can be imported."""
    return [c for c in CONTESTANTS if c.missing() is None]


def absent() -> dict[str, str]:
    """Name and reason of those that cannot."""
    return {c.name: reason for c in CONTESTANTS if (reason := c.missing())}


def _diffsift(mode: str, count: int, device: str) -> Detect:
    import diffsift
    return partial(diffsift.sift, max_keypoints=count, mode=mode)


def _diffsift_places(outputs: tuple[Tensor, ...]) -> tuple[np.ndarray, np.ndarray]:
    *columns, weight, descriptors = (out[0].detach().cpu().double().numpy() for out in outputs)
    used = weight > 0.5
    return np.stack(columns, 1)[used], descriptors[used]


def _kornia(backend: str, count: int, device: str) -> Detect:
    from kornia.feature import SIFTFeatureScaleSpace
    return SIFTFeatureScaleSpace(count, descriptor_backend=backend, descriptor_layout="opencv", device=device).eval()


def _kornia_places(outputs: tuple[Tensor, ...]) -> tuple[np.ndarray, np.ndarray]:
    from kornia.feature import laf_is_filled

    from pysift import convert
    lafs, _, descriptors = (out.detach().cpu() for out in outputs)
    used = laf_is_filled(lafs)[0]
    points = convert.from_laf(lafs[0][used].numpy())
    return (np.stack([points.x, points.y, points.sigma, points.theta], 1).astype(float),
            descriptors[0][used].double().numpy() ** 2)


CONTESTANTS = (
    Contestant("diffsift opencv", "diffsift", partial(_diffsift, "opencv"), _diffsift_places),
    Contestant("diffsift smooth", "diffsift", partial(_diffsift, "smooth"), _diffsift_places),
    Contestant("kornia pyramid", "kornia", partial(_kornia, "pyramid"), _kornia_places),
    Contestant("kornia patch", "kornia", partial(_kornia, "patch"), _kornia_places),
)
