"""Soft descriptors: the hard twin's in the limit, derivatives to pixels and frame, bounded and free of contrast."""
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffsift.descriptor import describe_octave, normalise
from diffsift.planes import as_planes
from diffsift.scalespace import build_scalespace
from diffsift.softness import Softness
from pysift import descriptor as hard
from pysift.params import SIFTParams
from soft import dithered, randn
from strategies import photo, seeds

HARD = Softness.hard()
FRAMES = np.float32([[40.2, 41.7, 2.1, 10.0], [8.0, 70.4, 1.9, 200.5], [35.0, 33.3, 3.5, 359.9], [76.4, 4.0, 2.5, 90]])


def frames(array=FRAMES, dtype=torch.float64):
    return torch.from_numpy(np.asarray(array)).to(dtype).T[:, None]


@pytest.mark.parametrize("params", [SIFTParams(), SIFTParams(n_cells=3, n_desc_bins=6, cell_width=2.0, desc_sigma=0.7)])
def test_in_the_limit_the_histograms_are_the_hard_ones(params):
    level = photo("camera", 80, 79).astype(np.float32)
    levels = torch.from_numpy(level).double().expand(1, 6, 80, 79)
    layer = torch.full((1, len(FRAMES)), 2)
    ours = describe_octave(levels, layer, *frames(), params, HARD)[0].numpy()
    expected = hard.describe_octave(np.repeat(level[None], 6, 0), layer[0].numpy(), *FRAMES.T, params)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=2e-5 * expected.max())


@pytest.mark.parametrize("kind", ["uint8", "float32", "root"])
@given(seeds, st.floats(0, 3))
def test_in_the_limit_the_normalised_are_the_hard_ones(kind, seed, power):
    raw = (np.random.default_rng(seed).uniform(0, 10, (3, 128)) ** power).astype(np.float32)
    raw[2] = 0
    params = SIFTParams(descriptor=kind)
    ours = normalise(torch.from_numpy(raw).double(), params, HARD).numpy()
    theirs = hard.normalise(raw, params).astype(float)
    assert np.abs(ours - theirs).max() <= (1 if kind == "uint8" else 1e-5)
    assert (ours == theirs).mean() > 0.99 if kind == "uint8" else True
    assert not ours[2].any()


@given(seeds)
def test_the_default_softness_is_within_a_level_of_the_hard_rule(seed):
    raw = torch.from_numpy(np.random.default_rng(seed).gamma(0.3, 300, (4, 128)))
    assert (normalise(raw) - normalise(raw, softness=HARD)).abs().max() <= 1


@pytest.mark.parametrize("kind", ["uint8", "float32", "root"])
def test_first_and_second_derivatives_of_the_normalisation(kind):
    raw = (randn(2, 16) ** 2 + 0.1).requires_grad_()
    softness, params = Softness(clip=0.05, norm=0.5, root=0.01), SIFTParams(descriptor=kind, desc_scale=200.0)
    assert torch.autograd.gradcheck(lambda v: normalise(v, params, softness), raw)
    assert torch.autograd.gradgradcheck(lambda v: normalise(v, params, softness), raw)


@pytest.mark.parametrize("mode", ["opencv", "smooth"])
def test_first_and_second_derivatives(mode):
    levels = build_scalespace(dithered("camera", 100, 200, 14, 15) * 255)[0].levels
    planes = as_planes(levels)
    layer = torch.tensor([[1]])
    x, y, sigma, angle = (f.requires_grad_() for f in frames([[13.3, 14.6, 0.71, 33.0]]))
    params = SIFTParams(sigma=0.6, n_cells=2, n_desc_bins=4)

    def histogram(values, x, y, sigma, angle):
        return describe_octave(planes._replace(values=values), layer, x, y, sigma, angle, params, mode=mode)

    inputs = planes.values.clone().requires_grad_(), x, y, sigma, angle
    assert torch.autograd.gradcheck(histogram, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(histogram, inputs, fast_mode=True, atol=1e-4)
    back = torch.autograd.grad(histogram(*inputs).square().sum(), inputs, allow_unused=True)
    moved = [grad is not None and bool(grad.norm() > 0) for grad in back]
    assert moved == [True, mode == "smooth", mode == "smooth", True, True]          # cv2 rounds x and y


@pytest.mark.parametrize("mode", ["opencv", "smooth"])
@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_quarter_turn_of_pixels_and_angle_changes_nothing(mode, quarter):
    levels = 100 * randn(1, 6, 81, 81)
    layer = torch.tensor([[2]])
    x, y, sigma, angle = frames([[44.0, 37.0, 2.0, 25.0]])
    turned = torch.rot90(levels, -quarter, (2, 3))                                   # clockwise on the screen
    dx, dy = (x - 40, y - 40)
    for _ in range(quarter):
        dx, dy = -dy, dx
    before = describe_octave(levels, layer, x, y, sigma, angle, mode=mode)
    after = describe_octave(turned, layer, 40 + dx, 40 + dy, sigma, angle + 90 * quarter, mode=mode)
    torch.testing.assert_close(before, after)


def test_the_smooth_mode_describes_what_the_other_does():
    """Same layout, scale and direction: on a photograph their unit descriptors are within 0.35 of each other."""
    levels = build_scalespace(dithered("camera", 90, 190, 60, 60) * 255)[0].levels
    layer = torch.tensor([[1, 2, 2]])
    where = frames([[60.0, 61.0, 2.0, 10.0], [50.0, 55.0, 2.5, 130.0], [64.0, 52.0, 2.7, 280.0]])
    params = SIFTParams(descriptor="float32")
    a, b = (normalise(describe_octave(levels, layer, *where, mode=mode), params) for mode in ("opencv", "smooth"))
    others = (a - b.roll(1, 1)).norm(dim=-1)
    assert ((a - b).norm(dim=-1) < 0.35).all() and (others > 0.5).all()


@pytest.mark.parametrize("mode", ["opencv", "smooth"])
@pytest.mark.parametrize("softness", [Softness(), HARD], ids=["soft", "hard"])
@pytest.mark.parametrize("kind", ["uint8", "float32", "root"])
def test_a_flat_patch_gives_zeros_and_no_derivative(mode, softness, kind):
    levels = torch.full((1, 6, 64, 64), 7.0, requires_grad=True)
    raw = describe_octave(levels, torch.tensor([[1]]), *frames([[30.0, 31.0, 2.0, 15.0]], torch.float32),
                          softness=softness, mode=mode)
    out = normalise(raw, SIFTParams(descriptor=kind), softness)
    out.sum().backward()
    assert out.abs().max() < 1e-3 and levels.grad.isfinite().all() and levels.grad.abs().max() < 1e-2


@given(st.floats(-0.49, 0.49), st.floats(-0.49, 0.49))
def test_cv2_does_not_see_a_move_within_the_pixel(dx, dy):
    levels = 100 * randn(1, 6, 64, 64)
    layer = torch.tensor([[1]])
    still = describe_octave(levels, layer, *frames([[30.0, 31.0, 1.8, 15.0]]))
    moved = describe_octave(levels, layer, *frames([[30.0 + dx, 31.0 + dy, 1.8, 15.0]]))
    assert (still == moved).all() or np.float32(0.49) < max(abs(dx), abs(dy))


@pytest.mark.parametrize("floor", [0.0, 10.0])
def test_an_empty_histogram_has_the_derivative_of_the_floor_and_without_one_of_the_identity(floor):
    softness, params = Softness(norm=floor, clip=1e-6), SIFTParams(descriptor="float32")
    jacobian = torch.autograd.functional.jacobian(lambda v: normalise(v, params, softness),
                                                  torch.zeros(5, dtype=torch.float64))
    torch.testing.assert_close(jacobian, torch.eye(5, dtype=torch.float64) / (floor or 1.0))
