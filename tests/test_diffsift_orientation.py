"""Soft orientations: the hard twin's histogram and peaks in the limit, derivatives right, a flat patch harmless."""
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffsift.orientation import angle_histogram, assign_orientations, peak_angles
from diffsift.planes import as_planes
from diffsift.scalespace import build_scalespace
from diffsift.softness import Softness
from pysift import orientation as hard
from pysift.params import SIFTParams
from soft import dithered, randn
from strategies import photo, seeds, texture

HARD = Softness.hard()
SOFT = Softness(ori_bin=0.8, peak=5.0)
PLACES = [(40, 33, 2.1), (5, 6, 1.9), (70, 12, 3.5)]                        # row, col, sigma; two near the border


def place(*columns):
    return [torch.tensor([list(c)]) for c in columns]


def where(places, dtype=torch.float64):
    row, col, sigma = zip(*places)
    layer, row, col = place([1] * len(places), row, col)
    return layer, row, col, torch.tensor([sigma], dtype=dtype)


@pytest.mark.parametrize("params", [SIFTParams(), SIFTParams(n_ori_bins=24, ori_sigma=1.2, ori_reach=2.0)])
def test_in_the_limit_the_histogram_is_the_hard_one(params):
    level = photo("camera", 80, 70).astype(np.float32)
    ours = angle_histogram(torch.from_numpy(level).double().expand(1, 6, 80, 70), *where(PLACES), params, HARD)[0]
    for histogram, (row, col, sigma) in zip(ours.numpy(), PLACES):
        expected = hard.angle_histogram(level, col, row, sigma, params)
        np.testing.assert_allclose(histogram, expected, rtol=1e-5, atol=1e-5 * expected.max())


@given(seeds, st.floats(0.5, 1.0))
def test_in_the_limit_the_peaks_are_the_hard_ones(seed, share):
    h = texture(seed, (1, 36), 2.0)[0]
    params = SIFTParams(ori_peak=share)
    angle, log_weight = peak_angles(torch.from_numpy(h).double(), params, HARD)
    np.testing.assert_allclose(angle[log_weight == 0].numpy(), hard.peak_angles(h, params), atol=2e-3)


@given(seeds)
def test_peaks_do_not_depend_on_contrast(seed):
    h = torch.from_numpy(texture(seed, (1, 36), 2.0)[0]).double()
    softness = Softness(norm=0.0)
    for a, b in zip(peak_angles(h, softness=softness), peak_angles(1000 * h, softness=softness)):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("mode", ["opencv", "smooth"])
@given(st.floats(0, 359.9))
def test_a_ramp_points_uphill_in_both_modes(mode, degrees):
    """The steepest ascent of a plane, clockwise on the screen, to half a bin; by a parabola through splines, to 0.4°, in smooth mode."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    theta = np.deg2rad(degrees)
    ramp = (np.cos(theta) * x + np.sin(theta) * y).double().expand(1, 6, 40, 40)
    layer, row, col, sigma = where([(20, 20, 2.0)])
    if mode == "smooth":
        row, col = row + 0.3, col - 0.2
    angle, log_weight = assign_orientations(ramp, layer, row, col, sigma, softness=Softness(), mode=mode)
    found = angle.flatten()[log_weight.argmax()]
    assert abs((found - degrees + 180) % 360 - 180) < (5.1 if mode == "opencv" else 0.4)


@pytest.mark.parametrize("mode", ["opencv", "smooth"])
@pytest.mark.parametrize("softness", [SOFT, SOFT.replace(ori_bin=0.0)], ids=["soft bins", "hard bins"])
def test_first_and_second_derivatives(mode, softness):
    levels = build_scalespace(dithered("camera", 100, 200, 12, 13) * 255)[0].levels
    planes = as_planes(levels)
    layer, row, col, sigma = where([(12, 11, 0.7)])
    if mode == "smooth":
        row, col = row + 0.3, col - 0.2
    values, sigma = planes.values.clone().requires_grad_(), sigma.requires_grad_()
    params = SIFTParams(n_ori_bins=8, sigma=0.6)                          # a small window: reach 6

    def peaks(values, sigma):
        return assign_orientations(planes._replace(values=values), layer, row, col, sigma, params, softness, mode=mode)

    assert torch.autograd.gradcheck(peaks, (values, sigma), fast_mode=True)
    assert torch.autograd.gradgradcheck(peaks, (values, sigma), fast_mode=True, atol=1e-4)
    angle, log_weight = peaks(values, sigma)
    (back,) = torch.autograd.grad(angle.flatten()[log_weight.argmax()], values)
    assert back.norm() > 0


@pytest.mark.parametrize("mode", ["opencv", "smooth"])
@pytest.mark.parametrize("softness", [Softness(), HARD], ids=["soft", "hard"])
def test_a_flat_patch_has_no_peak_and_no_derivative(mode, softness):
    levels = torch.full((1, 6, 40, 40), 7.0, requires_grad=True)
    layer, row, col, sigma = where([(20, 20, 2.0)], torch.float32)
    angle, log_weight = assign_orientations(levels, layer, row, col, sigma, softness=softness, mode=mode)
    assert angle.isfinite().all() and (log_weight.exp() < 0.3).all()
    (angle.sum() + log_weight.exp().sum()).backward()
    assert levels.grad is None or levels.grad.abs().max() < 1e-3


def test_a_smooth_window_moves_with_its_point():
    """Shifting point and pixels alike changes nothing; shifting the point alone does, continuously."""
    level = build_scalespace(dithered("camera", 90, 190, 40, 40) * 255)[0].levels
    layer, row, col, sigma = where([(40.0, 40.0, 2.0)])
    row, col = row.double(), col.double()
    here = angle_histogram(level, layer, row + 0.3, col + 0.4, sigma, mode="smooth")
    shifted = angle_histogram(level.roll((3, -2), (2, 3)), layer, row + 3.3, col - 1.6, sigma, mode="smooth")
    torch.testing.assert_close(here, shifted)
    near = angle_histogram(level, layer, row + 0.3 + 1e-6, col + 0.4, sigma, mode="smooth")
    assert 0 < (near - here).abs().max() < 1e-3 * here.max()


def test_the_histogram_is_linear_in_contrast():
    levels = 100 * randn(1, 6, 40, 40)
    h = angle_histogram(levels, *where([(20, 20, 2.0)]), softness=SOFT)
    torch.testing.assert_close(angle_histogram(3 * levels, *where([(20, 20, 2.0)]), softness=SOFT), 3 * h)
