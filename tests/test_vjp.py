"""The derivatives by hand: each against autograd, finite differences and the forward mode; all of them as one pass.

The cases are in vjp_cases.py.  A case whose derivative is 0 tests nothing, so each asserts that none is.
"""
import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest
import torch

import diffsift
import diffsift.vjp
from diffsift import Softness
from diffsift.keypoints import SoftFeatures
from diffsift.planes import as_planes
from diffsift.polar import polar
from diffsift.refine import derivatives, newton_offset
from diffsift.vjp.descriptor import describe_opencv_vjp, normalise_vjp, root_vjp, unit_vjp
from diffsift.vjp.extrema import is_extremum_vjp
from diffsift.vjp.orientation import peak_angles_vjp
from diffsift.vjp.pipeline import backward
from diffsift.vjp.planes import gradients_vjp
from diffsift.vjp.polar import polar_vjp, vote_vjp
from diffsift.vjp.refine import edge_test_vjp, newton_offset_vjp, refined_value_vjp
from diffsift.vjp.relax import (
    bspline_slope_vjp,
    log_gate_vjp,
    log_membership_vjp,
    soft_argmax_vjp,
    soft_bin_vjp,
    soft_clip_vjp,
)
from pysift.params import SIFTParams
from soft import dithered, randn
from vjp_cases import CASES, UNIT, scene

DOCS = Path(__file__).resolve().parent.parent / "docs"
MODULES = {m.name: import_module(f"diffsift.vjp.{m.name}") for m in pkgutil.iter_modules(diffsift.vjp.__path__)}
FUNCTIONS = {name: module for module, text in MODULES.items() for name, f in vars(text).items()
             if inspect.isfunction(f) and f.__module__ == text.__name__ and not name.startswith("_")}
WHOLE = {name for name, module in FUNCTIONS.items() if module == "pipeline"}           # checked as one pass
EACH = pytest.mark.parametrize("name", CASES)
MODES = pytest.mark.parametrize("mode", ["opencv", "smooth"])
INF = float("inf")


def random(like, seed):
    """Normal numbers of the shape of `like`, which may be a scalar."""
    return randn(like.numel(), seed=seed).view(like.shape)


def drawn(case):
    """Inputs, outputs that know where they came from, and random cotangents for them."""
    inputs = tuple(x.detach().clone().requires_grad_() for x in case.inputs)
    outputs = case.stage(*inputs)
    return inputs, outputs, tuple(random(o, 20 + i) for i, o in enumerate(outputs))


def by_hand(case, bars):
    inputs = tuple(x.detach() for x in case.inputs)
    found = case.by_hand(tuple(b.detach() for b in bars), inputs)
    assert len(found) == len(inputs)
    for x_bar, x in zip(found, inputs):
        assert x_bar.shape == x.shape and not x_bar.requires_grad
    return found


def inner(left, right):
    return float(sum((a * b).sum() for a, b in zip(left, right)))


def test_every_function_has_a_case():
    assert {word for name in CASES for word in name.split() if word.endswith("_vjp")} == set(FUNCTIONS) - WHOLE
    assert len(FUNCTIONS) >= 35


@EACH
def test_it_equals_autograd(name):
    inputs, outputs, bars = drawn(CASES[name])
    expected = torch.autograd.grad(outputs, inputs, bars)
    for found, exact in zip(by_hand(CASES[name], bars), expected):
        assert exact.norm() > 0, "no derivative: nothing is tested"
        assert (found - exact).norm() <= 1e-12 * exact.norm()


@EACH
def test_it_equals_finite_differences(name):
    """Along a random direction for each input, and along the cotangent itself, which cannot be 0."""
    case = CASES[name]
    outputs, inputs = case.stage(*case.inputs), case.inputs
    bars = tuple(random(o, 20 + i) for i, o in enumerate(outputs))
    for i, bar in enumerate(by_hand(case, bars)):
        for direction in (random(bar, 40 + i), bar / bar.norm()):
            step = case.step * float(inputs[i].abs().max() / direction.abs().max())
            up, down = (case.stage(*inputs[:i], inputs[i] + sign * step * direction, *inputs[i + 1:])
                        for sign in (1, -1))
            slope = (inner(up, bars) - inner(down, bars)) / (2 * step)
            scale = float(bar.norm() * direction.norm())
            assert scale > 0 and abs(slope - float((bar * direction).sum())) <= 2e-6 * scale


@EACH
def test_it_is_the_transpose_of_the_forward_mode(name):
    """⟨v, J u⟩ = ⟨Jᵀ v, u⟩ for random u and v, J u by `torch.func.jvp`."""
    case = CASES[name]
    tangents = tuple(random(x, 60 + i) for i, x in enumerate(case.inputs))
    outputs, moved = torch.func.jvp(case.stage, case.inputs, tangents)
    bars = tuple(random(o, 20 + i) for i, o in enumerate(outputs))
    scale = sum(float(b.norm() * m.norm()) for b, m in zip(bars, moved))
    assert scale > 0 and abs(inner(bars, moved) - inner(by_hand(case, bars), tangents)) <= 1e-12 * scale


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.linear])
def test_a_linear_stage_has_an_exact_adjoint(name):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩ with A itself, no derivative in between."""
    case = CASES[name]
    x = tuple(random(v, 80 + i) for i, v in enumerate(case.inputs))
    out = case.stage(*x)
    y = tuple(random(o, 20 + i) for i, o in enumerate(out))
    back = case.by_hand(y, tuple(torch.full_like(v, float("nan")) for v in case.inputs))       # x is not looked at
    scale = sum(float(a.norm() * b.norm()) for a, b in zip(out, y))
    assert scale > 0 and abs(inner(out, y) - inner(x, back)) <= 1e-13 * scale


# the whole pass ------------------------------------------------------------------------------------------------------

CROPS = [("camera", 100, 200), ("coins", 60, 100), ("grass", 200, 210)]
SOFTNESS = {"default": Softness(), "soft": Softness(ori_bin=0.5, norm=50.0, clip=0.02, peak=60, edge=60, settle=60),
            "hard": Softness.hard()}


def forward(crop, mode, softness, params=UNIT, n=12):
    image = dithered(*crop, 56, 60).requires_grad_()
    out = diffsift.sift(image, params, softness, max_keypoints=n, mode=mode)
    assert (out.weight > 0.5).sum() >= 5, "fewer than five keypoints take part"
    return image, out, SoftFeatures(*(randn(*o.shape, seed=i) for i, o in enumerate(out)))


def by_autograd(image, out, bar):
    """The cotangent of the image; hard gates have none to give."""
    pairs = [(o, b) for o, b in zip(out, bar) if o.requires_grad]
    return torch.autograd.grad([o for o, _ in pairs], image, [b for _, b in pairs])[0]


@MODES
@pytest.mark.parametrize("crop", CROPS, ids=[c[0] for c in CROPS])
@pytest.mark.parametrize("softness", SOFTNESS)
def test_the_whole_pass_equals_autograd(crop, mode, softness):
    """d⟨bar, (x, y, σ, θ, weight, descriptors)⟩/d image: relative 10⁻¹⁰ in float64."""
    image, out, bar = forward(crop, mode, SOFTNESS[softness])
    exact = by_autograd(image, out, bar)
    found = backward(image.detach(), bar, UNIT, SOFTNESS[softness], mode=mode)
    assert exact.norm() > 0 and not found.requires_grad
    assert (found - exact).norm() <= 1e-10 * exact.norm()


@MODES
@pytest.mark.parametrize("field", SoftFeatures._fields)
def test_the_whole_pass_equals_autograd_output_by_output(field, mode):
    """A weight's derivative is small beside a position's, so each is looked at alone."""
    image, out, bar = forward(CROPS[0], mode, SOFTNESS["soft"])
    alone = SoftFeatures(*(b if name == field else torch.zeros_like(b) for name, b in bar._asdict().items()))
    exact = by_autograd(image, out, alone)
    assert exact.norm() > 0
    assert (backward(image.detach(), alone, UNIT, SOFTNESS["soft"], mode=mode) - exact).norm() <= 1e-10 * exact.norm()


@MODES
@pytest.mark.parametrize("params", [SIFTParams(), SIFTParams(descriptor="root", precise_upscale=False),
                                    SIFTParams(first_octave=0, n_octave_layers=4, prefilter_floor=False, sigma=1.4,
                                               contrast_threshold=0.02)],
                         ids=["uint8", "root, half-pixel", "not doubled"])
def test_the_whole_pass_equals_autograd_for_other_parameters(params, mode):
    image, out, bar = forward(CROPS[0], mode, SOFTNESS["soft"], params)
    exact = by_autograd(image, out, bar)
    found = backward(image.detach(), bar, params, SOFTNESS["soft"], mode=mode)
    assert exact.norm() > 0 and (found - exact).norm() <= 1e-10 * exact.norm()


def test_the_whole_pass_equals_finite_differences():
    image, out, bar = forward(CROPS[0], "smooth", SOFTNESS["default"])
    direction, step = randn(*image.shape, seed=9), 2e-7
    up, down = (diffsift.sift(image.detach() + s * step * direction, UNIT, max_keypoints=12, mode="smooth")
                for s in (1, -1))
    slope = inner([(a - b) / (2 * step) for a, b in zip(up, down)], bar)
    assert slope == pytest.approx(inner([backward(image.detach(), bar, UNIT, mode="smooth")], [direction]), rel=1e-6)


def test_images_of_a_batch_do_not_mix():
    images = torch.cat([dithered(*crop, 48, 50) for crop in CROPS[:2]])
    bar = SoftFeatures(*(randn(*shape, seed=i) for i, shape in enumerate(5 * [(2, 6)] + [(2, 6, 128)])))
    both = backward(images, bar, UNIT, mode="smooth")
    for i in range(2):
        alone = backward(images[i:i + 1], SoftFeatures(*(b[i:i + 1] for b in bar)), UNIT, mode="smooth")
        assert alone.norm() > 0
        torch.testing.assert_close(both[i:i + 1], alone, rtol=1e-10, atol=1e-10 * float(alone.abs().max()))


def test_an_image_too_small_says_so():
    one = torch.ones(1, 1)
    with pytest.raises(ValueError, match="hold no octave: use larger"):
        backward(torch.zeros(1, 1, 4, 4), SoftFeatures(one, one, one, one, one, torch.ones(1, 1, 128)))


def test_more_slots_than_keypoints_says_so():
    ones = torch.ones(1, 10 ** 5)
    with pytest.raises(ValueError, match="100000 slots, but only"):
        backward(torch.zeros(1, 1, 16, 16), SoftFeatures(ones, ones, ones, ones, ones, ones[..., None]))


# the singular points --------------------------------------------------------------------------------------------------

def float64(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_no_gradient_no_vote():
    zero, one = float64(0.0), float64(1.0)
    assert all((g == 0).all() for g in polar_vjp(one, one, zero, zero))
    for floor in (0.0, 0.1):
        assert all((g == 0).all() for g in vote_vjp(one, one, one, zero, zero, floor))


@pytest.mark.parametrize("floor", [0.0, 0.1])
@pytest.mark.parametrize("exact", [True, False])
def test_a_vote_is_bounded_however_short_the_gradient(floor, exact):
    """|ḡ| ≤ 1.09·w·√(φ² + (kφ')²) from 10⁻¹⁴ to 100 grey levels; unfused, θ̄/m is 10¹⁴ times that."""
    length = torch.logspace(-14, 2, 200, dtype=torch.float64)
    turn = 6.28 * torch.rand(200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    phi, rate, w = randn(200, seed=1), randn(200, seed=2) / 57, randn(200, seed=3).abs()
    dx, dy, _ = vote_vjp(phi, rate, w, length * turn.cos(), length * turn.sin(), floor, exact=exact)
    bound = 1.09 * w * torch.hypot(phi, rate * 57.47)
    assert (torch.hypot(dx, dy) <= bound).all() and (torch.hypot(dx, dy) > 0.3 * bound).any()


def test_a_singular_hessian_moves_nothing():
    flat = torch.diag_embed(float64(1.0, 2.0, 0.0))
    six = flat[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    assert all((g == 0).all() for g in newton_offset_vjp(randn(3), randn(3), six))
    assert (edge_test_vjp(float64(1.0)[0], torch.zeros(6, dtype=torch.float64), 10.0) == 0).all()


def test_the_value_is_stationary_in_the_offset():
    """Value and position together: ḡ = v̄δ and H̄ = ½v̄δδᵀ, whatever H⁻¹ is (envelope theorem)."""
    cube = scene().cube
    gradient, hessian = derivatives(cube)
    delta = newton_offset(gradient, hessian)
    v_bar = randn(*cube.shape[:2])
    _, direct_bar, offset_bar = refined_value_vjp(v_bar, gradient, delta)
    gradient_bar, hessian_bar = newton_offset_vjp(offset_bar, gradient, hessian)
    torch.testing.assert_close(gradient_bar + direct_bar, v_bar[..., None] * delta)
    square = v_bar[..., None, None] / 2 * delta[..., :, None] * delta[..., None, :]
    twice = float64(1, 1, 1, 2, 2, 2)
    torch.testing.assert_close(hessian_bar, twice * square[..., [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]])


def test_in_the_limit_a_gate_has_no_derivative():
    x = randn(4, 26)
    assert (log_gate_vjp(x, x, INF) == 0).all() and (soft_bin_vjp(x, x, 0.0) == 0).all()
    assert (log_membership_vjp(x[:, 0], x, INF) == 0).all()
    assert (soft_argmax_vjp(x[:, :3], x, randn(26, 3), INF) == 0).all()


def test_the_kink_of_the_hard_clip_takes_both_sides_half():
    x_bar, t_bar = soft_clip_vjp(float64(1, 1, 1), float64(0.1, 0.2, 0.3), 0.2, 0.0)
    assert x_bar.tolist() == [1, 0.5, 0] and t_bar == 1.5


def test_the_bend_of_the_b_spline_is_minus_two_in_its_middle():
    assert bspline_slope_vjp(float64(1.0), float64(0.0)) == -2


def test_an_empty_descriptor_has_finite_derivatives():
    empty, bar = torch.zeros(1, 128, dtype=torch.float64), randn(1, 128)
    assert (unit_vjp(bar, empty, float64(0.0))[0] == bar).all()
    assert (root_vjp(bar, empty, 0.0) == 0).all()
    for softness in (Softness(), Softness.hard()):
        for kind in ("uint8", "float32", "root"):
            assert normalise_vjp(bar, empty, SIFTParams(descriptor=kind), softness).isfinite().all()


def test_an_empty_or_flat_histogram_has_no_angle():
    bar = randn(36)
    for histogram in (torch.zeros(36, dtype=torch.float64), torch.ones(36, dtype=torch.float64)):
        assert (peak_angles_vjp(bar, torch.zeros_like(bar), histogram) == 0).all()
        assert peak_angles_vjp(bar, bar, histogram).isfinite().all()


@pytest.mark.parametrize("scale", [1.0, 1000.0])
@pytest.mark.parametrize("bend, curved", [(1e-5, True), (1e-7, False)])
def test_a_top_that_hardly_bends_is_flat(bend, curved, scale):
    """q = −2·bend of the highest bin: below 10⁻⁶ the bin's own angle is taken, whatever the contrast."""
    histogram = torch.ones(36, dtype=torch.float64)
    histogram[10] += bend
    bar = torch.zeros(36, dtype=torch.float64).index_fill(0, torch.tensor([10]), 1.0)
    found = peak_angles_vjp(bar, torch.zeros_like(bar), scale * histogram, softness=Softness(norm=0.0))
    assert bool(found.any()) is curved and found.isfinite().all()


def test_a_flat_ground_moves_nothing_not_even_by_rounding():
    planes = as_planes(torch.full((1, 6, 20, 22), 7.3, dtype=torch.float64))
    x, y = 10 + randn(1, 9, seed=1), 9 + randn(1, 9, seed=2)
    _, x_bar, y_bar = gradients_vjp(randn(1, 9, seed=3), randn(1, 9, seed=4), planes, torch.ones(1, 9).long(), x, y)
    assert not x_bar.any() and not y_bar.any()


def test_a_difference_of_zero_has_no_sign():
    assert (is_extremum_vjp(float64(1.0)[0], torch.zeros(3, 3, 3, dtype=torch.float64)) == 0).all()


def test_no_position_derivative_in_mode_opencv():
    """cv2 centres its windows on whole pixels: the VJP returns levels, σ and angle only, for x and y have none."""
    s = scene()
    at = s.planes, s.found.layer, s.found.col + 0.2, s.found.row + 0.1, s.found.sigma, s.angle
    assert len(describe_opencv_vjp(randn(1, 8, 128), *at, UNIT)) == 3
    moved = [diffsift.descriptor.describe_octave(*at[:2], at[2] + d, *at[3:]) for d in (0.0, 0.1)]
    assert torch.equal(*moved)


@pytest.mark.parametrize("picture", ["flat", "checkerboard", "uint8"])
@MODES
def test_ties_and_flat_ground_give_finite_derivatives(picture, mode):
    y, x = torch.meshgrid(torch.arange(40), torch.arange(44), indexing="ij")
    image = {"flat": torch.full((40, 44), 0.5), "checkerboard": ((x // 5 + y // 5) % 2).double(),
             "uint8": torch.round(255 * dithered("camera", 100, 200, 40, 44)[0, 0]) / 255}[picture].double()[None, None]
    bar = SoftFeatures(*(randn(*shape, seed=i) for i, shape in enumerate(5 * [(1, 6)] + [(1, 6, 128)])))
    assert backward(image, bar, UNIT, mode=mode).isfinite().all()
    leaf = image.clone().requires_grad_()
    exact = by_autograd(leaf, diffsift.sift(leaf, UNIT, max_keypoints=6, mode=mode), bar)
    torch.testing.assert_close(backward(image, bar, UNIT, mode=mode), exact, rtol=1e-9,
                               atol=1e-9 * (1e-3 + float(exact.abs().max())))


def test_angles_just_below_and_above_a_whole_turn_have_the_same_derivative():
    bar, dx = randn(2), float64(3.0, 3.0)
    dy = float64(1e-9, -1e-9)
    assert polar(dx, dy)[1][1] - polar(dx, dy)[1][0] > 359
    first, second = (polar_vjp(bar[0], bar[1], dx[i], dy[i])[1] for i in range(2))
    assert float(first) == pytest.approx(float(second), rel=1e-6)


# the page that derives them -------------------------------------------------------------------------------------------

def test_derivatives_md_names_every_function_with_its_file_and_no_other():
    page = (DOCS / "derivatives.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"`(\w+)` in `diffsift/vjp/(\w+)\.py`", page))
    public = {n: m for n, m in FUNCTIONS.items() if n.endswith("_vjp") or n == "backward"}
    assert named == public
    assert set(re.findall(r"`(\w+_vjp)`", page)) <= set(public)
