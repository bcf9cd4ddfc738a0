"""The laws of derivatives, for every operation in the registry and every function made of them."""
import numpy as np
import pytest
import torch

from cnn.tape import OPS, Tensor, checks, grad
from cnn.tape.engine import apply
from tape_cases import COMPOSED, OPERATIONS

SEEDS = range(6)
CASES = OPERATIONS | COMPOSED


def function_of(name, parameters):
    """Return the function of a case with its parameters filled in; of an operation without its broadcasting."""
    case = CASES[name]
    if case.function is None:
        return lambda *tensors: apply(OPS[name], tensors, parameters)
    return lambda *tensors: case.function(*tensors, **parameters)


def draws(name):
    """Yield (function, arrays, parameters, rng) for each seed."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        arrays, parameters = CASES[name].draw(rng)
        yield function_of(name, parameters), [np.asarray(a) for a in arrays], parameters, rng


def test_every_operation_has_a_case_and_every_case_an_operation():
    assert set(OPERATIONS) == set(OPS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_a_rule_for_each_tensor_argument(name):
    arrays, _ = OPERATIONS[name].draw(np.random.default_rng(0))
    assert len(OPS[name].vjps) == len(arrays)


@pytest.mark.parametrize("name", CASES)
def test_the_rules_are_the_derivatives(name):
    for function, arrays, parameters, rng in draws(name):
        assert checks.derivative(function, arrays, rng) < 1e-9, parameters


@pytest.mark.parametrize("name", CASES)
def test_the_rules_have_derivatives(name):
    for function, arrays, parameters, rng in draws(name):
        assert checks.second(function, arrays, rng) < 1e-9, parameters


@pytest.mark.parametrize("name", CASES)
def test_an_operation_is_linear_in_just_those_arguments_that_its_case_names(name):
    """Of `power` and the like some draws are linear by chance: a case claims what holds for all."""
    broken = [[checks.linearity(function, arrays, number, rng) > 1e-12 for number in range(len(arrays))]
              for function, arrays, _, rng in draws(name)]
    found = {number for number in range(len(broken[0])) if not any(row[number] for row in broken)}
    assert found == set(CASES[name].linear)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].linear])
def test_the_rule_of_a_linear_operation_is_its_exact_adjoint(name):
    for function, arrays, parameters, rng in draws(name):
        for number in CASES[name].linear:
            assert checks.adjoint(function, arrays, number, rng) < 1e-13, (number, parameters)


@pytest.mark.parametrize("name", CASES)
def test_value_and_first_and_second_derivative_are_those_of_torch(name):
    for function, arrays, parameters, rng in draws(name):
        ours = [Tensor(a, requires_grad=True) for a in arrays]
        theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
        y, y_torch = function(*ours), CASES[name].torch(*theirs, **parameters)
        assert_equal(y, y_torch)
        v, w = rng.normal(size=y.shape), [rng.normal(size=a.shape) for a in arrays]
        first = grad(y, ours, v, create_graph=True)
        first_torch = torch.autograd.grad(y_torch, theirs, torch.tensor(v), create_graph=True)
        for a, b in zip(first, first_torch):
            assert_equal(a, b)
        along = sum((d * weight).sum() for d, weight in zip(first, w))
        along_torch = sum((d * torch.tensor(weight)).sum() for d, weight in zip(first_torch, w))
        if along_torch.requires_grad:
            second = torch.autograd.grad(along_torch, theirs, allow_unused=True, materialize_grads=True)
            for a, b in zip(grad(along, ours), second):
                assert_equal(a, b)


def assert_equal(ours, theirs):
    assert ours.shape == tuple(theirs.shape) and ours.dtype == np.float64
    np.testing.assert_allclose(ours.data, theirs.numpy(force=True), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32_in_value_and_derivative(name):
    function, arrays, _, _ = next(draws(name))
    inputs = [Tensor(a.astype(np.float32), requires_grad=True) for a in arrays]
    y = function(*inputs)
    assert y.dtype == np.float32 and {d.dtype for d in grad(y.sum(), inputs)} == {np.dtype(np.float32)}
