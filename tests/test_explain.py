"""Explanations: equal to the published programs, true to their formulas, and sound where users met trouble."""
import argparse
import copy
import importlib
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from cnn.explain import (
    deletion,
    gradcam,
    guided_backprop,
    input_gradient,
    insertion,
    integrated_gradients,
    saliency,
    smooth_gradient,
    weighted_map,
)
from cnn.explain.commands import add_gradcam, add_saliency
from cnn.explain.overlay import colours, overlay, stretched
from cnn.explain.removal import area, blur
from cnn.explain.sanity import cascade, completeness, randomisation, rank_correlation
from cnn.models import AlexNet, BottleneckResNet, CifarResNet, LeNet, MobileNet, PlainCNN, ResNet18, SqueezeNet
from cnn.models.imagenet import class_number
from cnn.models.resnet import Stage
from cnn.photos import NAMES, photo

SMALL = (Stage(8, 1, 1), Stage(16, 1, 2))
MAPPED = {                                       # nets whose last map goes through a mean and one matrix
    "residual": lambda: ResNet18(stages=SMALL, stem="3x3"),
    "bottleneck": lambda: BottleneckResNet(stages=SMALL, stem="3x3"),
    "plain": lambda: PlainCNN(stages=SMALL, stem="3x3"),
    "cifar": lambda: CifarResNet(8),
    "mobile": lambda: MobileNet(width=0.125, channels=3),
}


def trained_like(make, seed=0):
    """A net in float64 whose batch norm has seen something, in eval mode."""
    torch.manual_seed(seed)
    net = make().double().train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.rand(8, 3, 32, 32, dtype=torch.float64))
    return net.eval()


def images(n=3, size=32, channels=3, seed=1):
    return torch.rand(n, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# the formulas

def test_saliency_of_a_linear_net_is_the_magnitude_of_its_weights():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    weights = net[1].weight.detach().reshape(3, 3, 4, 4).abs().amax(1)
    maps = saliency(net, torch.rand(3, 3, 4, 4), target=[0, 1, 2])
    torch.testing.assert_close(maps, weights / weights.amax((1, 2), keepdim=True))


def test_the_gradient_is_that_of_finite_differences():
    net, batch = trained_like(MAPPED["residual"]), images()
    direction = torch.randn(batch.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for n, target in enumerate((3, 0, 9)):
        with torch.no_grad():
            step = 1e-6 * direction[n:n + 1]
            change = (net(batch[n:n + 1] + step) - net(batch[n:n + 1] - step))[0, target].item() / 2e-6
        found = (input_gradient(net, batch, [3, 0, 9])[n] * direction[n]).sum().item()
        assert found == pytest.approx(change, rel=1e-5)


def test_without_biases_the_gradient_times_the_image_is_the_logit():
    net = LeNet(shape=(3, 32, 32)).double()                       # zero biases: homogeneous of degree one
    batch = images()
    with torch.no_grad():
        logits = net(batch)
    total = (input_gradient(net, batch, 4) * batch).flatten(1).sum(1)
    torch.testing.assert_close(total, logits[:, 4], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", MAPPED)
def test_at_the_last_map_grad_cam_is_complete_and_is_cam(name):
    """With a mean and one matrix behind it, α = w / (h·w): Σ L = logit − bias, and L is Zhou's class activation map."""
    net, batch = trained_like(MAPPED[name]), images()
    maps = weighted_map(net, batch, [1, 5, 7])
    with torch.no_grad():
        logits = net(batch)[range(3), [1, 5, 7]]
        seen = []
        hook = net.get_submodule(net.cam_layer).register_forward_hook(lambda m, i, o: seen.append(o))
        net(batch)
        hook.remove()
        cam = (net.fc.weight[[1, 5, 7]][:, :, None, None] * seen[0]).sum(1) / seen[0][0, 0].numel()
    torch.testing.assert_close(maps.sum((1, 2)), logits - net.fc.bias[[1, 5, 7]], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(maps, cam, rtol=1e-10, atol=1e-12)


def test_grad_cam_by_hand():
    """Two channels, x and −x, behind ReLU; class 0 likes the first, class 1 the second."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net[0].weight.data = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 0, 0], image[0, 0, 3, 3] = 2.0, -2.0
    for target, (y, x) in enumerate([(0, 0), (3, 3)]):
        expected = torch.zeros(1, 4, 4)
        expected[0, y, x] = 1
        assert torch.equal(gradcam(net, image, target, "1"), expected)
        assert torch.equal(weighted_map(net, image, target, "1"), expected * 2 / 16)
    assert not gradcam(net, -image.abs(), 0, "1").any()                 # no channel speaks for it: 0 throughout


@pytest.mark.parametrize("explain", [
    saliency, gradcam, weighted_map, input_gradient, guided_backprop, smooth_gradient,
    lambda *a: integrated_gradients(*a, steps=4)], ids=lambda f: f.__name__)
def test_a_batch_is_explained_image_by_image(explain):
    net, batch = trained_like(MAPPED["cifar"]), images()
    if explain is smooth_gradient:                                      # its noise is drawn for the whole batch
        batch = batch[:1].repeat(3, 1, 1, 1)
        explain = lambda *a: smooth_gradient(*a, copies=3, noise=0.0)  # noqa: E731
    together = explain(net, batch, torch.tensor([2, 4, 6]))
    alone = torch.cat([explain(net, batch[n:n + 1], target) for n, target in enumerate((2, 4, 6))])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MAPPED)
def test_maps_have_the_size_of_the_image_and_reach_from_0_to_1(name):
    net, batch = trained_like(MAPPED[name]), images(size=28)
    for maps in (saliency(net, batch), gradcam(net, batch)):
        assert maps.shape == (3, 28, 28)
        torch.testing.assert_close(maps.amax((1, 2)), torch.ones(3).double())
        assert maps.min() >= 0


def test_no_target_means_the_answer_of_the_net():
    net, batch = trained_like(MAPPED["mobile"]), images()
    with torch.no_grad():
        answers = net(batch).argmax(1)
    for explain in (saliency, gradcam, guided_backprop, integrated_gradients, smooth_gradient):
        assert torch.equal(explain(net, batch), explain(net, batch, answers))


def test_smooth_gradient_of_a_linear_net_knows_no_noise_and_its_noise_is_that_of_its_seed():
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).double()
    batch = images(size=4)
    torch.testing.assert_close(smooth_gradient(linear, batch, 1), input_gradient(linear, batch, 1))
    net = trained_like(MAPPED["residual"])
    a, b, c = (smooth_gradient(net, images(), 1, copies=4, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(a, b) and not torch.allclose(a, c)


def test_smooth_gradient_of_a_parabola_averages_to_the_gradient_and_its_spread_is_that_of_the_noise():
    """∂(x²)/∂x = 2x, so one noisy copy has a gradient of deviation 2·noise·range, and n of them /√n."""
    class Square(nn.Module):
        def forward(self, x):
            return torch.stack([x.square().flatten(1).sum(1), 0 * x.flatten(1).sum(1)], 1)

    batch = 5 * images(n=1, size=40)
    spread = 0.3 * (batch.max() - batch.min())
    for copies in (1, 16):
        off = smooth_gradient(Square(), batch, 0, copies=copies, noise=0.3) - 2 * batch
        assert off.std().item() == pytest.approx(2 * spread.item() / copies ** 0.5, rel=0.1)


def test_integrated_gradients_are_complete_to_five_percent_as_their_paper_asks():
    """[Sundararajan et al. 2017, §5].  The gradient itself is not."""
    net, batch = trained_like(MAPPED["plain"]), images()
    assert completeness(net, batch, 3, integrated_gradients(net, batch, 3)).max() < 0.05
    assert completeness(net, batch, 3, input_gradient(net, batch, 3)).min() > 0.05


def test_the_midpoint_rule_errs_by_the_square_of_its_step_on_a_smooth_net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, 2)).double()
    batch = 2 * images(size=8)
    gaps = [completeness(net, batch, 1, integrated_gradients(net, batch, 1, steps=steps)) for steps in (16, 32, 64)]
    for coarse, fine in zip(gaps, gaps[1:]):
        torch.testing.assert_close(coarse / fine, torch.full((3,), 4.0).double(), rtol=0.02, atol=0)


def test_a_quadratic_net_is_integrated_exactly_from_any_baseline():
    class Square(nn.Module):
        def forward(self, x):
            return torch.stack([x.square().flatten(1).sum(1), x.flatten(1).sum(1)], 1)

    batch, start = images(), images(seed=9)
    found = integrated_gradients(Square(), batch, 0, baseline=start, steps=1)
    torch.testing.assert_close(found, batch.square() - start.square())
    assert completeness(Square(), batch, 0, found, start).max() < 1e-12


def test_guided_backprop_lets_no_negative_gradient_through_a_relu():
    """logit = relu(a) − relu(b) with a, b > 0: the gradient is (1, −1), guided (1, 0)."""
    net = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(2, 1, bias=False))
    net[2].weight.data = torch.tensor([[1.0, -1.0]])
    image = torch.tensor([[[[3.0, 5.0]]]])
    assert input_gradient(net, image, 0).flatten().tolist() == [1, -1]
    assert guided_backprop(net, image, 0).flatten().tolist() == [1, 0]


# the published programs

def peer(name):
    package = name.split(".")[0]
    return pytest.importorskip(name, reason=f"{package} is what we compare with: pip install --no-deps {package}")


@pytest.mark.parametrize("name", MAPPED)
def test_gradients_equal_those_of_captum(name):
    attr = peer("captum.attr")
    net, batch, target = trained_like(MAPPED[name]), images(), torch.tensor([1, 5, 7])
    theirs = attr.Saliency(net).attribute(batch.clone().requires_grad_(), target)
    torch.testing.assert_close(input_gradient(net, batch, target).abs(), theirs, rtol=1e-6, atol=1e-12)
    theirs = attr.IntegratedGradients(net).attribute(batch.clone().requires_grad_(), 0.0, target, n_steps=16,
                                                     method="riemann_middle")
    ours = integrated_gradients(net, batch, target, steps=16)
    torch.testing.assert_close(ours, theirs.to(ours), rtol=1e-6, atol=1e-6 * theirs.abs().max().item())


@pytest.mark.parametrize("name", MAPPED)
@pytest.mark.filterwarnings("ignore:Setting backward hooks")
def test_guided_backprop_equals_that_of_captum(name):
    attr = peer("captum.attr")
    net, batch, target = trained_like(MAPPED[name]), images(), torch.tensor([1, 5, 7])
    theirs = attr.GuidedBackprop(net).attribute(batch.clone().requires_grad_(), target)
    torch.testing.assert_close(guided_backprop(net, batch, target), theirs, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("make, layers", [
    (MAPPED["residual"], ["layer1", "layer2", "layer2.0.conv2", "layer1.0.relu1"]),
    (MAPPED["bottleneck"], ["layer2", "layer1.0.conv2"]),
    (MAPPED["cifar"], ["layer1", "layer2", "layer3", "conv1"]),
    (MAPPED["mobile"], ["features.3", "features.12"]),
    (lambda: AlexNet(form="cifar"), ["conv1", "pool2", "relu5"]),
    (lambda: LeNet(shape=(3, 32, 32)), ["conv1", "relu2"]),
])
def test_maps_of_any_layer_equal_those_of_captum(make, layers):
    attr = peer("captum.attr")
    net, batch, target = trained_like(make), images(), torch.tensor([1, 5, 7])
    for layer in layers:
        theirs = attr.LayerGradCam(net, net.get_submodule(layer)).attribute(batch.clone(), target)[:, 0]
        torch.testing.assert_close(weighted_map(net, batch, target, layer), theirs, rtol=1e-6, atol=1e-12)


@pytest.fixture(scope="module")
def pytorch_grad_cam():
    """The package's own class and hooks.  Where ttach, torchvision or sklearn are missing, which this path never
    calls, an empty module stands in for the import statement."""
    spec = importlib.util.find_spec("pytorch_grad_cam")
    if spec is None:
        pytest.skip("pytorch_grad_cam is the program to compare with: pip install --no-deps grad-cam")
    pytest.importorskip("cv2", reason="grad-cam resizes by cv2")
    stand_ins = {
        "ttach": {name: lambda *a, **k: None for name in ("Compose", "HorizontalFlip", "Multiply")},
        "sklearn": {}, "sklearn.decomposition": {"KernelPCA": None},
        "torchvision": {}, "torchvision.transforms": {name: None for name in ("Compose", "Normalize", "ToTensor")}}
    before = set(sys.modules)
    missing = {name for name in stand_ins if importlib.util.find_spec(name.split(".")[0]) is None}
    package = types.ModuleType("pytorch_grad_cam")                # its __init__ imports every variant that it has
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["pytorch_grad_cam"] = package
    for name in missing:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(stand_ins[name])
    yield importlib.import_module("pytorch_grad_cam.grad_cam").GradCAM
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("name", MAPPED)
def test_grad_cam_equals_that_of_pytorch_grad_cam(name, pytorch_grad_cam):
    """Theirs is resized in float32 and adds 1e-7 to the maximum that it divides by: larger logits make that less."""
    net, batch = trained_like(MAPPED[name]), images(n=6)
    net.fc.weight.data *= 1e5
    targets = [1, 5, 7, 0, 2, 9]
    chosen = [lambda logits, target=target: logits[target] for target in targets]
    compared = 0
    for layer in [net.cam_layer, {"mobile": "features.4", "cifar": "layer2"}.get(name, "layer1")]:
        with pytorch_grad_cam(net, [net.get_submodule(layer)]) as program:
            theirs = torch.from_numpy(program(batch, chosen))
        ours = gradcam(net, batch, targets, layer)
        peak = weighted_map(net, batch, targets, layer).clamp(min=0).amax((1, 2))
        for n in range(6):
            if peak[n] > 1:                                       # a map without a positive value is 0 in both
                torch.testing.assert_close(ours[n].float(), theirs[n], rtol=0, atol=1e-6)
                compared += 1
            else:
                assert peak[n] == 0 and not ours[n].any() and not theirs[n].any()
    assert compared >= 6


# what users of those programs reported, a test a thread

class Tangled(nn.Module):
    """One ReLU, in place, used three times; convolutions in a net in a net; one ReLU called as a function."""

    def __init__(self, inplace=True, reused=True):
        super().__init__()
        torch.manual_seed(4)
        block = nn.Module()
        block.first, block.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.body = nn.ModuleDict({"block": block})
        relus = [nn.ReLU(inplace)] * 3 if reused else [nn.ReLU(inplace) for _ in range(3)]
        self.relu0, self.relu1, self.relu2 = relus
        self.fc1, self.fc2 = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        x = self.relu0(self.body["block"].first(x))
        x = self.relu1(self.body["block"].second(x)).mean((2, 3))
        return self.fc2(F.relu(self.relu2(self.fc1(x)) - 0.01))


EXPLAIN = {                          # the net to explain may lie inside another
    "saliency": lambda net, x, inside="": input_gradient(net, x, 2),
    "grad-cam": lambda net, x, inside="": weighted_map(net, x, 2, f"{inside}body.block.second"),
    "grad-cam, first": lambda net, x, inside="": weighted_map(net, x, 2, f"{inside}body.block.first"),
    "guided": lambda net, x, inside="": guided_backprop(net, x, 2),
    "integrated": lambda net, x, inside="": integrated_gradients(net, x, 2, steps=4),
}


@pytest.fixture(scope="module")
def plain_answers():
    """What the untangled net, no ReLU in place and none shared, is explained by."""
    net = Tangled(inplace=False, reused=False).double()
    return {name: explain(net, images()) for name, explain in EXPLAIN.items()}


@pytest.mark.parametrize("name", EXPLAIN)
@pytest.mark.parametrize("inplace, reused", [(True, False), (False, True), (True, True)])
def test_relus_in_place_and_reused_change_no_map(name, inplace, reused, plain_answers):
    """captum#156, #199, #578, #914."""
    found = EXPLAIN[name](Tangled(inplace, reused).double(), images())
    torch.testing.assert_close(found, plain_answers[name])


def test_the_last_call_of_a_reused_module_is_the_one_that_counts():
    alone = weighted_map(nn.Sequential(*(c := [nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 3), nn.ReLU(),
                                               nn.Flatten(), nn.LazyLinear(4)])).double(), images(), 2, "3")
    shared = nn.Sequential(c[0], c[1], c[2], c[1], c[4], c[5])
    torch.testing.assert_close(weighted_map(shared, images(), 2, c[1]), alone)


@pytest.mark.parametrize("name", EXPLAIN)
def test_no_grad_and_inference_mode_around_change_no_map(name, plain_answers):
    """grad-cam#80, #187, #381, #473: element 0 of tensors does not require grad."""
    net = Tangled().double()
    for off in (torch.no_grad, torch.inference_mode):
        with off():
            found = EXPLAIN[name](net, images())
            assert not torch.is_grad_enabled()
        torch.testing.assert_close(found, plain_answers[name])


@pytest.mark.parametrize("name", EXPLAIN)
def test_frozen_parameters_change_no_map(name, plain_answers):
    """MONAI#3035, grad-cam#473."""
    net = Tangled().double().requires_grad_(False)
    torch.testing.assert_close(EXPLAIN[name](net, images()), plain_answers[name])
    assert not any(parameter.requires_grad for parameter in net.parameters())


@pytest.mark.parametrize("name", EXPLAIN)
def test_a_net_inside_nets_is_explained_alike(name, plain_answers):
    """tensorflow#44462, tf-keras-vis#36, #63."""
    outer = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity(), Tangled().double()))
    torch.testing.assert_close(EXPLAIN[name](outer, images(), inside="1.1."), plain_answers[name])
    if name.startswith("grad-cam"):
        with pytest.raises(ValueError, match="layer 'body.block.(first|second)' is unknown: use one of"):
            EXPLAIN[name](outer, images())


def test_a_layer_may_be_given_as_a_module_of_the_net_but_of_no_other():
    net = Tangled().double()
    inner = net.body["block"].second
    assert torch.equal(weighted_map(net, images(), 2, inner), EXPLAIN["grad-cam"](net, images()))
    with pytest.raises(ValueError, match="layer Conv2d is no module of this model"):
        weighted_map(net, images(), 2, nn.Conv2d(3, 6, 3))


@pytest.mark.parametrize("name", EXPLAIN)
@pytest.mark.parametrize("last", [nn.Softmax(1), nn.LogSoftmax(1)], ids=["softmax", "log-softmax"])
def test_probabilities_are_refused(name, last):
    """keras-io#370, deep-learning-with-python#107; keras#5881: zero gradients behind a sure softmax."""
    net = nn.Sequential(Tangled().double(), last)
    with pytest.raises(ValueError, match="probabilities, not logits: take its softmax off"):
        EXPLAIN[name](net, images(), inside="0.")


def test_tokens_of_a_transformer_are_no_map_and_the_message_says_what_is():
    """grad-cam#76, #363, #513."""
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch, self.mix, self.head = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x):
            return self.head(self.mix(self.patch(x).flatten(2).transpose(1, 2)).mean(1))

    net = Tokens().double()
    with pytest.raises(ValueError, match=r"layer 'mix' puts out \(3, 16, 8\), no map .*: name a convolution"):
        gradcam(net, images(), 1, "mix")
    assert gradcam(net, images(), 1, "patch").shape == (3, 32, 32)
    assert torch.equal(gradcam(net, images(), 1, "patch"), gradcam(net, images(), 1))


def resident():
    """Bytes of memory that the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc, which Linux has")
@pytest.mark.parametrize("name", ["saliency", "grad-cam", "guided"])
def test_memory_stays_flat_over_a_thousand_calls(name):
    """grad-cam#78, #195, kazuto1011/grad-cam-pytorch#36.  One kept graph of this net is 60 kB, a thousand 60 MB."""
    net, batch = Tangled(), images(n=2, size=24).float()
    for _ in range(100):
        EXPLAIN[name](net, batch)
    before = resident()
    for _ in range(1000):
        EXPLAIN[name](net, batch)
    assert resident() - before < 8e6


@pytest.mark.parametrize("name", [*EXPLAIN, "deletion"])
def test_nothing_of_the_model_is_changed(name):
    net = nn.Sequential(Tangled(), nn.BatchNorm1d(4), nn.Dropout(0.9)).double().train()
    net[0].fc1.eval()
    batch = images().requires_grad_()
    explain = EXPLAIN.get(name, lambda net, x, inside: deletion(net, x, torch.tensor([1, 2, 3]), x[:, 0]))
    before = copy.deepcopy(net.state_dict())
    first = explain(net, batch, inside="0.")
    assert torch.equal(first, explain(net, batch, inside="0."))                  # no dropout
    assert not first.requires_grad
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert net.training and net[1].training and not net[0].fc1.training
    assert all(not m._forward_hooks and not m._backward_hooks for m in net.modules())
    assert all(p.grad is None and p.requires_grad for p in net.parameters()) and batch.grad is None


def test_a_failed_call_leaves_no_hook_either():
    net = Tangled().double().train()
    with pytest.raises(ValueError, match="target=4 is no class"):
        gradcam(net, images(), 4, "body.block.second")
    assert all(not module._forward_hooks for module in net.modules()) and net.training


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.unused, self.fc = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)).detach())


@pytest.mark.parametrize("explain, message", [
    (lambda n, x: gradcam(n, x[0], 1), r"images has the shape \(3, 32, 32\).*images\[None\]"),
    (lambda n, x: saliency(n, x * float("nan"), 1), "NaN or inf"),
    (lambda n, x: saliency(n, x, [1, 2]), r"target has the shape \(2,\) for 3 images"),
    (lambda n, x: saliency(n, x, -1), "target=-1 is no class: the model has 4"),
    (lambda n, x: saliency(n, x, 1.5), "target=1.5 must be whole numbers"),
    (lambda n, x: gradcam(n, x, 1, "body.nope"), "layer 'body.nope' is unknown: use one of body"),
    (lambda n, x: gradcam(n, x, 1, "fc2"), r"layer 'fc2' puts out \(3, 4\), no map"),
    (lambda n, x: gradcam(Cut().double(), x, 1, "unused"), "layer 'unused' is not called"),
    (lambda n, x: gradcam(Cut().double(), x, 1, "conv"), "detaches, or runs under torch.no_grad"),
    (lambda n, x: saliency(Cut().double(), x, 1), "detaches, or runs under torch.no_grad"),
    (lambda n, x: saliency(nn.Conv2d(3, 4, 3).double(), x, 1), r"answers with \(3, 4, 30, 30\), not \(B, classes\)"),
    (lambda n, x: smooth_gradient(n, x, 1, copies=0), "copies=0"),
    (lambda n, x: integrated_gradients(n, x, 1, steps=0), "steps=0"),
    (lambda n, x: guided_backprop(Cut().double(), x, 1), "calls no ReLU"),
    (lambda n, x: gradcam(nn.Sequential(nn.Flatten(), nn.Linear(3072, 4)).double(), x, 1), "nothing to weigh"),
    (lambda n, x: deletion(n, x, torch.tensor([0, 0, 0]), x), r"maps has the shape \(3, 3, 32, 32\)"),
    (lambda n, x: overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5))), r"picture is \(4, 4\), its map \(4, 5\)"),
])
def test_what_cannot_be_explained_is_an_error_that_names_the_remedy(explain, message):
    with pytest.raises(ValueError, match=message):
        explain(Tangled().double(), images())


def test_bytes_are_no_images():
    with pytest.raises(TypeError, match="images is a torch.uint8: give a tensor of floats"):
        saliency(Tangled(), torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_the_layer_taken_by_default_is_the_last_that_has_a_map():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)).double()
    assert torch.equal(gradcam(net, images(), 1), gradcam(net, images(), 1, "1"))


# what a map must pass

def test_rank_correlation_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats", reason="scipy is the oracle here: pip install scipy")
    a, b = images(n=2).flatten(1), images(n=2, seed=8).flatten(1)
    a, b = (a * 20).round(), (b * 20 + a * 9).round()                   # with many ties
    for n in range(2):
        assert rank_correlation(a, b)[n].item() == pytest.approx(stats.spearmanr(a[n], b[n]).statistic, abs=1e-12)
    assert rank_correlation(a, torch.zeros_like(a)).tolist() == [0, 0]


def test_the_cascade_draws_weights_anew_from_the_last_layer_to_the_first_and_keeps_their_scale():
    net = trained_like(MAPPED["residual"])
    before = copy.deepcopy(net.state_dict())
    weights = [name.removesuffix(".weight") for name in before if name.endswith(".weight")]
    for number, (name, random) in enumerate(cascade(net)):
        assert name == weights[-1 - number]
        for key, value in random.state_dict().items():
            if key.rpartition(".")[0] in weights[:len(weights) - 1 - number]:
                assert torch.equal(value, before[key])
        drawn, trained = random.get_submodule(name).weight.flatten(), before[f"{name}.weight"].flatten()
        if len(trained.unique()) > 1:                                    # else the scales of an untrained batch norm
            assert abs(rank_correlation(drawn[None], trained[None]).item()) < 0.35
            assert drawn.std().item() == pytest.approx(trained.std().item(), rel=4 * len(drawn) ** -0.5)
    assert number == len(weights) - 1
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


@pytest.fixture(scope="module")
def photographs():
    net = SqueezeNet.imagenet()
    batch = torch.cat([net.input.tensor(net.input.square(photo(name))) for name in NAMES])
    return net, batch, torch.tensor([class_number(name) for name in NAMES.values()])


EARLY = "features.4.expand3x3"                        # all of SqueezeNet but its first six convolutions is random


def correlation(photographs, explain, layer):
    """Mean over photographs and three draws of the rank correlation with the trained net's map."""
    net, batch, target = photographs
    runs = [randomisation(net, batch, target, explain, seed, at=[layer])[layer] for seed in range(3)]
    return torch.stack(runs).mean().item()


def test_saliency_and_grad_cam_depend_on_what_the_net_has_learnt(photographs):
    """captum#359."""
    assert abs(correlation(photographs, input_gradient, EARLY)) < 0.1
    assert abs(correlation(photographs, weighted_map, "features.0")) < 0.2


def test_guided_backprop_fails_where_the_gradient_passes(photographs):
    """[Adebayo et al. 2018, fig. 2]: with random weights in all but the first layers its map is almost what it was."""
    assert correlation(photographs, guided_backprop, "classifier.1") > 0.9
    assert correlation(photographs, guided_backprop, EARLY) > 0.5


def test_a_map_of_the_image_alone_keeps_its_correlation_of_one(photographs):
    """The check can fail: an edge detector, which knows no net, goes through it unchanged."""
    edges = lambda net, x, target: (x[:, :, 1:, 1:] - x[:, :, :-1, :-1]).abs().sum(1)  # noqa: E731
    assert correlation(photographs, edges, "features.0") == pytest.approx(1)


def test_deletion_and_insertion_prefer_a_map_that_is_true():
    """A net that reads one corner: by a map of the corner the answer goes at once, by its opposite at last."""
    class Corner(nn.Module):
        def forward(self, x):
            seen = x[:, 0, :8, :8].abs().sum((1, 2)) * 0.05
            return torch.stack([seen, 0 * seen], 1)

    board = 1 - 2 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2).float()         # a blur makes it grey
    batch, target = board.expand(2, 3, 32, 32), torch.tensor([0, 0])
    truth = torch.zeros(2, 32, 32)
    truth[:, :8, :8] = 1
    noise = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0))
    for measure, worth in ((deletion, -1), (insertion, 1)):
        by_truth, by_noise, by_opposite = (area(measure(Corner(), batch, target, maps, steps=16))
                                           for maps in (truth, noise, -truth))
        assert (worth * (by_truth - by_noise) > 0.05).all() and (worth * (by_noise - by_opposite) > 0.05).all()
    whole = torch.full((2,), 3.2).sigmoid()                              # 64 pixels of 0.05
    removed, put = (measure(Corner(), batch, target, truth, steps=16) for measure in (deletion, insertion))
    assert removed.shape == (2, 17)
    torch.testing.assert_close(removed[:, 0], whole)
    assert (removed[:, 1:] == 0.5).all()                                 # the corner is 1/16 of the image: one step
    torch.testing.assert_close(put[:, 1:], whole[:, None].expand(2, 16), rtol=0, atol=0.01)
    assert (put[:, 0] < 0.55).all()


def test_a_blur_keeps_the_mean_of_a_wave_that_fits_and_lowers_it_by_the_gaussian():
    x = torch.arange(96, dtype=torch.float64)
    wave = torch.cos(2 * np.pi * (x + 0.0) / 24).expand(1, 2, 96, 96)
    inner = blur(wave, 3.0)[..., 30:66, 30:66]
    torch.testing.assert_close(inner, wave[..., 30:66, 30:66] * np.exp(-(2 * np.pi * 3 / 24) ** 2 / 2),
                               rtol=0, atol=5e-3)
    assert torch.equal(blur(torch.full((1, 3, 20, 20), 2.0), 2.0).round(decimals=5), torch.full((1, 3, 20, 20), 2.0))


# the pictures and the commands

def test_an_overlay_leaves_the_picture_where_the_map_is_zero_and_colours_it_where_it_is_one():
    picture = np.full((1, 2, 3), 100, np.uint8)
    mixed = overlay(picture, np.array([[0.0, 1.0]]), most=1.0)
    assert mixed[0, 0].tolist() == [100, 100, 100] and mixed[0, 1].tolist() == [252, 255, 164]
    grey = colours(np.linspace(0, 1, 50)[None]) @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(grey[0]) > 0).all()                                 # brighter is more, for everybody


def test_a_stretched_map_shows_what_a_few_large_values_would_hide():
    values = np.r_[np.linspace(0, 0.01, 199), 1.0].reshape(20, 10)
    shown = stretched(values)
    assert np.median(values) < 0.01 and 0.45 < np.median(shown) < 0.55 and shown.max() == 1
    assert (np.argsort(shown.flat, kind="stable")[:190] == np.arange(190)).all()
    assert not stretched(np.zeros((4, 4))).any()


def cnnlab(*arguments):
    parser = argparse.ArgumentParser(prog="cnnlab")
    subparsers = parser.add_subparsers(required=True)
    add_saliency(subparsers)
    add_gradcam(subparsers)
    options = parser.parse_args([str(argument) for argument in arguments])
    return options.run(options)


@pytest.mark.parametrize("command", [
    ("gradcam", "chelsea"), ("gradcam", "coffee", "--layer", "features.7", "--class", "cup"),
    ("saliency", "camera", "--method", "gradient"), ("saliency", "coffee", "--method", "guided")])
def test_a_command_writes_a_picture_and_says_what_it_explains(command, tmp_path, capsys):
    assert cnnlab(*command, "-o", tmp_path / "map.png", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["class"]["name"] == ("cup" if "cup" in command else NAMES[command[1]])
    assert found["top"][0]["name"] == NAMES[command[1]] and len(found["top"]) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]
    picture = np.asarray(Image.open(tmp_path / "map.png"))
    assert picture.shape == (227, 454, 3)
    assert np.array_equal(picture[:, :227], SqueezeNet.input.square(photo(command[1])))
    assert not np.array_equal(picture[:, :227], picture[:, 227:])


def test_a_command_explains_a_small_picture_by_the_net_of_cifar_10(tmp_path, capsys):
    Image.fromarray(photo("chelsea")).resize((48, 32)).save(tmp_path / "cat.png")
    for command in (("gradcam",), ("saliency", "--method", "integrated")):
        options = (tmp_path / "cat.png", "--model", "resnet8", "--class", "cat", "-o", tmp_path / "map.png", "--json")
        assert cnnlab(*command, *options) == 0
        assert json.loads(capsys.readouterr().out)["class"] | {"probability": 0} == {
            "number": 3, "name": "cat", "probability": 0}
        assert Image.open(tmp_path / "map.png").size == (64, 32)


def test_a_command_takes_a_file_and_writes_beside_where_it_runs(tmp_path, capsys, monkeypatch):
    Image.fromarray(photo("chelsea")).save(tmp_path / "my cat.png")
    monkeypatch.chdir(tmp_path)
    assert cnnlab("gradcam", tmp_path / "my cat.png") == 0
    assert "Egyptian cat" in capsys.readouterr().out and (tmp_path / "my cat-gradcam.png").exists()


def test_the_command_lists_layers_that_grad_cam_takes(capsys, photographs):
    net, batch, target = photographs
    assert cnnlab("gradcam", "chelsea", "--layers") == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"features.0", "features.12.expand3x3", "classifier.1"} <= set(names)
    assert gradcam(net, batch[:1], target[:1], names[-1]).shape == (1, 227, 227)


@pytest.mark.parametrize("command, message", [
    (("gradcam", "nowhere.jpg"), "cnnlab gradcam: nowhere.jpg: no such file"),
    (("gradcam", "chelsea", "--class", "unicorn"), "class 'unicorn' is unknown"),
    (("gradcam", "chelsea", "--layer", "layer4"), "layer 'layer4' is unknown: use one of features"),
    (("saliency", "chelsea", "--weights", "x.pth"), "belongs to --model vgg16: the other"),
    (("saliency", "chelsea", "--model", "vgg16", "--weights", "x.pth"), "x.pth: no such file"),
    (("saliency", "chelsea", "-o", "/nowhere/at/all.png"), "cannot be written"),
])
def test_a_command_that_fails_says_why_in_one_line_and_writes_nothing(command, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cnnlab(*command) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_commands_are_known_before_torch_is_imported():
    import subprocess

    code = ("import argparse, sys; from cnn.explain.commands import add_gradcam, add_saliency; "
            "s = argparse.ArgumentParser().add_subparsers(); add_gradcam(s); add_saliency(s); "
            "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'PIL')))")
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent).returncode == 0


# the pages

def page(name, results):
    root = Path(__file__).parent.parent / "docs"
    return (root / f"{name}.md").read_text("utf-8"), json.loads((root / f"results/cnn_{results}.json").read_text())


def two(value):
    """Two digits, with a minus that is one."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def test_the_numbers_of_the_page_on_grad_cam_are_those_of_its_results():
    text, found = page("gradcam", "gradcam")
    for name, row in found["curves"].items():
        assert f"| {name} | {np.mean(row['deletion']):.3f} | {np.mean(row['insertion']):.3f} |" in text
    for name, row in found["randomisation"].items():
        shown = [two(row["mean"][layer]) for layer in ("classifier.1", EARLY, "features.0")]
        assert f"| {name} | {' | '.join(shown)} |" in text
    for row in found["photographs"].values():
        assert all(f"{part} {density:.1f}" in text for part, density in row["density"].items())


def test_the_numbers_of_the_page_on_saliency_are_those_of_its_results():
    text, found = page("saliency", "saliency")
    assert f"{100 * found['cifar_net']['test_accuracy']:.1f} %" in text
    for row in found["images"]:
        assert (f"| {row['number']} | {row['label']} | {row['squeezenet']} {row['squeezenet_p']:.2f} | "
                f"{row['resnet8']} {row['resnet8_p']:.2f} |") in text
    for name, row in page("saliency", "labels")[1]["rank_correlation"].items():
        method, kind = name.split(", ")
        compared = {"signed": "with its sign", "shown": "as shown"}[kind]
        assert f"| {method} | {compared} | {two(row['two true'])} | {two(row['true and shuffled'])} |" in text
