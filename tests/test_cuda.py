"""diffsift and the lab's training on a GPU; without one, all of this skips and says so."""
from dataclasses import replace

import numpy as np
import pytest
import torch

import diffsift
import pysift
from cnn import train as training
from cnn.recipes import recipe
from diffsift import Softness
from pysift.params import SIFTParams
from soft import dithered, photograph, randn, tensor

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
MODES = pytest.mark.parametrize("mode", ["opencv", "smooth"])
IMAGES = torch.cat([dithered("camera", 100, 200, 64, 72), dithered("coins", 90, 90, 64, 72)])
UNIT = SIFTParams(descriptor="float32")
SLOTS = 24


def numbers(images, mode):
    """All outputs in one vector."""
    out = diffsift.sift(images, UNIT, max_keypoints=SLOTS, mode=mode)
    return torch.cat([column.flatten() for column in out])


@needs_gpu
@MODES
def test_values_and_gradients_are_those_of_the_processor(mode):
    """In float64: sums are taken in another order, nothing else differs."""
    v, found = randn(len(numbers(IMAGES, mode)), seed=1), []
    for device in ("cpu", "cuda"):
        images = IMAGES.to(device).requires_grad_()
        out = numbers(images, mode)
        (gradient,) = torch.autograd.grad(out @ v.to(device), images)
        assert out.device.type == gradient.device.type == device
        found.append((out.detach().cpu(), gradient.cpu()))
    (values, gradient), (theirs, gradient_there) = found
    assert gradient.norm() > 0
    torch.testing.assert_close(theirs, values, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(gradient_there, gradient, rtol=1e-6, atol=1e-6 * gradient.abs().max().item())


@needs_gpu
@MODES
def test_float32_keeps_the_keypoints(mode):
    single = diffsift.sift(IMAGES.float().cuda(), UNIT, max_keypoints=SLOTS, mode=mode)
    double = diffsift.sift(IMAGES, UNIT, max_keypoints=SLOTS, mode=mode)
    for image in range(2):
        sure = double.weight[image] > 0.9
        here = torch.stack([double.x[image], double.y[image]], 1)[sure]
        there = torch.stack([single.x[image], single.y[image]], 1).double().cpu()
        assert torch.cdist(here, there).amin(1).max() < 0.01 and sure.sum() >= 3


@needs_gpu
@pytest.mark.parametrize("name", ["camera", "coins", "moon", "coffee"])
def test_the_hard_limit_is_pysift(name):
    """Same keypoints, 1e-4 px, one level."""
    image = photograph(name)[60:188, 60:188].copy()
    keypoints, descriptors = pysift.sift(image)
    found = diffsift.sift(tensor(image).cuda(), softness=Softness.hard(), max_keypoints=len(keypoints) + 8)
    x, y, sigma, theta, weight, described = (column[0].cpu().numpy() for column in found)
    ours = np.stack([x, y, sigma, np.cos(theta), np.sin(theta)], 1)[weight > 0.5]
    theirs = np.stack([keypoints.x, keypoints.y, keypoints.sigma, np.cos(keypoints.theta), np.sin(keypoints.theta)], 1)
    assert len(ours) == len(theirs) >= 5
    apart = np.abs(ours[:, None] - theirs).max(2)
    match = apart.argmin(1)
    assert sorted(match) == list(range(len(theirs))) and apart.min(1).max() < 1e-4
    assert np.abs(described[weight > 0.5] - descriptors[match].astype(float)).max() <= 1


@needs_gpu
@MODES
def test_transforms_of_torch_func(mode):
    """Forward and reverse mode are adjoint, and vmap is the batch."""
    images = IMAGES[:, :, :40, :44].cuda()
    u, v = randn(*images.shape, seed=2).cuda(), randn(len(numbers(images, mode)), seed=3).cuda()
    _, forward = torch.func.jvp(lambda i: numbers(i, mode), (images,), (u,))
    (back,) = torch.func.vjp(lambda i: numbers(i, mode), images)[1](v)
    assert (forward @ v).item() == pytest.approx((back * u).sum().item(), rel=1e-8)
    mapped = torch.func.vmap(lambda i: diffsift.detect(i[None], UNIT, max_keypoints=5, mode=mode).x[0])(images)
    torch.testing.assert_close(mapped, diffsift.detect(images, UNIT, max_keypoints=5, mode=mode).x)


@needs_gpu
@MODES
def test_the_module_learns_there(mode):
    sift = diffsift.SIFT(learn=["sigma", "desc_clip"], max_keypoints=8, mode=mode).cuda()
    out = sift(IMAGES.float().cuda())
    (out.x.sum() + out.descriptors.square().sum() + out.descriptors[..., 0].sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite() and p.grad.device.type == "cuda" for p in sift.parameters())


@needs_gpu
def test_a_flat_image_has_no_keypoint_and_no_gradient():
    image = torch.full((1, 1, 48, 48), 0.5, device="cuda", requires_grad=True)
    out = diffsift.sift(image, UNIT, max_keypoints=4)
    sum(column.sum() for column in out).backward()
    assert not out.weight.any() and not image.grad.any()


@needs_gpu
def test_training_goes_the_way_that_it_goes_on_the_processor(tmp_path):
    """bfloat16 against float32: the losses of the first epoch agree to a few per cent."""
    plan = replace(recipe("simple"), epochs=1)
    here, there = (training.train(plan, tmp_path / device, device=device) for device in ("cpu", "cuda"))
    assert there["device"] == torch.cuda.get_device_name() and here["device"] == "cpu"
    assert there["curves"]["loss"][0] == pytest.approx(here["curves"]["loss"][0], rel=0.05)
    assert abs(there["test_accuracy"] - here["test_accuracy"]) < 0.1
    again = training.train(replace(plan, epochs=2, seed=1), tmp_path / "two", device="cuda")
    assert len(again["curves"]["loss"]) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_training_says_so(tmp_path):
    with pytest.raises(ValueError, match="finds no GPU"):
        training.train(recipe("simple"), tmp_path, device="cuda")
    assert not list(tmp_path.iterdir())


def test_another_device_is_refused(tmp_path):
    with pytest.raises(ValueError, match="device='tpu': use cpu or cuda"):
        training.train(recipe("simple"), tmp_path, device="tpu")
