"""Each relaxation reaches the hard rule it stands for, exactly and by a stated rate, and has the stated derivative."""
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffsift import relax
from soft import randn

values = st.lists(st.floats(-1, 1), min_size=2, max_size=8).map(lambda v: torch.tensor(v, dtype=torch.float64))
betas = st.floats(1.0, 1e7)
VECTOR = randn(40)


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


@given(values, betas)
def test_a_gate_is_on_the_side_of_its_margin_and_off_by_at_most_exp(margin, beta):
    a = relax.log_gate(margin, beta).exp()
    hard = relax.log_gate(margin, math.inf).exp()
    clear = margin != 0
    rounding = 2.0**-52                             # of a near 1: its half-ulp, and that of the exp before it
    assert ((a - hard).abs() <= torch.exp(-beta * margin.abs()) + rounding)[clear].all()
    assert (((a > 0.5) == (hard > 0.5)) | (a == 0.5))[clear].all()


def test_the_hard_gate_is_open_or_closed_at_zero_as_asked():
    margin = numbers(-1, 0, 1)
    assert relax.log_gate(margin, math.inf).tolist() == [-math.inf, -math.inf, 0]
    assert relax.log_gate(margin, math.inf, closed=True).tolist() == [-math.inf, 0, 0]


@given(values, betas)
def test_membership_is_the_weight_in_a_softmax_and_keeps_its_certificate(gaps, beta):
    a = relax.log_membership(gaps, beta).exp()
    softmax = torch.softmax(torch.cat([numbers(0.0), -beta * gaps]), 0)[0]
    assert a == pytest.approx(float(softmax), rel=1e-12, abs=1e-300)
    least = float(gaps.min())
    if least > 0:
        assert 1 - a <= len(gaps) * math.exp(-beta * least) + 1e-15
    if least < 0:
        assert a <= math.exp(-beta * -least)


def test_hard_membership_asks_for_no_larger_neighbour():
    gaps = numbers(0, 1, 2)
    assert relax.log_membership(gaps, math.inf) == 0
    assert relax.log_membership(gaps - 0.1, math.inf) == -math.inf


@given(st.permutations([0.0, 0.5, 0.7, 0.9]))
def test_soft_argmax_ends_at_the_position_of_the_largest(order):
    positions = torch.arange(4.0, dtype=torch.float64)[:, None]
    hard = relax.soft_argmax(numbers(*order), positions, math.inf)
    assert hard == order.index(0.9)
    assert relax.soft_argmax(numbers(*order), positions, 1e3) == pytest.approx(float(hard), abs=1e-12)
    assert relax.soft_argmax(numbers(*order), positions, 0.0) == pytest.approx(1.5)


@given(st.floats(0, 5), st.floats(0.05, 1), st.floats(1e-4, 0.1))
def test_the_soft_clip_is_within_two_tau_log_two_of_the_hard_one(x, t, tau):
    soft = relax.soft_clip(numbers(x), t, tau)
    assert abs(soft - min(x, t)) <= 2 * tau * math.log(2) + 1e-12
    assert relax.soft_clip(numbers(0.0), t, tau) == 0
    assert relax.soft_clip(numbers(x), t, 0.0) == min(x, t)


def test_the_clip_of_the_notebook_fails_where_the_right_one_does_not():
    """Zero becomes half the threshold, and no parameter takes it away."""
    assert relax.soft_clip_notebook(numbers(0.0), 0.2) == pytest.approx(0.1)
    assert relax.soft_clip_notebook(numbers(0.2), 0.2) == pytest.approx(0.1762, abs=1e-4)


@given(st.floats(-20, 20), st.floats(0.05, 1))
def test_two_votes_share_one_and_end_in_the_nearest_bin(position, width):
    lower, upper_share = relax.soft_bin(numbers(position), width)
    assert lower == math.floor(position) and 0 <= upper_share <= 1
    nearest, share = relax.soft_bin(numbers(position), 0.0)
    assert nearest + share == round(position)
    if abs(position - math.floor(position) - 0.5) > width / 2:
        assert upper_share == share


@given(st.floats(-3, 3))
def test_shifted_splines_sum_to_one_and_reproduce_a_line(t):
    shifts = torch.arange(-6, 7, dtype=torch.float64)
    weight = relax.bspline(t - shifts)
    assert weight.sum() == pytest.approx(1)
    assert (weight * shifts).sum() == pytest.approx(t, abs=1e-12)
    assert relax.bspline_slope(t - shifts).sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("function", [
    lambda x: relax.log_gate(x, 7.0), lambda x: relax.log_membership(x, 3.0),
    lambda x: relax.soft_argmax(x, randn(40, 2, seed=1), 2.0), lambda x: relax.soft_clip(x, 0.2, 0.3),
    lambda x: relax.soft_clip(x[:20], x[20:].abs() + 0.1, 0.3), lambda x: relax.soft_bin(x, 0.8)[1],
    relax.bspline, relax.bspline_slope, lambda x: relax.soft_length(x.abs(), 0.5), relax.smooth_step,
], ids=["gate", "membership", "argmax", "clip", "clip of t", "bin", "spline", "slope", "length", "step"])
def test_first_and_second_derivatives(function):
    x = VECTOR.clone().requires_grad_()
    assert torch.autograd.gradcheck(function, x, atol=1e-7)
    assert torch.autograd.gradgradcheck(function, x, atol=1e-6)


def test_the_slope_is_the_derivative_of_the_spline():
    x = VECTOR.clone().requires_grad_()
    (slope,) = torch.autograd.grad(relax.bspline(x).sum(), x)
    torch.testing.assert_close(slope, relax.bspline_slope(VECTOR))


def test_the_spline_is_bent_by_minus_two_at_its_middle_and_so_is_its_slope():
    """B'' = 3|t| − 2 within |t| < 1, at t = 0 too, where a sampled window on whole pixels reads it."""
    t = numbers(-0.5, 0, 0.5).requires_grad_()
    (slope,) = torch.autograd.grad(relax.bspline(t).sum(), t, create_graph=True)
    for first in (slope, relax.bspline_slope(t)):
        (bend,) = torch.autograd.grad(first.sum(), t, retain_graph=True)
        torch.testing.assert_close(bend, numbers(-0.5, -2, -0.5))


@given(st.floats(-5, 5), st.floats(0, 1e-3))
def test_the_soft_length_falls_short_by_at_most_its_floor(length, floor):
    soft = relax.soft_length(numbers(abs(length)), floor)
    assert abs(length) - floor <= soft <= abs(length) + 1e-12


def test_rounding_has_the_derivative_of_the_identity():
    x = numbers(0.4, 1.5, 2.5).requires_grad_()
    rounded = relax.round_through(x)
    rounded.sum().backward()
    assert rounded.tolist() == [0, 2, 2] and x.grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_relaxation_gives_nan_at_its_limit_or_at_infinity(dtype):
    x = torch.tensor([-1e30, -1.0, 0.0, 0.2, 1.0, 1e30], dtype=dtype, requires_grad=True)
    soft = [relax.log_gate(x, b) for b in (0.0, 1e7, math.inf)] + [
        relax.log_membership(x[:, None], 1e7), relax.log_membership(x[:, None], math.inf),
        relax.soft_clip(x, 0.2, 0.0), relax.soft_clip(x, 0.2, 1e-3), relax.bspline(x), relax.smooth_step(x)]
    total = sum(s.exp().sum() if i < 5 else s.clamp(-9, 9).sum() for i, s in enumerate(soft))
    total.backward()
    assert not any(s.isnan().any() for s in soft) and not x.grad.isnan().any()
