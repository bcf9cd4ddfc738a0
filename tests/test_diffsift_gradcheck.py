"""torch's gradcheck and gradgradcheck of every step, where SIFT meets it: at eight keypoints of a dithered photograph.

In float64, to 10⁻⁶ of the derivative, over all outputs of the step and every pixel that it reads.  A step without
five keypoints or with a Jacobian of zero would pass unseen, so both are asserted.
"""
import pytest
import torch

from diffsift import Softness
from diffsift.descriptor import describe_octave, normalise
from diffsift.extrema import is_extremum
from diffsift.orientation import assign_orientations
from diffsift.refine import refine
from diffsift.scalespace import build_scalespace
from soft import randn
from vjp_cases import SOFT, UNIT, scene


def on(values):
    return scene().planes._replace(values=values)


def cells():
    f = scene().found
    return f.layer, f.row, f.col


def place():
    f = scene().found
    return f.col + f.dx, f.row + f.dy, f.sigma


def levels(grey):
    return [octave.levels for octave in build_scalespace(grey, least_side=11)]


def membership(values):
    return [is_extremum(on(values).cubes(*cells()), UNIT, SOFT)]


def refined(values, mode):
    return refine(on(values), torch.stack(cells(), -1), UNIT, SOFT, mode=mode)[3:]


def orientations(values, mode):
    layer, row, col = cells()
    x, y, sigma = place()
    if mode == "smooth":
        row, col = y, x
    return assign_orientations(on(values), layer, row, col, sigma, UNIT, SOFT, mode=mode)


def descriptors(values, mode):
    raw = describe_octave(on(values), cells()[0], *place(), scene().angle, UNIT, SOFT, mode=mode)
    return [normalise(raw, UNIT, SOFT)]


STEPS = {"scale space": levels, "extrema": membership,
         **{f"{f.__name__} {mode}": lambda values, f=f, mode=mode: f(values, mode)
            for f in (refined, orientations, descriptors) for mode in ("opencv", "smooth")}}
EACH = pytest.mark.parametrize("name", STEPS)


def checked(name):
    """The step as a function of one tensor, and that tensor; five keypoints and a Jacobian took part."""
    step = STEPS[name]
    start = scene().grey if name == "scale space" else scene().planes.values
    start = start.detach().clone().requires_grad_()
    out = step(start)
    assert int((scene().found.log_weight.exp() > 0.5).sum()) >= 5
    for i, column in enumerate(out):
        (back,) = torch.autograd.grad(column, start, randn(*column.shape, seed=i), retain_graph=True)
        assert back.norm() > 0, f"output {i} has no derivative"
    return lambda values: tuple(step(values)), start


@EACH
def test_first_derivatives(name):
    step, start = checked(name)
    assert torch.autograd.gradcheck(step, start, eps=1e-5, rtol=1e-6, atol=1e-7, fast_mode=True)


@EACH
def test_second_derivatives(name):
    step, start = checked(name)
    assert torch.autograd.gradgradcheck(step, start, eps=1e-5, rtol=1e-5, atol=1e-5, fast_mode=True)


def test_softness_of_the_check_saturates_no_gate():
    """A gate at 0 or 1 has no derivative and hides one that is wrong."""
    weight = scene().found.log_weight.exp()
    soft = refine(scene().planes, torch.stack(cells(), -1), UNIT, SOFT).log_weight.exp()
    hard = refine(scene().planes, torch.stack(cells(), -1), UNIT, Softness.hard()).log_weight.exp()
    assert (weight > 0.5).sum() >= 5 and ((soft > 1e-3) & (soft < 0.999)).all() and (hard == 1).sum() >= 5
