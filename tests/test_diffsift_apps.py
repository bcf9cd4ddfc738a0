"""Applications of diffsift: the law behind each, on a picture small enough for seconds."""
import functools
import json
import subprocess
import sys
from argparse import Namespace

import numpy as np
import pytest
import torch

from diffsift import SoftFeatures, Softness, covariance, describe, detect
from diffsift import cli as commands
from diffsift.apps import align, attack, invert, judge, learn, picture, report, saliency
from diffsift.apps.covariance import compare, draw, points
from diffsift.apps.uncertainty import apart, cells_of, positions, reach
from pysift.params import SIFTParams

torch.set_num_threads(1)


@functools.cache
def scene(side=64, left=0):
    """Return a piece of the camera photograph with a dozen keypoints or more."""
    image = picture.read("camera", 256)[..., 60:60 + side, 100 + left:100 + left + side]
    return image.clone()


@functools.cache
def found():
    features = points(scene())
    assert features.x.shape[1] > 8
    return features, covariance(scene(), features, 1 / 255)


def test_covariance_is_symmetric_and_positive():
    _, sigma = found()
    assert torch.equal(sigma, sigma.mT)
    assert (torch.linalg.eigvalsh(sigma) > 0).all()


def test_covariance_is_j_times_j_transposed():
    """Keypoints that share a backward pass get what each gets alone, from the whole image."""
    features, sigma = found()
    image = scene().clone().requires_grad_()
    octave, cells = cells_of(features)
    for k in range(0, features.x.shape[1], 3):
        index = int(octave[0, k])
        place = positions(image, octave, cells, index)[0, k]
        rows = torch.stack([torch.autograd.grad(p, image, retain_graph=True)[0].flatten() for p in place]) / 255
        torch.testing.assert_close(sigma[0, k], rows @ rows.T, rtol=1e-10, atol=0)
        torch.testing.assert_close(place, torch.stack([features.x[0, k], features.y[0, k]]), rtol=0, atol=1e-3)


def test_no_keypoint_reads_further_than_its_reach():
    features, _ = found()
    image = scene().clone().requires_grad_()
    octave, cells = cells_of(features)
    k = int(torch.where(octave[0] == -1, features.sigma[0], 0).argmax())
    place = positions(image, octave, cells, int(octave[0, k]))[0, k]
    seen = torch.autograd.grad(place[0], image)[0][0, 0].nonzero()
    far = (seen - place.detach().flip(0)).abs().max()
    assert reach(int(octave[0, k])) / 2 < far <= reach(int(octave[0, k]))


def test_covariance_grows_with_the_variance_of_the_noise():
    features, sigma = found()
    torch.testing.assert_close(covariance(scene(), features, 3 / 255), 9 * sigma)
    noise = torch.zeros_like(scene())
    assert not covariance(scene(), features, noise).any()
    noise[..., :32] = 1 / 255
    other = torch.where(noise > 0, 0.0, 1 / 255)
    torch.testing.assert_close(covariance(scene(), features, noise) + covariance(scene(), features, other), sigma)


def test_half_the_contrast_is_four_times_the_variance():
    features, sigma = found()
    torch.testing.assert_close(covariance(0.5 * scene() + 0.2, features, 1 / 255), 4 * sigma, rtol=1e-6, atol=0)


def test_empty_slots_have_no_covariance():
    features, sigma = found()
    padded = SoftFeatures(*(torch.cat([c, torch.ones_like(c[:, :1])], 1) for c in features))
    padded.weight[:, -1] = 0
    again = covariance(scene(), padded, 1 / 255)
    assert not again[0, -1].any()
    torch.testing.assert_close(again[:, :-1], sigma)


def test_covariance_of_a_batch_is_that_of_each_image():
    features, sigma = found()
    other = points(scene(64, 8))
    n = min(features.x.shape[1], other.x.shape[1])
    both = SoftFeatures(*(torch.cat([a[:, :n], b[:, :n]]) for a, b in zip(features, other)))
    again = covariance(torch.cat([scene(), scene(64, 8)]), both, 1 / 255)
    torch.testing.assert_close(again[0], sigma[0, :n])
    torch.testing.assert_close(again[1:], covariance(scene(64, 8), other, 1 / 255)[:, :n])


def test_scatter_under_faint_noise_is_what_was_predicted():
    features, sigma = found()
    shifts, cv2_shifts = draw(scene(), features, 0.25, 60, 1)
    row = compare(shifts, sigma[0] / 16)
    assert row["lost"] == 0 and 0.9 < row["ratio_median"] < 1.1 and 0.9 < row["coverage"] < 0.98
    assert cv2_shifts.shape == shifts.shape and not cv2_shifts.isnan().all()


@pytest.mark.parametrize("noise, images, remedy", [(-1.0, 1, "0 or more"), (1.0, 2, "pass the ones")])
def test_covariance_refuses_what_it_cannot_use(noise, images, remedy):
    with pytest.raises(ValueError, match=remedy):
        covariance(scene().repeat(images, 1, 1, 1), found()[0], noise)


def test_keypoints_of_a_group_are_apart_and_none_is_lost():
    centres = {k: (0, *xy) for k, xy in enumerate(np.random.default_rng(0).integers(0, 60, (40, 2)).tolist())}
    groups = apart(centres, 15)
    assert sorted(k for group in groups for k in group) == sorted(centres) and len(groups) < 40
    for group in groups:
        xy = np.array([centres[k][1:] for k in group])
        far = np.abs(xy[:, None] - xy).max(-1) + 99 * np.eye(len(group))
        assert far.min() > 15


@functools.cache
def pairs():
    image = scene(96)
    other, warp = saliency.turned(image, 12)
    keypoints, partners = saliency.matches(image, other, warp, 5, 0)
    assert len(partners) >= 3
    return image, keypoints, partners


def test_a_match_rests_on_differences_of_pixels_not_on_their_level():
    image, keypoints, partners = pairs()
    one = keypoints.take(torch.tensor([[0]]))
    slope = saliency.match_saliency(image, one, partners[0])
    assert slope.abs().max() > 0 and abs(slope.sum()) < 1e-9 * slope.abs().sum()


def test_deleting_salient_pixels_harms_a_match_more_than_deleting_others():
    image, keypoints, partners = pairs()
    generator, growth = np.random.default_rng(0), []
    for k in range(len(partners)):
        one = keypoints.take(torch.tensor([[k]]))
        row = {}
        for name, order in saliency.orders(image, one, partners[k], generator).items():
            gone = saliency.deleted(image, order)
            distance = (describe(gone, saliency.repeat(one, len(gone)), saliency.UNIT, mode="smooth")[:, 0]
                        - partners[k]).norm(dim=-1)
            row["first " + name] = (distance[1] - distance[0]).item()
            row[name] = (distance[1:5] - distance[0]).mean().item()         # beyond 10 % holes in one piece tell too
        growth.append(row)
    mean = {name: np.mean([row[name] for row in growth]) for name in growth[0]}
    assert mean["gradient × change"] > mean["gradient"] > mean["random"] > 0
    assert mean["first gradient × change"] > 3 * abs(mean["first random"]) + 0.02


def test_saliency_of_a_descriptor_is_the_norm_of_its_jacobian():
    image, keypoints, _ = pairs()
    one = keypoints.take(torch.tensor([[0]]))
    seen = saliency.descriptor_saliency(image, one)
    probe = torch.zeros_like(image)
    y, x = divmod(int(seen.argmax()), image.shape[3])
    probe[0, 0, y, x] = 1e-5
    up, down = (describe(image + sign * probe, one, saliency.UNIT, mode="smooth") for sign in (1, -1))
    assert seen[y, x].item() == pytest.approx(((up - down) / 2e-5).norm().item(), rel=1e-5)


@functools.cache
def aligned(offset, turn=0.0, zoom=0.0):
    image, middle = scene(96), 47.5
    keypoints = align._largest(image, 12)
    planes = align.as_planes([o.levels for o in align.build_scalespace(image * 255, align.UNIT, least_side=11)])
    targets = align.describe_on(planes, keypoints, align.UNIT, Softness(), "smooth")[0]
    start = torch.tensor([offset, -offset / 2, turn, zoom], dtype=image.dtype)
    return (align.descend(align.by_descriptors(planes, keypoints, targets, middle), start, 12),
            align.lucas_kanade(image, align.sample(image, *torch.meshgrid(*2 * [torch.arange(96.0).double()],
                               indexing="xy"))[None, None], start, middle))


def test_identical_crops_stay_where_they_are():
    for end in aligned(0.0):
        assert end.abs().max() < 1e-3


def test_a_turned_and_zoomed_view_is_registered_through_its_frames():
    """The truth is no identity here: angle and scale of every frame must be carried the right way."""
    ends = align._trial(scene(96), 2.0, Namespace(seed=0, size=96, turn=8, keypoints=12), 3, False)
    assert max(ends.values()) < 0.1


def test_carry_is_a_similarity_clockwise_on_the_screen():
    w = torch.tensor([3.0, -2.0, 0.4, 0.2], dtype=torch.float64)
    x, y = align.carry(w, torch.tensor(15.0), torch.tensor(12.0), 10.0)
    there = complex(5, 2) * np.exp(0.2 + 0.4j) + complex(13, 8)
    assert (x.item(), y.item()) == pytest.approx((there.real, there.imag))


@pytest.mark.parametrize("start", [(2.0,), (0.0, 0.1, 0.08)])
def test_a_crop_shifted_or_turned_and_zoomed_finds_home(start):
    for end in aligned(*start):
        assert end[:2].abs().max() < 0.05 and end[2:].abs().max() < 0.005


def test_planted_sigma_and_clip_are_recovered_to_one_percent_and_the_threshold_within_its_gap(monkeypatch):
    monkeypatch.setattr(learn, "_FEW", 8)
    image = scene()
    planted = {"sigma": 1.75, "contrast_threshold": 0.03, "desc_clip": 0.24}
    seen = [learn.plant(image, planted)]
    got = learn.recover([image], seen)
    assert got["sigma"] == pytest.approx(1.75, rel=0.01) and got["desc_clip"] == pytest.approx(0.24, rel=0.01)
    weakest = seen[0][0].response.min().item() * 3
    lenient = learn.plant(image, planted | {"contrast_threshold": 0.01})[0].response[0] * 3
    strongest_dropped = lenient[lenient < 0.03].max().item()
    assert strongest_dropped - 1e-4 < got["contrast_threshold"] < weakest + 1e-4


def test_threshold_is_found_from_above_and_from_below():
    seen = learn.plant(scene(), {"contrast_threshold": 0.05})
    weakest = seen[0].response.min().item() * 3
    for start in (0.035, 0.065):
        params = SIFTParams(contrast_threshold=start)
        for sharpness in (10, 100):
            params = params.replace(contrast_threshold=learn.threshold([scene()], [seen], params, sharpness))
        assert 0.03 < params.contrast_threshold < weakest + 1e-3


def test_pictures_without_keypoints_teach_nothing():
    flat = torch.full((1, 1, 64, 64), 0.5, dtype=torch.float64)
    with pytest.raises(ValueError, match="--size"):
        learn.recover([flat], [learn.plant(flat, {})])


def test_attack_lowers_the_weight_and_what_opencv_finds():
    image = scene()
    changed = attack.erase(image, 10.0, 25)
    weights = [detect(view, max_keypoints=64).weight.sum() for view in (image, changed)]
    assert weights[1] < 0.7 * weights[0]
    before = judge.places(judge.cv2_sift(picture.levels(image))[0])
    row = attack.verdict(image, changed, before)
    assert row["removed"] >= 0.3 * len(before) and row["left"] < len(before) and row["psnr"] > 30


def test_keypoints_move_where_they_are_told():
    row = attack.moves(scene(), attack.move(scene(), 0.3, 30), 0.3)
    assert row["seen"] > 4 and 0.15 < row["median_px"] < 0.4


def test_inverted_image_has_the_descriptors_and_looks_more_like_the_truth_than_a_flat_one():
    image = scene(48)
    keypoints = detect(image, SIFTParams(contrast_threshold=0.01), Softness.hard(), max_keypoints=24, mode="smooth")
    keypoints = keypoints.take((keypoints.weight[0] > 0.5).nonzero().T)
    targets = describe(image, keypoints, saliency.UNIT, mode="smooth")
    inverted = invert.matched(invert.invert(image.shape, keypoints, targets, 30, 1e-3, 0), image)
    row, flat = invert.verdict(image, inverted, keypoints), image.mean().expand_as(image)
    assert row["cv2_residual"] < row["cv2_random_pair"] / 3
    assert row["psnr"] > picture.psnr(image, flat) + 1 and row["ssim"] > invert.ssim(image, flat) + 0.1


def test_ssim_sees_structure_and_not_only_error():
    image = scene()
    assert invert.ssim(image, image) == pytest.approx(1)
    assert invert.ssim(image, image + 0.05) > 0.8 > invert.ssim(image, image.flip(3)) + 0.3


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    args = Namespace(output=tmp_path / "new", seed=3, image="camera")
    figure, _ = report.figure(1)
    path = report.write("covariance", args, figure, number=1.5)
    record = json.loads(path.read_text())
    assert record["number"] == 1.5 and record["seed"] == 3 and record["machine"]["versions"]["torch"]
    with pytest.raises(TypeError):
        report.write("covariance", args, figure, number=object())
    assert json.loads(path.read_text()) == record and len(list(path.parent.iterdir())) == 2


def test_the_list_of_applications_needs_no_torch():
    code = "import sys; from diffsift.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in commands.APPS)


@pytest.mark.parametrize("name", commands.APPS)
def test_the_help_of_each_application_has_an_example(name, capsys):
    assert commands.main([name, "--help"]) == 0
    assert f"example:\n  python -m diffsift {name} " in capsys.readouterr().out


def test_wrong_usage_says_what_is_right(capsys):
    assert commands.main(["covarience"]) == 2
    assert "covariance" in capsys.readouterr().err
    assert commands.main(["saliency", "--image", "nowhere.png"]) == 1
    assert "nowhere.png" in capsys.readouterr().err


SMALL = {
    "covariance": "--size 64 --draws 30 --noise 0.5",
    "saliency": "--size 96 --matches 3",
    "align": "--size 96 --trials 1 --offsets 2 --keypoints 10",
    "learn": "--size 64 --plants 1",
    "attack": "--size 64 --steps 5 --prices 10",
    "invert": "--size 64 --counts 5 10 --steps 5",
}


@pytest.mark.parametrize("name", SMALL)
def test_each_command_leaves_a_figure_and_its_numbers(name, tmp_path, monkeypatch):
    monkeypatch.setattr(learn, "_FEW", 4)
    assert commands.main([name, *SMALL[name].split(), "--seed", "1", "-o", str(tmp_path)]) == 0
    record = json.loads((tmp_path / f"diffsift_{name}.json").read_text())
    assert record["seed"] == 1 and (tmp_path / f"diffsift_{name}.png").read_bytes()[:4] == b"\x89PNG"
    if name == "covariance":
        assert record["rows"][0]["cell"]["ratio_median"] == pytest.approx(1, abs=0.15)
