"""What the derivative is where there is none: at kinks and ties, named in the docstrings, the same as torch's."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnn.tape import Tensor, elementwise, grad, pooling, reductions

TIED = np.array([[2.0, 5.0, 5.0, 5.0], [0.0, 0.0, -1.0, 0.0]])


def both(ours, theirs, *arrays):
    """Return the derivatives of the summed values, of ours and of torch, one an argument."""
    x = [Tensor(np.asarray(a, float), requires_grad=True) for a in arrays]
    t = [torch.tensor(np.asarray(a, float), requires_grad=True) for a in arrays]
    weights = np.arange(1.0, 1 + ours(*x).size)
    mine = grad((ours(*x).reshape(-1) * weights).sum(), x)
    other = torch.autograd.grad((theirs(*t).reshape(-1) * torch.tensor(weights)).sum(), t)
    return [m.data for m in mine], [o.numpy() for o in other]


@pytest.mark.parametrize("name, expected", [("relu", [0, 0, 3]), ("absolute", [-1, 0, 3])])
def test_at_0_relu_and_the_absolute_value_have_the_derivative_0(name, expected):
    (mine,), (other,) = both(getattr(elementwise, name), getattr(torch, name), [-1.0, 0.0, 1.0])
    np.testing.assert_array_equal(mine, expected)
    np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_at_a_tie_both_arguments_have_half(name):
    mine, other = both(getattr(elementwise, name), getattr(torch, name), [1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(mine, other)
    assert [d[1] for d in mine] == [1.0, 1.0]                               # of a weight of 2


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_all_that_tie_for_the_largest_share_alike(axis):
    (mine,), (other,) = both(lambda x: reductions.max_over(x, axis),
                             lambda t: t.amax() if axis is None else t.amax(axis), TIED)
    np.testing.assert_allclose(mine, other, rtol=1e-15)
    if axis is None:
        np.testing.assert_allclose(mine[0], [0, 1 / 3, 1 / 3, 1 / 3], rtol=1e-15)


@pytest.mark.parametrize("how", [{"kernel": 2}, {"kernel": 3, "stride": 1, "padding": 1}, {"kernel": 2, "stride": 1}])
def test_the_first_of_a_window_that_ties_takes_all(how):
    image = np.random.default_rng(0).integers(0, 2, (2, 2, 6, 6)).astype(float)
    theirs = {"kernel_size" if name == "kernel" else name: value for name, value in how.items()}
    (mine,), (other,) = both(lambda x: pooling.max_pool2d(x, **how), lambda t: F.max_pool2d(t, **theirs), image)
    np.testing.assert_array_equal(mine, other)
    (flat,), _ = both(lambda x: pooling.max_pool2d(x, 2), lambda t: F.max_pool2d(t, 2), np.zeros((1, 1, 2, 2)))
    np.testing.assert_array_equal(flat[0, 0], [[1, 0], [0, 0]])


def test_the_padding_of_a_max_pool_is_never_the_largest():
    x = Tensor(np.full((1, 1, 2, 2), -7.0))
    assert (pooling.max_pool2d(x, 2, padding=1).data == -7).all()


def test_a_max_pool_passes_on_what_is_not_a_number():
    image = np.zeros((1, 1, 4, 4))
    image[0, 0, 0, 1] = np.nan
    mine, other = pooling.max_pool2d(Tensor(image), 2).data, F.max_pool2d(torch.tensor(image), 2).numpy()
    np.testing.assert_array_equal(mine, other)


def test_relu_passes_on_what_is_not_a_number():
    assert np.isnan(elementwise.relu(Tensor([np.nan])).data).all()


def test_a_power_has_the_derivatives_of_torch_at_0():
    for exponent in (0, 1, 2, 3):
        (mine,), (other,) = both(lambda a, n=exponent: a ** n, lambda t, n=exponent: t ** n, [0.0, 1.0])
        np.testing.assert_array_equal(mine, other)
        x, t = Tensor([0.0], requires_grad=True), torch.zeros(1, dtype=torch.float64, requires_grad=True)
        first, = grad(x ** exponent, x, [1.0], create_graph=True)
        first_torch, = torch.autograd.grad(t ** exponent, t, torch.ones(1, dtype=torch.float64), create_graph=True)
        if first_torch.requires_grad:
            second, = torch.autograd.grad(first_torch, t, torch.ones(1, dtype=torch.float64))
            assert grad(first, x, [1.0])[0].data == second.numpy()


def test_the_square_root_has_no_finite_derivative_at_0_nor_has_torch():
    with np.errstate(divide="ignore"):
        (mine,), (other,) = both(elementwise.sqrt, torch.sqrt, [0.0])
    assert mine == other == np.inf


@pytest.mark.parametrize("value", [-1e4, -800.0, 800.0, 1e4])
def test_far_out_nothing_overflows(value):
    """pytest turns the RuntimeWarning of an overflow into an error."""
    (mine,), (other,) = both(elementwise.sigmoid, torch.sigmoid, [value])
    assert mine == other
    assert elementwise.sigmoid(Tensor([value])).data == torch.sigmoid(torch.tensor([value])).numpy()
