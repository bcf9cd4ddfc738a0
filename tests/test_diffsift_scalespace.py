"""The soft scale space: linear, the hard twin's to the last bit when rounded, with right derivatives."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from diffsift.learned import with_tensors
from diffsift.scalespace import base_image, blur, build_scalespace, downsample, gaussian_kernel, upsample
from diffsift.softness import Softness
from pysift import scalespace as hard
from pysift.params import SIFTParams
from soft import randn, tensor
from strategies import noises, photo

MODES = [SIFTParams(), SIFTParams.opencv(), SIFTParams(first_octave=0, n_octave_layers=2, sigma=1.3)]
KERNEL = gaussian_kernel(1.6)


def grey(array, dtype=torch.float64):
    return torch.from_numpy(np.array(array)).to(dtype)[None, None]


@pytest.mark.parametrize("params", MODES, ids=["precise", "opencv", "undoubled"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounded_levels_are_those_of_the_hard_twin_to_the_bit(params, dtype):
    image = photo("camera", 61, 75).astype(np.float32)
    for ours, theirs in zip(build_scalespace(grey(image, dtype), params, Softness.hard()),
                            hard.build_scalespace(image, params), strict=True):
        assert ours.index == theirs.index
        if min(theirs.levels.shape[1:]) > 1:
            assert (ours.levels[0].float().numpy() == theirs.levels).all()


@settings(max_examples=10)
@given(noises(2, 40))
def test_levels_are_those_of_the_hard_twin_up_to_rounding(image):
    for ours, theirs in zip(build_scalespace(grey(image)), hard.build_scalespace(image), strict=True):
        assert np.abs(ours.levels[0].numpy() - theirs.levels).max() < 2e-4       # 255 · 100 sums · 2⁻²⁴, and the taps


@pytest.mark.parametrize("linear", [lambda x: blur(x, KERNEL), upsample, downsample,
                                    lambda x: upsample(x, SIFTParams.opencv()),
                                    lambda x: build_scalespace(x)[1].dog],
                         ids=["blur", "upsample", "downsample", "upsample of cv2", "differences"])
def test_the_backward_pass_is_the_adjoint(linear):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩, for sides longer and shorter than the kernel."""
    for height, width in ((17, 24), (5, 6)):
        x = randn(1, 1, height, width).requires_grad_()
        out = linear(x)
        y = randn(*out.shape, seed=1)
        (back,) = torch.autograd.grad(out, x, y)
        assert (out * y).sum().item() == pytest.approx((x * back).sum().item(), rel=1e-12)


def test_rounding_keeps_the_derivative():
    x, y = randn(1, 1, 20, 21).requires_grad_(), randn(1, 1, 20, 21, seed=1)
    plain, rounded = (torch.autograd.grad(blur(x, KERNEL, rounded=r), x, y)[0] for r in (False, True))
    torch.testing.assert_close(plain, rounded)


def test_the_derivative_of_the_kernel_is_the_formula():
    sigma = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    taps = gaussian_kernel(sigma, length=1.7)
    j = torch.arange(len(taps)) - len(taps) // 2
    expected = taps * (j ** 2 - (taps * j ** 2).sum()) / sigma ** 3
    found = torch.autograd.functional.jacobian(lambda s: gaussian_kernel(s, length=1.7), sigma)
    torch.testing.assert_close(found, expected.detach())


def test_first_and_second_derivatives_with_respect_to_sigma():
    image, params = randn(1, 1, 5, 6), SIFTParams(first_octave=0, n_octave_layers=1, kernel_reach=2.0)
    sigma = torch.tensor(1.6, dtype=torch.float64, requires_grad=True)

    def levels(sigma):
        return build_scalespace(image, with_tensors(params, sigma=sigma))[0].levels

    assert torch.autograd.gradcheck(levels, sigma)
    assert torch.autograd.gradgradcheck(levels, sigma, fast_mode=True)


def test_a_learned_sigma_starts_where_the_number_stood():
    image = tensor(photo("camera", 40, 44))
    learned = with_tensors(SIFTParams(), sigma=torch.tensor(1.6, dtype=torch.float64))
    torch.testing.assert_close(base_image(image, learned), base_image(image), rtol=1e-7, atol=1e-7)


def test_small_octaves_can_be_left_out():
    sides = [min(o.levels.shape[2:]) for o in build_scalespace(torch.zeros(1, 1, 40, 50), least_side=11)]
    assert sides == [80, 40, 20]
