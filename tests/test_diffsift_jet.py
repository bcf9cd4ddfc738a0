"""Differences of Gaussians between pixels and levels: those of a closed form and of the cascade, right derivatives."""
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffsift.jet import MARGIN, hermite, jet, window, window_reach
from diffsift.planes import as_planes
from diffsift.scalespace import build_scalespace
from pysift.params import SIFTParams
from soft import dithered, randn

HALF = st.floats(-0.5, 0.5)


def number(x):
    return torch.tensor(x, dtype=torch.float64)


def closed_form(place, blob, params):
    """D of a round blob of unit height and this variance in L₀, at (x, y, layer) from its centre."""
    x, y, layer = place.unbind(-1)
    k = 2 ** (1 / params.n_octave_layers)
    square = params.sigma ** 2 * k ** (2 * layer)

    def level(extra):
        return blob / (blob + extra) * torch.exp(-(x * x + y * y) / (2 * (blob + extra)))

    return level(k * k * square - params.sigma ** 2) - level(square - params.sigma ** 2)


@pytest.mark.parametrize("layers, within", [(3, (5e-4, 5e-3, 6e-2)), (1, (5e-5, 5e-4, 6e-3))])
@settings(max_examples=25)
@given(HALF, HALF, HALF, st.integers(1, 3), st.floats(2.8, 30))
def test_value_gradient_and_hessian_of_a_blob_are_those_of_its_closed_form(layers, within, x, y, ds, layer, blob):
    """As shares of |D|; it is the smallest blob in the lowest half layer of S = 3 that is the furthest off."""
    params, layer = SIFTParams(n_octave_layers=layers), min(layer, layers)
    reach = window_reach(params)
    i = torch.arange(-reach, reach + 1, dtype=torch.float64)
    square = torch.exp(-(i * i + i[:, None] ** 2) / (2 * blob))
    found = jet(square - square[reach, reach], number(layer), number([x, y, ds]), params)
    place = number([x, y, layer + ds])
    hessian = torch.func.hessian(closed_form)(place, blob, params)
    exact = (closed_form(place, blob, params), torch.func.grad(closed_form)(place, blob, params),
             hessian[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]])
    for ours, theirs, share in zip(found, exact, within):
        assert (ours - theirs).abs().max() < share * closed_form(number([0.0, 0, layer + ds]), blob, params).abs()


@pytest.mark.parametrize("octave", [0, 1])
def test_in_the_middle_of_a_cell_it_is_the_difference_of_the_levels(octave):
    """All layers, borders too, where the window is mirrored; the levels are blurs of blurs with kernels cut at 4 σ."""
    levels = build_scalespace(dithered("camera", 100, 200, 40, 44) * 255)[octave].levels
    planes = as_planes(levels)
    layer, row, col = (t.flatten()[None] for t in torch.meshgrid(
        torch.arange(1, 4), *(torch.arange(0, side, 3) for side in levels.shape[2:]), indexing="ij"))
    found = jet(window(planes, layer, row, col), layer, torch.zeros(*layer.shape, 3, dtype=torch.float64)).value
    exact = planes.cubes(layer, row, col)[..., 1, 1, 1] / 255
    assert (found - exact).abs().max() < 1e-2 * exact.abs().max()
    assert (found - exact).norm() < 2e-3 * exact.norm()


def test_derivatives_with_respect_to_pixels_and_place():
    square, offset = randn(2, 15, 15).requires_grad_(), (0.3 * randn(2, 3, seed=1)).requires_grad_()
    params, layer = SIFTParams(sigma=0.8), torch.tensor([1, 3])
    assert torch.autograd.gradcheck(lambda q, o: tuple(jet(q, layer, o, params)), (square, offset), atol=1e-6)
    assert torch.autograd.gradgradcheck(lambda q, o: tuple(jet(q, layer, o, params)), (square, offset), fast_mode=True,
                                        atol=1e-4)


def test_the_hessian_is_the_derivative_of_the_gradient_and_that_of_the_value():
    square, offset = randn(37, 37), 0.3 * randn(3, seed=1)

    def at(o):
        return jet(square, number(2.0), o)

    torch.testing.assert_close(torch.func.grad(lambda o: at(o).value)(offset), at(offset).gradient)
    second = torch.func.jacrev(lambda o: at(o).gradient)(offset)
    torch.testing.assert_close(second[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]], at(offset).hessian)


@given(st.floats(-1, 1), st.floats(0.6, 20))
def test_sampled_gaussians_sum_to_one_and_their_derivatives_to_nothing(place, variance):
    """But for aliasing, by Poisson's summation 2(2π)ᵐ·exp(−2π²v) and what follows it."""
    sums = hermite(number(place), number(variance), 61).sum(-1)
    alias = 2 * (2 * math.pi) ** torch.arange(5) * math.exp(-2 * math.pi ** 2 * variance)
    assert ((sums - number([1.0, 0, 0, 0, 0])).abs() <= 1.01 * alias + 1e-6).all()


def test_a_flat_patch_is_exactly_zero_whatever_its_brightness():
    flat = torch.full((1, 6, 20, 20), 7.3)
    at = torch.tensor([[2]]), torch.tensor([[6]]), torch.tensor([[13]])
    found = jet(window(as_planes(flat), *at), at[0], torch.tensor([[[0.2, 0.1, 0.3]]]))
    assert not any(part.any() for part in found)


def test_the_window_holds_five_standard_deviations_of_the_widest_gaussian():
    params = SIFTParams()
    widest = params.sigma * 2 ** ((params.n_octave_layers + MARGIN + 1) / 3)
    assert 0 <= window_reach(params) - 5 * math.sqrt(widest ** 2 - params.sigma ** 2) < 1
