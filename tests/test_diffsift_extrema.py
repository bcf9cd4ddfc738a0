"""Soft extrema: the certificate on photographs, the hard twin in the limit, right derivatives."""
import math

import numpy as np
import pytest
import torch

from diffsift.extrema import find_extrema, is_extremum
from diffsift.planes import as_planes
from diffsift.scalespace import build_scalespace
from diffsift.softness import Softness
from pysift import extrema as hard
from pysift import scalespace as hard_scalespace
from pysift.params import SIFTParams
from soft import randn, tensor
from strategies import photo

PHOTOS = ["camera", "moon", "coins", "page", "brick", "grass"]


def cubes_and_gaps(name):
    """Every interior cell of the first octave: cubes (N, 3, 3, 3) and its margin over 26 neighbours, both [range]."""
    dog = build_scalespace(tensor(photo(name, 60, 70)) * 255)[0].dog[0]
    cubes = dog.unfold(0, 3, 1).unfold(1, 3, 1).unfold(2, 3, 1).reshape(-1, 3, 3, 3)
    flat = cubes.flatten(1) / 255
    sign = flat[:, 13:14].sign()
    others = torch.cat([flat[:, :13], flat[:, 14:]], 1)
    return cubes, (sign * (flat[:, 13:14] - others)).amin(1), flat[:, 13] != 0


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("beta", [1e3, 1e4, 1e5, 1e6])
def test_the_certificate_holds_at_every_cell_of_a_photograph(name, beta):
    """1 − a ≤ 26·exp(−β·gap) at each extremum, a ≤ exp(−β·|gap|) elsewhere: no violation."""
    cubes, gap, counted = cubes_and_gaps(name)
    softness = Softness(extremum=beta, gap=1.0, prefilter=math.inf)
    params = SIFTParams(contrast_threshold=0.0)                                    # only the gate on the extremum
    log_a, gap = is_extremum(cubes[counted], params, softness), gap[counted]
    extremum = gap > 0
    assert extremum.sum() >= 10
    assert (-torch.expm1(log_a[extremum]) <= 26 * torch.exp(-beta * gap[extremum]) + 1e-15).all()
    assert (log_a[~extremum] <= beta * gap[~extremum] * (1 - 1e-12)).all()          # rounding of a sum of thousands


@pytest.mark.parametrize("name", PHOTOS)
def test_in_the_limit_the_candidates_are_the_hard_ones(name):
    image = photo(name, 100, 90)
    for octave, theirs in zip(build_scalespace(tensor(image) * 255, softness=Softness.hard(), least_side=11),
                              hard_scalespace.build_scalespace(image.astype(np.float32))):
        expected = hard.find_extrema(theirs.dog if "dog" in hard.find_extrema.__code__.co_varnames[:1]
                                     else theirs.levels)
        cells, log_weight = find_extrema(octave.levels, softness=Softness.hard(), count=len(expected) + 50)
        assert sorted(map(tuple, cells[0][log_weight[0] == 0].tolist())) == list(map(tuple, expected.tolist()))


def test_a_small_count_takes_the_extrema_first():
    octave = build_scalespace(tensor(photo("camera", 100, 100)) * 255)[0]
    _, log_weight = find_extrema(octave.levels, softness=Softness.hard(), count=20)
    assert (log_weight == 0).all()


def test_no_cell_left_out_outweighs_one_taken():
    """The bound is an upper one: among all cells, those of largest weight are taken."""
    octave = build_scalespace(tensor(photo("camera", 40, 40)) * 255)[0]
    softness = Softness(extremum=1.0, prefilter=1.0)
    _, everything = find_extrema(octave.levels, softness=softness, count=10**6)
    _, some = find_extrema(octave.levels, softness=softness, count=400)
    assert some.max() == everything.max()
    n = int((some > some.min() + math.log(27)).sum())             # the bound is off by log 27 at most
    torch.testing.assert_close(some.sort(descending=True).values[:, :n], everything.sort(descending=True).values[:, :n])


def test_first_and_second_derivatives():
    cube = randn(5, 3, 3, 3).requires_grad_()
    softness = Softness(extremum=2.0, gap=10 / 255, prefilter=3.0)

    def weight(cube):
        return is_extremum(cube, softness=softness)

    assert torch.autograd.gradcheck(weight, cube)
    assert torch.autograd.gradgradcheck(weight, cube)


def test_derivatives_flow_through_the_levels():
    levels = (10 * randn(1, 6, 13, 14)).requires_grad_()
    softness = Softness(extremum=1.0, gap=0.05, prefilter=1.0)
    assert torch.autograd.gradcheck(lambda v: find_extrema(v, softness=softness, count=6)[1], levels, fast_mode=True)
    (back,) = torch.autograd.grad(find_extrema(levels, softness=softness, count=6)[1].sum(), levels)
    assert back.norm() > 0


def test_flat_levels_give_weight_zero_and_no_derivative():
    levels = torch.full((1, 6, 16, 16), 7.0, requires_grad=True)
    for softness in (Softness(), Softness.hard()):
        weight = find_extrema(levels, softness=softness, count=5)[1].exp()
        assert weight.max() < 1e-10
    find_extrema(levels, count=5)[1].exp().sum().backward()
    assert levels.grad.isfinite().all()


def test_images_of_a_batch_do_not_see_each_other():
    levels = as_planes(torch.zeros(1, 1, 1, 1)).values.new_zeros(2, 6, 16, 16)
    levels[0, 3:, 8, 7] = 9
    levels[1, 3:, 6, 9] = -9
    cells, log_weight = find_extrema(levels, softness=Softness.hard(), count=1)
    assert cells[:, 0].tolist() == [[2, 8, 7], [2, 6, 9]] and log_weight.tolist() == [[0], [0]]
