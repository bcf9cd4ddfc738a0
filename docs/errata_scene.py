"""The keypoints that errata.py measures on: those of the middle of one embedded photograph."""
from __future__ import annotations

import torch

from diffsift import descriptor, extrema, orientation, planes, refine, scalespace
from diffsift.softness import Softness
from pysift.image import to_gray
from pysift.params import SIFTParams
from pysift.photos import photo

PHOTO = "coffee"
HARD, UNIT = Softness.hard().replace(rounding=False), SIFTParams(descriptor="float32")


class Scene:
    """The keypoints of the photograph: cubes of D/255, refined points, raw descriptors."""

    def __init__(self) -> None:
        self.image = to_gray(photo(PHOTO))[60:316, 160:416]
        grey = torch.from_numpy(self.image.astype(float))
        octaves = scalespace.build_scalespace(grey[None, None], least_side=11)
        self.planes = planes.as_planes([o.levels for o in octaves])
        cells, keep = zip(*(self._extrema(o.levels, i) for i, o in enumerate(octaves)))
        cells, keep = torch.cat(cells, 1), torch.cat(keep, 1)[0]
        self.candidates = cells[:, keep]
        self.cubes = self.planes.cubes(*self.candidates.unbind(-1))[0] / 255
        found = refine.refine(self.planes, self.candidates, SIFTParams(), HARD)
        self.found = refine.Refined(*(column[:, found.log_weight[0] == 0] for column in found))
        f = self.found
        self.at = self.planes, f.layer, f.col + f.dx, f.row + f.dy, f.sigma
        self.sign = torch.sign(self.cubes[:, 1, 1, 1])

    def _extrema(self, levels, octave):
        cells, log_weight = extrema.find_extrema(levels, SIFTParams(), HARD, count=2000)
        return cells + torch.tensor([octave * 6, 0, 0]), log_weight == 0

    def angles(self, params=SIFTParams(), softness=HARD, smoothed=True):
        """Angle of the highest bin of every keypoint, degrees, and its histogram."""
        f = self.found
        histogram = orientation._vote(self.planes, f.layer, f.row, f.col, f.sigma, params, softness)
        histogram = orientation._smooth(histogram) if smoothed else histogram
        best = histogram.argmax(-1, keepdim=True)
        return orientation.peak_angles(histogram, params, softness)[0].gather(-1, best)[..., 0], histogram

    def descriptors(self, mode="opencv", **changes):
        """Descriptors before they are normalised, (N, 128)."""
        angle = self.angles()[0]
        return descriptor.describe_octave(*self.at, angle, UNIT.replace(**changes), HARD, mode=mode)[0]


def unit(v):
    """Divide by the length."""
    return v / v.norm(dim=-1, keepdim=True)


def turn(a, b):
    """Angle between two directions, degrees."""
    return ((a - b + 180) % 360 - 180).abs()
