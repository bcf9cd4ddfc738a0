"""The engine: what is recorded, in which order it goes back, what adds up and what does not."""
import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cnn
from cnn.tape import OPS, Tensor, grad, no_grad, op
from cnn.tape import elementwise as e


def leaf(*values, dtype=np.float64):
    return Tensor(np.array(values, dtype), requires_grad=True)


def test_the_names_that_other_programs_rely_on():
    assert cnn.tape.Tensor is Tensor and cnn.tape.grad is grad and cnn.tape.OPS is OPS
    forward, vjps = OPS["mul"]
    assert forward(2, 3) == 6 and len(vjps) == 2


@given(st.integers(2, 60))
def test_a_tensor_used_again_and_again_collects_every_share(depth):
    """x + x, 30 deep, is 2³⁰ x: a pass that walked paths would never end, one that visited too early would be wrong."""
    x = leaf(1.0)
    y = x
    for _ in range(depth):
        y = y + y
    assert grad(y.sum(), x)[0].data == 2.0 ** depth


def test_a_diamond_of_unequal_arms():
    x = leaf(3.0)
    a = x * x                                       # used by both arms, one of them longer
    b = a * a * a
    y = a * b                                       # x⁸
    assert grad(y.sum(), x)[0].data == pytest.approx(8 * 3.0 ** 7, rel=1e-15)


def test_a_chain_of_100_000_operations():
    x, factor = leaf(1.0), Tensor([1.00001])
    y = x
    for _ in range(100_000):
        y = y * factor
    y.backward([1.0])
    assert x.grad.data == pytest.approx(1.00001 ** 100_000, rel=1e-9)
    del y                                           # and its end: nothing may recurse while it is torn down
    gc.collect()


def test_a_chain_of_10_000_operations_has_second_derivatives():
    x = leaf(1.0)
    y = x * x
    for _ in range(10_000):
        y = y * 1.0001
    first, = grad(y.sum(), x, create_graph=True)
    assert grad(first.sum(), x)[0].data == pytest.approx(2 * 1.0001 ** 10_000, rel=1e-9)


def test_backward_twice_adds_up_as_in_torch():
    x, t = leaf(1.0, 2.0), torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    y, u = (x * x * x).sum(), (t * t * t).sum()
    for _ in range(3):
        y.backward()
        u.backward(retain_graph=True)
        np.testing.assert_array_equal(x.grad.data, t.grad.numpy())
    (x * 2.0).sum().backward()
    (t * 2.0).sum().backward()
    np.testing.assert_array_equal(x.grad.data, t.grad.numpy())


def test_backward_leaves_nothing_but_at_the_leaves():
    x = leaf(2.0)
    middle = x * x
    (middle * middle).sum().backward()
    assert middle.grad is None and x.grad.origin is None and not x.grad.requires_grad


def test_grad_leaves_nothing_anywhere_and_reaches_tensors_in_the_middle():
    x = leaf(2.0)
    middle = x * x
    y = (middle * middle).sum()
    to_middle, to_x = grad(y, [middle, x])
    assert (to_middle.data, to_x.data, x.grad) == (8.0, 32.0, None)


def test_the_output_itself_can_be_wanted():
    x = leaf(2.0)
    y = (x * x).sum()
    assert [t.item() for t in grad(y, [y, x])] == [1.0, 4.0]


@pytest.mark.parametrize("order", range(1, 7))
def test_gradients_of_gradients_of_any_order(order):
    x, t = leaf(0.7), torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    y, u = e.tanh(x * x).sum(), torch.tanh(t * t).sum()
    for _ in range(order):
        y, u = grad(y, x, create_graph=True)[0].sum(), torch.autograd.grad(u, t, create_graph=True)[0].sum()
    assert y.item() == pytest.approx(u.item(), rel=1e-12)


def test_a_derivative_through_the_seed():
    """Jᵀ v is linear in v, and its derivative by v, times u, is J u: the forward mode from two backward ones."""
    x, v, u = leaf(0.3, -0.8), leaf(0.0, 0.0), np.array([2.0, 5.0])
    back, = grad(e.exp(x), x, v, create_graph=True)
    forward, = grad(back, v, u)
    np.testing.assert_allclose(forward.data, np.exp(x.data) * u, rtol=1e-15)


def test_what_does_not_lead_there_has_the_derivative_zero():
    x, other = leaf(1.0, 2.0), leaf(3.0)
    assert grad((x * 2.0).sum(), [other, x])[0].data == 0.0
    first, = grad((x * 2.0).sum(), x, create_graph=True)
    np.testing.assert_array_equal(grad(first.sum(), x)[0].data, [0.0, 0.0])


def test_rules_are_not_asked_for_what_nobody_wants():
    asked = []

    @op(lambda g, y, a, b: asked.append("a") or g,
        lambda g, y, a, b: asked.append("b") or g)
    def watched(a, b):
        return a + b

    try:
        x, w = leaf(1.0), leaf(2.0)
        grad(watched(x, w), x, [1.0])
        watched(x, Tensor([2.0])).backward([1.0])
        assert asked == ["a", "a"]
        with pytest.raises(ValueError, match="already"):
            op()(watched.__wrapped__)
    finally:
        del OPS["watched"]


def test_under_no_grad_nothing_is_recorded_and_nothing_kept_alive():
    x = leaf(1.0)
    with no_grad():
        y = x * x
        kept = weakref.ref(x * 3.0)
    assert not y.requires_grad and y.origin is None and kept() is None
    assert (x * x).requires_grad
    with pytest.raises(ValueError, match="no_grad"):
        y.backward()


def test_a_derivation_is_recorded_only_if_asked():
    x = leaf(1.0)
    assert grad((x * x).sum(), x)[0].origin is None
    assert grad((x * x).sum(), x, create_graph=True)[0].requires_grad


def test_a_graph_dies_with_its_output():
    """No cycles: without the garbage collector, 1000 steps of training take no more memory than one."""
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        middle = x * x
        died = weakref.ref(middle)
        y = middle.sum()
        y.backward()
        del middle, y
        assert died() is None
    finally:
        gc.enable()


def test_a_detached_tensor_is_a_constant():
    x = leaf(3.0)
    assert grad((x * x.detach()).sum(), x)[0].data == 3.0


@pytest.mark.parametrize("number", [2, 2.5, np.float64(2.5), np.array(2.5), np.array([2.5, 1.0])])
def test_numbers_and_arrays_on_either_side_take_the_precision_of_the_tensor(number):
    x = leaf(1.0, 2.0, dtype=np.float32)
    for ours, theirs in ((x + number, x.data + number), (number + x, number + x.data), (number - x, number - x.data),
                         (x - number, x.data - number), (number * x, number * x.data), (number / x, number / x.data),
                         (x / number, x.data / number)):
        assert isinstance(ours, Tensor) and ours.dtype == np.float32
        np.testing.assert_allclose(ours.data, theirs, rtol=1e-6)


def test_methods_mean_what_they_mean_in_numpy():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(2, 3, 4))
    x = Tensor(a)
    for ours, theirs in ((x.sum(), a.sum()), (x.sum(1), a.sum(1)), (x.mean((0, 2)), a.mean((0, 2))),
                         (x.max(-1, keepdims=True), a.max(-1, keepdims=True)), (x.reshape(6, -1), a.reshape(6, -1)),
                         (x.reshape((4, 6)), a.reshape(4, 6)), (x.transpose(), a.transpose()),
                         (x.transpose(0, 2, 1), a.transpose(0, 2, 1)), (x[1, :, ::2], a[1, :, ::2]), (-x, -a),
                         (abs(x), abs(a)), (x ** 2, a ** 2), (x @ a[0].T, a @ a[0].T),
                         (a[:, :, :3] @ x[0], a[:, :, :3] @ a[0])):
        np.testing.assert_allclose(ours.data, theirs, rtol=1e-14)


@pytest.mark.parametrize("call, says", [
    (lambda x: x.backward(), "needs no seed"),
    (lambda x: grad(x * x, x), "needs no seed"),
    (lambda x: grad(x * x, x, [1.0]), "seed has shape"),
    (lambda x: grad(x.sum(), Tensor([1.0])), "requires_grad"),
    (lambda x: x @ x, "vector"),
    (lambda x: x.reshape(2, 1) @ np.ones((3, 1)), "cannot multiply"),
], ids=lambda call: call if isinstance(call, str) else "")
def test_a_wrong_call_says_what_is_wrong(call, says):
    with pytest.raises(ValueError, match=says):
        call(leaf(1.0, 2.0))


@pytest.mark.parametrize("call, says", [
    (lambda: Tensor(["a"]), "cannot differentiate"),
    (lambda: Tensor(np.array([1j])), "cannot differentiate complex128"),
    (lambda: Tensor(Tensor([1.0])), "already"),
    (lambda: leaf(1.0) + leaf(1.0, dtype=np.float32), "do not mix"),
    (lambda: leaf(2.0) ** leaf(2.0), "exponent"),
], ids=["text", "complex", "tensor", "mixed", "exponent"])
def test_a_wrong_type_says_what_is_wrong(call, says):
    with pytest.raises(TypeError, match=says):
        call()


def test_a_rule_of_the_wrong_shape_is_found_out_with_its_name():
    @op(lambda g, y, x: g)
    def halved(x):
        return x[::2]

    try:
        with pytest.raises(ValueError, match=r"rule 0 of halved gave float64 \(1,\) for an input of float64 \(2,\)"):
            halved(leaf(1.0, 2.0)).backward([1.0])
    finally:
        del OPS["halved"]
