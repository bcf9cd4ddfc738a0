"""Soft refinement: exact on quadratics, the hard twin in the limit, cotangents as in the formulas."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffsift.planes import as_planes
from diffsift.refine import derivatives, edge_margin, newton_offset, refine, refined_value
from diffsift.softness import Softness
from pysift import extrema as hard_extrema
from pysift import refine as hard
from pysift import scalespace as hard_scalespace
from pysift.params import SIFTParams
from soft import randn
from strategies import photo, quadratic, seeds
from test_refine import curved

ANY = SIFTParams(contrast_threshold=0, edge_threshold=1e6)
fraction = st.floats(-0.45, 0.45)


def levels_of(dog):
    """Stack levels whose differences are `dog` (S + 2, H, W)."""
    dog = torch.as_tensor(np.asarray(dog, float))
    return torch.cat([torch.zeros_like(dog[:1]), dog.cumsum(0)])[None]


def hard_input(octave):
    return octave.dog if "dog" in hard.refine.__code__.co_varnames[:1] else octave.levels


@given(seeds, st.tuples(fraction, fraction, fraction), st.tuples(st.integers(-2, 2), st.integers(-2, 2)),
       st.sampled_from([-1, 1]))
def test_newton_is_exact_on_a_quadratic(seed, offset, step, sign):
    dog = quadratic((5, 21, 23), np.add((11, 10, 2), offset), sign * curved(seed), 150 * sign)
    r = refine(levels_of(dog), torch.tensor([[[2, 10 + step[1], 11 + step[0]]]]), ANY, Softness.hard())
    assert (int(r.layer), int(r.row), int(r.col)) == (2, 10, 11) and r.log_weight == 0
    np.testing.assert_allclose([float(r.dx), float(r.dy), float(r.ds)], offset, atol=2e-4)       # float32 volume
    assert float(r.response) == pytest.approx(150 / 255, rel=1e-6)


@pytest.mark.parametrize("name", ["camera", "coins", "page", "grass"])
def test_in_the_limit_it_keeps_what_the_hard_twin_keeps(name):
    image, params = photo(name, 110, 100).astype(np.float32), SIFTParams()
    for octave in hard_scalespace.build_scalespace(image, params)[:3]:
        candidates = hard_extrema.find_extrema(hard_input(octave), params)
        theirs = hard.refine(hard_input(octave), candidates, params)
        ours = refine(torch.from_numpy(np.array(octave.levels)).double()[None], torch.from_numpy(candidates).long()[None],
                      params, Softness.hard())
        kept = theirs.status == hard.KEPT
        assert ((ours.log_weight[0] == 0).numpy() == kept).all()
        for name in ("layer", "row", "col"):
            assert (getattr(ours, name)[0].numpy() == getattr(theirs, name))[kept].all()
        for name in ("dx", "dy", "ds", "sigma", "response"):
            np.testing.assert_allclose(getattr(ours, name)[0].numpy()[kept], getattr(theirs, name)[kept], atol=1e-5)


def test_the_cotangents_are_the_formulas():
    """ḡ = −u + v̄δ, H̄ = −sym(u δᵀ) + ½ v̄ δδᵀ with u = H⁻¹δ̄; the part of v needs no inverse."""
    cube = (randn(3, 3, 3) * 5 + 40 * torch.exp(-torch.linspace(-1, 1, 27).double() ** 2).view(3, 3, 3))
    gradient, hessian = (t.requires_grad_() for t in derivatives(cube))
    xx, yy, ss, xy, xs, ys = hessian
    matrix = torch.stack([xx, xy, xs, xy, yy, ys, xs, ys, ss]).view(3, 3).detach()
    offset = newton_offset(gradient, hessian)
    delta_bar, v_bar = randn(3, seed=4), 1.7
    value = gradient @ offset / 2
    found = torch.autograd.grad((offset * delta_bar).sum() + v_bar * value, (gradient, hessian))
    delta = offset.detach()
    u = torch.linalg.solve(matrix, delta_bar)
    h_bar = -(torch.outer(u, delta) + torch.outer(delta, u)) / 2 + v_bar / 2 * torch.outer(delta, delta)
    torch.testing.assert_close(delta, -torch.linalg.solve(matrix, gradient.detach()))
    torch.testing.assert_close(found[0], -u + v_bar * delta)
    torch.testing.assert_close(found[1], torch.stack([h_bar[0, 0], h_bar[1, 1], h_bar[2, 2], 2 * h_bar[0, 1],
                                                      2 * h_bar[0, 2], 2 * h_bar[1, 2]]))


def test_first_and_second_derivatives_of_every_formula():
    cube, hessian = (20 * randn(4, 3, 3, 3)).requires_grad_(), randn(6, 6, seed=2).requires_grad_()
    for function, inputs in ((lambda c: newton_offset(*derivatives(c)), cube),
                             (lambda c: refined_value(c, newton_offset(*derivatives(c))), cube),
                             (lambda h: edge_margin(h, 10.0), hessian)):
        assert torch.autograd.gradcheck(function, inputs, atol=1e-6)
        assert torch.autograd.gradgradcheck(function, inputs, atol=1e-4)


def test_derivatives_flow_through_the_whole_step():
    dog = quadratic((5, 13, 14), (6.2, 6.9, 2.1), -curved(5), 150)
    levels = levels_of(dog).requires_grad_()
    candidates = torch.tensor([[[2, 6, 6], [2, 7, 6], [1, 7, 7]]])

    def numbers(levels):
        return refine(levels, candidates, softness=Softness(settle=2.0, contrast=0.1, edge=1.0))[3:]

    assert torch.autograd.gradcheck(numbers, levels, fast_mode=True)
    assert torch.autograd.gradgradcheck(numbers, levels, fast_mode=True)


@given(seeds, st.floats(1, 100))
def test_the_edge_margin_is_lowes_test_and_free_of_contrast(seed, r):
    h = torch.from_numpy(np.random.default_rng(seed).normal(size=6))
    xx, yy, _, xy = h[:4]
    det, trace = xx * yy - xy * xy, xx + yy
    is_blob = bool(det > 0) and bool(trace ** 2 * r < (r + 1) ** 2 * det)
    margin = edge_margin(h, r)
    assert (margin > 0) == is_blob
    torch.testing.assert_close(edge_margin(1e-4 * h, r), margin)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_flat_volume_is_finite_and_has_no_derivative(dtype):
    levels = torch.full((1, 6, 16, 16), 9.0, dtype=dtype, requires_grad=True)
    r = refine(levels, torch.tensor([[[2, 8, 8]]]))
    total = sum(column.sum() for column in r[3:])
    total.backward()
    assert total.isfinite() and levels.grad.isfinite().all()
    assert r.dx == r.dy == r.ds == 0 and r.log_weight < -10


@settings(max_examples=10)
@given(st.integers(2, 4), st.integers(0, 2))
def test_a_cell_is_the_same_in_one_octave_or_among_several(layer, extra):
    """Planes count through the octaves; a step never leaves its octave."""
    octave = torch.from_numpy(np.array(hard_scalespace.build_scalespace(
        photo("camera", 50, 50).astype(np.float32))[0].levels)).double()[None]
    several = as_planes([octave] * (extra + 1))
    layer = min(layer, 3)
    alone = refine(octave, torch.tensor([[[layer, 40, 41]]]))
    among = refine(several, torch.tensor([[[layer + 6 * extra, 40, 41]]]))
    assert int(among.layer) == int(alone.layer) + 6 * extra
    for a, b in zip(alone[1:], among[1:]):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_learned_thresholds_have_derivatives():
    levels = levels_of(quadratic((5, 13, 14), (6.2, 6.9, 2.1), -curved(5), 150))
    contrast = torch.tensor(0.04, dtype=torch.float64, requires_grad=True)
    edge = torch.tensor(10.0, dtype=torch.float64, requires_grad=True)
    from diffsift.learned import with_tensors

    def log_weight(contrast, edge):
        params = with_tensors(SIFTParams(), contrast_threshold=contrast, edge_threshold=edge)
        return refine(levels, torch.tensor([[[2, 7, 6]]]), params, Softness(contrast=0.01, edge=1.0)).log_weight

    assert torch.autograd.gradcheck(log_weight, (contrast, edge))
