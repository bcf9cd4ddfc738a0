"""Length and angle of a gradient: right where there is one, finite where there is none, bounded when fused."""
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffsift.polar import polar
from pysift.kernels.arithmetic import atan2_degrees, magnitude
from soft import randn

coordinates = st.floats(-300, 300, width=32)


@given(coordinates, coordinates)
def test_it_agrees_with_cv2s_angle_and_length(x, y):
    length, angle = polar(torch.tensor(x), torch.tensor(y))
    assert float(length) == pytest.approx(float(magnitude(np.float32(x), np.float32(y))), rel=1e-6, abs=1e-14)
    if math.hypot(x, y) > 1e-10:
        assert float(angle) == pytest.approx(float(atan2_degrees(np.float32(y), np.float32(x))), abs=1e-4)
        exact = polar(torch.tensor(x), torch.tensor(y), exact=True)[1]
        assert float(exact) == pytest.approx(math.degrees(math.atan2(y, x)) % 360, abs=1e-3)


@given(st.floats(-18, 2), st.floats(0, 2 * math.pi), st.sampled_from([torch.float32, torch.float64]), st.booleans())
def test_the_derivative_of_a_vote_is_bounded_however_short_the_gradient(exponent, theta, dtype, exact):
    """m·φ(θ) has a gradient of length √(φ² + φ'²): here φ = 2 + sin 3θ, so at most √(9 + 9)."""
    g = torch.tensor([math.cos(theta), math.sin(theta)], dtype=dtype) * 10 ** exponent
    g.requires_grad_()
    length, angle = polar(*g, exact=exact)
    phase = torch.deg2rad(3 * angle)
    (gradient,) = torch.autograd.grad(length * (2 + torch.sin(phase)), g)
    expected = math.hypot(2 + math.sin(3 * theta), 3 * math.cos(3 * theta))
    assert gradient.norm() <= 4.4
    if exponent > -14:
        assert gradient.norm() == pytest.approx(expected, rel=1e-4 if exact else 1e-2, abs=1e-3)


def test_no_gradient_gives_zeros_and_no_derivative():
    g = torch.zeros(2, 3, requires_grad=True)
    length, angle = polar(*g)
    (length.sum() + angle.sum()).backward()
    assert not length.any() and not angle.any() and not g.grad.any()


@pytest.mark.parametrize("exact", [True, False])
def test_first_and_second_derivatives(exact):
    g = randn(2, 9).requires_grad_()
    assert torch.autograd.gradcheck(lambda g: polar(*g, exact=exact), g)
    assert torch.autograd.gradgradcheck(lambda g: polar(*g, exact=exact), g)
