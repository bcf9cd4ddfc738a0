"""The whole soft pipeline: cv2's in the limit, on photographs; images, slots and errors as promised."""
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import diffsift
import pysift
from diffsift import Softness
from pysift.params import SIFTParams
from soft import dithered, photograph, randn, tensor
from strategies import textures

PHOTOS = ["astronaut", "brick", "camera", "cat", "cell", "clock", "coffee", "coins", "grass", "gravel",
          "hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text"]


def crop(name):
    """120 × 128 pixels out of the middle of a photograph."""
    image = photograph(name)
    top, left = (image.shape[0] - 120) // 2, (image.shape[1] - 128) // 2
    return image[top:top + 120, left:left + 128].copy()


def pairs(soft, keypoints):
    """Match slots of weight above ½ with hard keypoints, one to one: (slot, keypoint) indices and both tables."""
    kept = soft.weight[0] > 0.5
    ours = np.stack([column[0][kept].double().numpy() for column in soft[:4]], 1)
    theirs = np.stack([keypoints.x, keypoints.y, keypoints.sigma, keypoints.theta], 1).astype(float)

    def flat(table):                                                    # an angle as a point, so that 0 meets 2π
        return np.column_stack([table[:, :3], np.cos(table[:, 3]), np.sin(table[:, 3])])

    return *linear_sum_assignment(cdist(flat(ours), flat(theirs))), ours, theirs, np.flatnonzero(kept)


def test_twelve_different_photographs_hold_keypoints():
    counts = [len(pysift.detect(crop(name))) for name in PHOTOS]
    assert sum(count >= 5 for count in counts) >= 12 and sum(counts) > 500


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("params", [SIFTParams(), SIFTParams.opencv()], ids=["precise", "opencv"])
@pytest.mark.parametrize("name", PHOTOS)
def test_in_the_limit_it_is_the_hard_sift(name, params, dtype):
    """Same keypoints, positions to 1e-4 px, scales and angles alike, descriptors within one level."""
    if dtype == torch.float32 and params == SIFTParams.opencv():
        params = params.replace(n_octave_layers=4, contrast_threshold=0.02, descriptor="float32")
    image = crop(name)
    keypoints, descriptors = pysift.sift(image, params)
    soft = diffsift.sift(tensor(image, dtype), params, Softness.hard(), max_keypoints=len(keypoints) + 8)
    slot, row, ours, theirs, kept = pairs(soft, keypoints)
    assert len(ours) == len(keypoints) == len(row)
    if len(row):
        assert np.hypot(*(ours[slot, :2] - theirs[row, :2]).T).max() <= 1e-4
        assert (np.abs(ours[slot, 2] / theirs[row, 2] - 1)).max() <= 1e-4
        turn = np.abs(ours[slot, 3] - theirs[row, 3])
        assert np.minimum(turn, 2 * math.pi - turn).max() <= 1e-4
        level = 1.0 if params.descriptor == "uint8" else 1 / 512
        found = soft.descriptors[0].numpy()[kept[slot]]
        assert np.abs(found - descriptors[row].astype(float)).max() <= level


@pytest.mark.parametrize("name", ["camera", "coins", "grass"])
def test_at_the_default_softness_the_values_are_cv2s(name):
    """Only the weights are soft: every hard keypoint has a slot, to 2e-3 px and one level."""
    image = crop(name)
    keypoints, descriptors = pysift.sift(image)
    soft = diffsift.sift(tensor(image), max_keypoints=2 * len(keypoints) + 20)
    slot, row, ours, theirs, kept = pairs(soft._replace(weight=torch.ones_like(soft.weight)), keypoints)
    assert len(row) == len(keypoints)
    assert np.hypot(*(ours[slot, :2] - theirs[row, :2]).T).max() <= 2e-3
    assert np.abs(soft.descriptors[0].numpy()[kept[slot]] - descriptors[row].astype(float)).max() <= 1.0
    assert (soft.weight[0].numpy()[kept[slot]] > 0.5).mean() > 0.9


@pytest.mark.parametrize("name", ["camera", "coins"])
def test_sharper_softness_comes_ever_nearer(name):
    """The distance of all weights from the hard ones falls, and is below 1e-6 in the end."""
    image = tensor(crop(name))
    n = len(pysift.detect(crop(name)))
    hard = diffsift.detect(image, max_keypoints=n, softness=Softness.hard().replace(rounding=False))
    distances = []
    for factor in (0.1, 1, 10, 100, 1e3, 1e4, 1e5, 1e6):
        soft = diffsift.detect(image, max_keypoints=n, softness=Softness().sharper(factor))
        distances.append(float((soft.weight.sort(descending=True).values - hard.weight).abs().sum()))
    assert all(after <= before + 1e-9 for before, after in zip(distances, distances[1:]))
    assert distances[0] > 1 and distances[-1] < 1e-6


@pytest.mark.parametrize("mode", ["opencv", "smooth"])
def test_a_batch_is_its_images_one_by_one(mode):
    images = torch.cat([dithered("camera", 100, 200, 40, 44), dithered("coins", 90, 90, 40, 44)])
    together = diffsift.sift(images, max_keypoints=9, mode=mode)
    for i in (0, 1):
        alone = diffsift.sift(images[i:i + 1], max_keypoints=9, mode=mode)
        for a, b in zip(alone, together):
            torch.testing.assert_close(a[0], b[i])


@pytest.mark.parametrize("softness", [Softness(), Softness.hard()], ids=["soft", "hard"])
def test_few_slots_hold_some_of_the_heaviest(softness):
    """Ten slots of sixty: all of them among the sixty, in falling order, none light."""
    image = tensor(crop("camera"))
    few, many = (diffsift.sift(image, softness=softness, max_keypoints=k) for k in (10, 60))
    rows = {tuple(row) for row in torch.stack([v[0] for v in many[:5]], 1).tolist()}
    assert {tuple(row) for row in torch.stack([v[0] for v in few[:5]], 1).tolist()} <= rows
    assert (few.weight > 0.9).all()
    for out in (few, many):
        assert (out.weight[:, 1:] <= out.weight[:, :-1]).all()


@pytest.mark.parametrize("mode", ["opencv", "smooth"])
@pytest.mark.parametrize("softness", [Softness(), Softness.hard()], ids=["soft", "hard"])
@pytest.mark.parametrize("image", [torch.full((1, 1, 32, 40), 0.5), torch.zeros(2, 1, 7, 5), torch.ones(1, 1, 1, 1),
                                   torch.zeros(1, 1, 32, 32)], ids=["grey", "small", "one pixel", "black"])
def test_no_keypoints_give_weight_zero_and_zero_gradients(image, softness, mode):
    image = image.clone().requires_grad_()
    out = diffsift.sift(image, softness=softness, max_keypoints=5, mode=mode)
    assert [tuple(v.shape) for v in out] == [(len(image), 5)] * 5 + [(len(image), 5, 128)]
    assert all(v.isfinite().all() for v in out) and out.weight.max() < 1e-6
    (sum(v.sum() for v in out)).backward()
    assert image.grad.isfinite().all() and image.grad.abs().max() < 1e-3


@settings(max_examples=8)
@given(textures(16, 40))
def test_nothing_is_ever_infinite_and_weights_are_shares(image):
    for softness in (Softness(), Softness.hard(), Softness().sharper(0.01)):
        x = tensor(image, torch.float32).requires_grad_()
        out = diffsift.sift(x, softness=softness, max_keypoints=6)
        sum(v.sum() for v in out).backward()
        assert all(v.isfinite().all() for v in out) and x.grad.isfinite().all()
        assert ((0 <= out.weight) & (out.weight <= 1)).all()


def test_describe_is_the_second_half_of_sift():
    image = dithered("camera", 100, 200, 48, 48)
    keypoints = diffsift.detect(image, max_keypoints=7, mode="smooth")
    whole = diffsift.sift(image, max_keypoints=7, mode="smooth")
    torch.testing.assert_close(diffsift.describe(image, keypoints, mode="smooth"), whole.descriptors)
    assert set(keypoints.octave.unique().tolist()) <= {-1, 0, 1, 2} and (keypoints.layer >= 1).all()


@pytest.mark.parametrize("arguments, error, word", [
    (dict(images=np.zeros((1, 1, 9, 9))), TypeError, "ndarray"),
    (dict(images=torch.zeros(1, 1, 9, 9, dtype=torch.uint8)), TypeError, "255"),
    (dict(images=torch.zeros(9, 9)), ValueError, r"\(B, 1, H, W\)"),
    (dict(images=torch.zeros(1, 3, 9, 9)), ValueError, "grey"),
    (dict(params=3), TypeError, "SIFTParams"),
    (dict(softness=1.0), TypeError, "Softness"),
    (dict(max_keypoints=0), ValueError, "max_keypoints"),
    (dict(mode="exact"), ValueError, "smooth"),
])
def test_bad_arguments_are_named(arguments, error, word):
    good = dict(images=torch.zeros(1, 1, 9, 9), max_keypoints=2)
    with pytest.raises(error, match=word):
        diffsift.sift(**{**good, **arguments})


def test_extra_photographs_agree_too(extra_photograph):
    image = pysift.to_gray(pysift.load_image(extra_photograph, max_dim=160))
    keypoints, _ = pysift.sift(image)
    soft = diffsift.sift(tensor(image), softness=Softness.hard(), max_keypoints=len(keypoints) + 8)
    slot, row, ours, theirs, _ = pairs(soft, keypoints)
    assert len(ours) == len(keypoints)
    if len(row):
        assert np.hypot(*(ours[slot, :2] - theirs[row, :2]).T).max() <= 1e-4


def test_the_seed_of_noise_matters_not_for_shapes():
    out = diffsift.sift(randn(1, 1, 24, 24).sigmoid(), SIFTParams(n_cells=3, n_desc_bins=6), max_keypoints=3)
    assert out.descriptors.shape == (1, 3, 54)
