"""Pixels of many planes in one flat tensor: read where they are said to be, and smoothly between."""
import pytest
import torch

from diffsift.planes import as_planes
from soft import randn

LEVELS = [randn(2, 4, 9, 11, seed=1), randn(2, 4, 5, 6, seed=2)]
PLANES = as_planes(LEVELS)


def every_pixel(octave):
    b, p, h, w = LEVELS[octave].shape
    grid = torch.meshgrid(torch.arange(p) + octave * p, torch.arange(h), torch.arange(w), indexing="ij")
    return [axis.expand(b, p, h, w) for axis in grid]


@pytest.mark.parametrize("octave", [0, 1])
def test_reading_every_pixel_gives_the_level_back(octave):
    torch.testing.assert_close(PLANES.read(*every_pixel(octave)), LEVELS[octave], rtol=0, atol=0)


def test_a_pixel_outside_is_the_nearest_inside():
    plane, far = torch.tensor([[5], [5]]), torch.tensor([[99], [-9]])
    assert PLANES.read(plane, far, far).flatten().tolist() == [LEVELS[1][0, 1, -1, -1], LEVELS[1][1, 1, 0, 0]]


def test_a_cube_holds_differences_of_neighbouring_levels():
    cube = PLANES.cubes(torch.tensor([[1], [5]]), torch.tensor([[4], [2]]), torch.tensor([[7], [3]]))
    for image, (levels, row, col) in enumerate([(LEVELS[0], 4, 7), (LEVELS[1], 2, 3)]):
        dog = levels[image, 1:] - levels[image, :-1]
        torch.testing.assert_close(cube[image, 0], dog[:, row - 1:row + 2, col - 1:col + 2])


def test_patches_are_squares_about_their_pixel():
    patch = PLANES.patches(torch.tensor([[2], [2]]), torch.tensor([[4], [4]]), torch.tensor([[5], [5]]), 3)
    torch.testing.assert_close(patch[:, 0], LEVELS[0][:, 2, 1:8, 2:9])


def test_the_gradient_of_a_quadratic_is_exact_between_pixels():
    """B-splines reproduce cubics up to a constant: of ½x² + 3y the gradient is (x, 3), twice that here, y up."""
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(11.0), indexing="ij")
    planes = as_planes((x * x / 2 + 3 * y).double().expand(1, 4, 9, 11))
    at = torch.tensor([[3.3, 5.75, 7.0]], dtype=torch.float64)
    dx, dy = planes.gradients(torch.zeros(1, 3, dtype=torch.int64), at, at / 2)
    torch.testing.assert_close(dx, 2 * at)
    torch.testing.assert_close(dy, torch.full_like(at, -6))


def test_derivatives_with_respect_to_place_and_pixels():
    plane, place = torch.tensor([[1, 6]]), torch.tensor([[3.3, 1.7]], dtype=torch.float64, requires_grad=True)

    def gradients(values, x, y):
        return PLANES._replace(values=values[None]).gradients(plane, x, y)

    values = PLANES.values[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(gradients, (values, place, place.detach().flip(1).requires_grad_()))
    assert torch.autograd.gradgradcheck(gradients, (values, place, place.detach().flip(1).requires_grad_()),
                                        fast_mode=True)
