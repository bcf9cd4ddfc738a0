"""Layers, their names and states; how weights start; dropout, batch norm and losses; optimisers against torch's."""
import numpy as np
import pytest
import torch

from cnn.tape import Tensor, functions, grad, initial, layers, nets, optimisers
from cnn.tape.elementwise import relu
from tape_training import load_torch, torch_lenet, torch_mobilenet, torch_resnet

NETS = {"lenet": (nets.lenet, torch_lenet),
        "resnet": (lambda rng: nets.bottleneck_resnet(rng, widths=(8, 16), depth=2), torch_resnet),
        "mobilenet": (nets.mobilenet, torch_mobilenet)}


def rng():
    return np.random.default_rng(0)


def test_lenet_has_44_426_parameters():
    assert sum(t.size for t in nets.lenet(rng()).parameters().values()) == 44_426


@pytest.mark.parametrize("name", NETS)
def test_names_and_shapes_are_those_of_torch(name):
    ours, theirs = NETS[name][0](rng()), NETS[name][1]()
    expected = {key: tuple(t.shape) for key, t in theirs.state_dict().items() if "num_batches" not in key}
    assert {key: a.shape for key, a in ours.state().items()} == expected
    assert [*ours.parameters()] == [key for key, _ in theirs.named_parameters()]


@pytest.mark.parametrize("name", NETS)
def test_a_net_starts_as_torchs_does(name):
    """Weights and biases are drawn from U(±1/√fan_in): none beyond, and their variance is a third of its square."""
    torch.manual_seed(0)
    twin = {key: t.detach().numpy() for key, t in NETS[name][1]().named_parameters()}
    ours = {key: t.data for key, t in NETS[name][0](rng()).parameters().items()}
    for key in ours:
        bound = 1 / np.sqrt(np.prod(ours[key.replace("bias", "weight")].shape[1:]))
        for values in (ours[key], twin[key]):
            if ours[key.replace("bias", "weight")].ndim > 1:                # not the gains of batch norm
                assert np.abs(values).max() <= bound * (1 + 1e-6)
                assert abs((values ** 2).mean() * 3 / bound ** 2 - 1) < 5 * np.sqrt(0.8 / values.size)
            else:
                np.testing.assert_array_equal(ours[key], twin[key])


def test_a_state_survives_the_way_through_another_net():
    one, other = nets.mobilenet(np.random.default_rng(1)), nets.mobilenet(np.random.default_rng(2))
    one(Tensor(np.ones((2, 3, 16, 16), np.float32)))                    # moves the running moments
    other.load(one.state())
    x = Tensor(rng().normal(size=(2, 3, 16, 16)).astype(np.float32))
    np.testing.assert_array_equal(one.eval()(x).data, other.eval()(x).data)


def test_a_state_is_a_copy_and_a_load_too():
    net = nets.lenet(rng())
    state = net.state()
    state["0.weight"][:] = 7
    assert (net.parameters()["0.weight"].data != 7).all()
    net.load(state)
    state["0.weight"][:] = 8
    assert (net.parameters()["0.weight"].data == 7).all()


@pytest.mark.parametrize("change, says", [
    (lambda s: s.pop("0.weight"), "0.weight"),
    (lambda s: s.update(extra=np.ones(1)), "extra"),
    (lambda s: s.update({"0.bias": np.ones(7)}), "0.bias"),
])
def test_a_state_that_does_not_fit_changes_nothing(change, says):
    net = nets.lenet(rng())
    state, before = {key: array + 1 for key, array in net.state().items()}, net.state()
    change(state)
    with pytest.raises(ValueError, match=says):
        net.load(state)
    for key, array in net.state().items():
        np.testing.assert_array_equal(array, before[key])


def test_zero_grad_forgets():
    net = layers.Linear(3, 2, rng=rng())
    net(Tensor(np.ones((1, 3), np.float32))).sum().backward()
    assert all(t.grad is not None for t in net.parameters().values())
    net.zero_grad()
    assert all(t.grad is None for t in net.parameters().values())


def test_he_normal_keeps_the_mean_square_through_20_layers_of_relu():
    """E x² after W and ReLU is E x² before: a layer of width 1000 is off by √(5/1000) at random, 20 by a third."""
    x = rng().normal(size=(200, 1000))
    for seed in range(1, 21):
        w = initial.he_normal(np.random.default_rng(seed), (1000, 1000), np.float64)
        x = relu(Tensor(x @ w.data.T)).data
    assert 0.5 < (x ** 2).mean() < 2


def test_he_normal_counts_the_products_of_one_output():
    w = initial.he_normal(rng(), (64, 8, 5, 5))
    assert w.data.std() == pytest.approx(np.sqrt(2 / 200), rel=0.02) and w.requires_grad


def test_dropout_drops_p_keeps_the_mean_and_rests_in_use():
    layer = layers.Dropout(0.3, rng=rng())
    x = Tensor(np.ones((200, 200)), requires_grad=True)
    y = layer(x)
    assert set(np.unique(y.data)) == {0.0, 1 / 0.7}
    assert (y.data == 0).mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / 40_000))
    np.testing.assert_array_equal(grad(y.sum(), x)[0].data, y.data)     # the same mask backwards
    assert (layer(x).data != y.data).any()                              # a new one each time
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match="probability"):
        layers.Dropout(1.0, rng=rng())


def test_train_and_eval_reach_every_layer():
    net = layers.Sequential(nets.Bottleneck(4, 2, 2, rng=rng(), dtype=np.float32), layers.Dropout(rng=rng()))
    norms = [owner for _, owner, name in net.named(np.ndarray) if name == "running_mean"]
    assert len(norms) == 4
    net.eval()
    assert not any(layer.training for layer in [*norms, net.layers[1]])
    net.train()
    assert all(layer.training for layer in [*norms, net.layers[1]])


def test_batch_norm_gives_mean_0_and_variance_1_and_follows_the_moments_as_torch():
    ours, theirs = layers.BatchNorm2d(3, dtype=np.float64), torch.nn.BatchNorm2d(3).double()
    for seed in range(4):
        x = np.random.default_rng(seed).normal(2, 3, (4, 3, 5, 5))
        y = ours(Tensor(x)).data
        np.testing.assert_allclose(y, theirs(torch.tensor(x)).detach().numpy(), atol=1e-12)
        np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-13)
        np.testing.assert_allclose(y.var((0, 2, 3)), 1, atol=1e-4)
    np.testing.assert_allclose(ours.running_mean, theirs.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(ours.running_var, theirs.running_var.numpy(), rtol=1e-12)
    x = np.random.default_rng(9).normal(size=(1, 3, 1, 1))
    np.testing.assert_allclose(ours.eval()(Tensor(x)).data, theirs.eval()(torch.tensor(x)).detach().numpy(), atol=1e-12)
    with pytest.raises(ValueError, match="at least 2 values"):
        ours.train()(Tensor(x))


@pytest.mark.parametrize("labels", [[0, 4], [-1, 0], [0], [0.0, 1.0], [[0], [1]]])
def test_labels_that_name_no_class_are_refused(labels):
    with pytest.raises(ValueError, match="class|example"):
        functions.cross_entropy(Tensor(np.zeros((2, 4))), labels)


def test_the_loss_of_logits_far_apart_is_finite_and_its_gradient_the_miss():
    logits = Tensor(np.array([[1000.0, 0.0], [-1000.0, 0.0]]), requires_grad=True)
    loss = functions.cross_entropy(logits, [1, 1])
    assert loss.item() == 500.0                                         # the mean of 1000 and 0
    np.testing.assert_allclose(grad(loss, logits)[0].data, [[0.5, -0.5], [0, 0]], atol=1e-15)


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("name, how", [("SGD", {"momentum": 0.0}), ("SGD", {"momentum": 0.9}), ("Adam", {}),
                                       ("Adam", {"betas": (0.5, 0.7), "eps": 1e-3})])
def test_an_optimiser_takes_the_steps_of_torchs(name, how, decay):
    start, target = rng().normal(size=(2, 5))
    w, unused = Tensor(start, requires_grad=True), Tensor(start, requires_grad=True)
    t = torch.tensor(start, requires_grad=True)
    ours = getattr(optimisers, name)([w, unused], 0.05, weight_decay=decay, **how)
    theirs = getattr(torch.optim, name)([t], lr=0.05, weight_decay=decay, **how)
    for _ in range(50):
        w.grad, t.grad = None, None
        ((w - target) ** 4).sum().backward()
        ((t - torch.tensor(target)) ** 4).sum().backward()
        ours.step()
        theirs.step()
        np.testing.assert_allclose(w.data, t.detach().numpy(), atol=1e-13)
    np.testing.assert_array_equal(unused.data, start)                   # no gradient, no step, no decay


def test_float32_nets_stay_float32_through_a_step():
    net = nets.mobilenet(rng())
    functions.cross_entropy(net(Tensor(np.ones((2, 3, 16, 16), np.float32))), [1, 2]).backward()
    for make in (optimisers.SGD, optimisers.Adam):
        make(net.parameters().values(), 0.1, weight_decay=0.1).step()
    assert {a.dtype for a in net.state().values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", NETS)
def test_a_net_in_float32_gives_the_logits_of_torch(name):
    ours, theirs = NETS[name][0](rng()), NETS[name][1]()
    load_torch(theirs, ours.state())
    x = rng().normal(size=(4, 1, 28, 28) if name == "lenet" else (4, 3, 16, 16)).astype(np.float32)
    np.testing.assert_allclose(ours(Tensor(x)).data, theirs(torch.tensor(x)).detach().numpy(), atol=2e-5)
