"""Keypoints of mode "smooth" follow a blob as the closed form says they must; Lowe's quadratic does not.

docs/truth.py measures the same over more blobs; here a few, and what its record says of all.
"""
import json
import math
from pathlib import Path

import pytest
import torch

from diffsift import Softness
from diffsift.pipeline import _candidates, _octaves
from diffsift.refine import Refined, refine
from pysift.params import SIFTParams

K = 2 ** (1 / 3)
ROOT = Path(__file__).resolve().parent.parent
RECORD = json.loads((ROOT / "docs/truth.json").read_text())
BLOBS = [(3.0, 0.25, 0.1), (4.0, 0.5, 0.3), (5.0, 0.37, 0.5), (6.3, 0.8, 0.6)]


def followed(s, dx, dy, mode, params):
    """(x, y, σ) of the keypoint less the truth, and its derivatives to (x₀, y₀, s), (3, 3)."""
    side = 2 * round(5 * s + 16) + 1
    blob = torch.tensor([side // 2 + dx, side // 2 + dy, s], dtype=torch.float64)

    def point(blob):
        i = torch.arange(side, dtype=torch.float64)
        image = 0.1 + 0.8 * torch.exp(-((i[:, None] - blob[1]) ** 2 + (i - blob[0]) ** 2) / (2 * blob[2] ** 2))
        octaves = _octaves(image[None, None], params, Softness())
        r = refine(octaves, _candidates(octaves, params, Softness(), 4, "opencv")[0], params, mode=mode)
        r = Refined(*(column[0, (r.response.log() + r.log_weight).detach().argmax()] for column in r))
        pixel = torch.exp2((r.layer // octaves.per_octave + params.first_octave).double())
        return torch.stack([(r.col + r.dx) * pixel, (r.row + r.dy) * pixel, r.sigma * pixel])

    truth = torch.stack([*blob[:2], torch.sqrt((blob[2] ** 2 - 0.25) / K)])
    jacobian = torch.stack([torch.func.jvp(point, (blob,), (axis,))[1] for axis in torch.eye(3).double()], 1)
    return point(blob) - truth, jacobian


@pytest.mark.parametrize("s, dx, dy", BLOBS)
def test_smooth_keypoints_follow_a_blob_to_one_percent(s, dx, dy):
    """They do to 10⁻³: place, scale, ∂x/∂x₀, ∂σ/∂s; and what must not move does not."""
    off, jacobian = followed(s, dx, dy, "smooth", SIFTParams(first_octave=0))
    sigma = math.sqrt((s * s - 0.25) / K)
    truth = torch.diag(torch.tensor([1.0, 1.0, s / (K * sigma)], dtype=torch.float64))
    assert off.abs().max() < 1e-3 * s
    assert (jacobian - truth).abs().max() < 1e-3


@pytest.mark.parametrize("s, dx, dy", [BLOBS[0], BLOBS[2]])
def test_doubling_leaves_one_percent_of_scale(s, dx, dy):
    """Its own blur of 1/8 px² counts for (1/8)/2s² of σ."""
    off, jacobian = followed(s, dx, dy, "smooth", SIFTParams())
    sigma = math.sqrt((s * s - 0.25) / K)
    assert (jacobian[:2, :2] - torch.eye(2)).abs().max() < 1e-3
    assert float(jacobian[2, 2]) / (s / (K * sigma)) == pytest.approx(1 - 1 / (16 * s * s), abs=1e-3)
    assert off[:2].abs().max() < 1e-3 and abs(float(off[2])) < 0.01 * sigma


def test_lowes_quadratic_is_off_by_several_percent():
    """It is no fault of ours: closed-form samples give the same (benchmarks/blobs.py)."""
    jacobians = [followed(*blob, "opencv", SIFTParams(first_octave=0))[1] for blob in BLOBS]
    off = [float((j[:2, :2] - torch.eye(2)).abs().max()) for j in jacobians]
    assert max(off) > 0.05 and max(off) < 0.2


def test_the_record_holds_the_one_percent_for_every_blob():
    """In scale with the blur of the doubling counted in; without it blobs of less than 2.6 px are further off."""
    rows = [r for r in RECORD["rows"] if r["mode"] == "smooth"]
    assert len(rows) >= 40
    for row in rows:
        assert abs(row["dx_dx0"]) < 0.01 and abs(row["dy_dx0"]) < 0.01 and abs(row["dsigma_ds_doubled"]) < 0.01
        assert row["s"] < 2.6 or abs(row["dsigma_ds"]) < 0.01
