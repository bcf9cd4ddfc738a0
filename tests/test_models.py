"""The nets: parameters and shapes as published, torch's own counters as oracles, and what each block must obey."""
import hashlib
import http.server
import io
import pickle
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnn.models import (
    MODELS,
    VGG16,
    AlexNet,
    BottleneckResNet,
    CifarResNet,
    LeNet,
    MobileNet,
    PlainCNN,
    ResNet18,
    SimpleCNN,
    SqueezeNet,
    build,
    count,
    summary,
)
from cnn.models.cifar_resnet import PadShortcut
from cnn.models.imagenet import class_names, class_number
from cnn.models.pictures import Input
from cnn.models.resnet import Basic, Stage
from cnn.models.rows import SameMaxPool
from cnn.models.summary import table, weighted_layers
from cnn.models.weights import load_torchvision
from cnn.photos import NAMES, photo

# name → how it is made, shape of an image, parameters.  Counts: Keras for the LeNet, torchvision for ResNet-18, VGG16
# and SqueezeNet, He et al. (0.27 M, 0.85 M) for the CIFAR family, MobileNetV1's 4.2 M; the rest added up by hand.
NETS = {
    "LeNet":             (LeNet, (1, 28, 28), 44_426),
    "SimpleCNN":         (SimpleCNN, (3, 64, 64), 448 + 4_640 + 8_192 * 5 + 5),
    "AlexNet same":      (AlexNet, (3, 32, 32), 21_622_154),
    "AlexNet cifar":     (lambda: AlexNet(form="cifar"), (3, 32, 32),
                          21_622_154 - 96 * 3 * (121 - 25) + 3 * 256 * 4096),
    "ResNet-18":         (ResNet18, (3, 32, 32), 11_181_642),
    "ResNet-18 3×3":     (lambda: ResNet18(stem="3x3"), (3, 32, 32), 11_173_962),
    "bottleneck":        (BottleneckResNet, (3, 32, 32), 13_966_666),
    "plain":             (PlainCNN, (3, 32, 32), 11_181_642 - 64 * 128 - 128 * 256 - 256 * 512 - 2 * 896),
    "ResNet-20":         (CifarResNet, (3, 32, 32), 269_722),
    "ResNet-56":         (lambda: CifarResNet(56), (3, 32, 32), 853_018),
    "plain-20":          (lambda: CifarResNet(shortcuts=False), (3, 32, 32), 269_722),
    "plain-56":          (lambda: CifarResNet(56, shortcuts=False), (3, 32, 32), 853_018),
    "MobileNet":         (MobileNet, (1, 28, 28), 3_216_650),
    "MobileNet ¼":       (lambda: MobileNet(width=0.25), (1, 28, 28), 215_498),
    "MobileNet plain":   (lambda: MobileNet(separable=False), (1, 28, 28), 28_278_762),
    "MobileNet plain ¼": (lambda: MobileNet(width=0.25, separable=False), (1, 28, 28), 1_771_650),
    "MobileNetV1":       (lambda: MobileNet(1000, channels=3, stem_stride=2), (3, 224, 224), 4_231_976),
    "SqueezeNet":        (SqueezeNet, (3, 227, 227), 1_235_496),
}


@pytest.fixture(scope="module")
def vgg():
    return VGG16()


@pytest.mark.parametrize("name", NETS)
def test_a_net_has_the_parameters_that_are_published(name):
    make, _, parameters = NETS[name]
    assert count(make()) == parameters


@pytest.mark.parametrize("name", NETS)
def test_a_net_ends_in_logits_and_every_parameter_moves_them(name):
    make, shape, _ = NETS[name]
    torch.manual_seed(0)
    net = make().train()
    logits = net(torch.rand(2, *shape))
    assert logits.shape[0] == 2 and logits.shape[1] in (5, 10, 1000)
    assert not torch.allclose(logits.sum(1), torch.ones(2), atol=1e-2)
    logits.square().sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


@pytest.mark.parametrize("name", NETS)
def test_multiply_adds_are_half_of_the_operations_that_torch_counts(name):
    make, shape, _ = NETS[name]
    net = make().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, *shape))
    layers = summary(net, shape)
    assert 2 * sum(layer.multiply_adds for layer in layers) == counter.get_total_flops()
    assert sum(layer.parameters for layer in layers) == count(net)


def test_vgg16_has_the_parameters_names_and_operations_of_torchvision(vgg):
    assert count(vgg) == 138_357_544
    convolutions = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    names = [f"features.{n}" for n in convolutions] + [f"classifier.{n}" for n in (0, 3, 6)]
    assert list(vgg.state_dict()) == [f"{name}.{part}" for name in names for part in ("weight", "bias")]
    assert vgg.state_dict()["classifier.0.weight"].shape == (4096, 25088)
    by_hand = sum(9 * a * b * side ** 2 for a, b, side in [
        (3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56), (256, 256, 56), (256, 256, 56),
        (256, 512, 28), (512, 512, 28), (512, 512, 28), (512, 512, 14), (512, 512, 14), (512, 512, 14)])
    by_hand += 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    assert sum(layer.multiply_adds for layer in summary(vgg, (3, 224, 224))) == by_hand


def test_a_thousand_classes_of_mobilenet_v1_cost_569_million_multiply_adds_as_its_paper_says():
    layers = summary(MobileNet(1000, channels=3, stem_stride=2), (3, 224, 224))
    assert round(sum(layer.multiply_adds for layer in layers) / 1e6) == 569


@pytest.mark.parametrize("make, depth", [
    (ResNet18, 18), (PlainCNN, 18), (BottleneckResNet, 26), (lambda: PlainCNN(bottleneck=True), 26), (VGG16, 16),
    *((lambda depth=depth: CifarResNet(depth), depth) for depth in (8, 14, 20, 32, 56)),
    (AlexNet, 8), (LeNet, 5)])
def test_a_net_has_the_weighted_layers_that_its_name_says(make, depth):
    with torch.device("meta"):
        assert weighted_layers(make()) == depth


def test_resnet_18_has_torchvisions_names():
    names = list(ResNet18().state_dict())
    assert names[:2] == ["conv1.weight", "bn1.weight"] and names[-2:] == ["fc.weight", "fc.bias"]
    assert {"layer1.0.conv1.weight", "layer2.0.downsample.0.weight", "layer4.1.bn2.running_var"} <= set(names)
    assert len(names) == 122                                               # 62 parameters, 60 buffers


def test_squeezenet_has_torchvisions_names():
    names = set(SqueezeNet().state_dict())
    assert len(names) == 52
    assert {"features.0.weight", "features.3.squeeze.weight", "features.12.expand3x3.bias",
            "classifier.1.weight"} <= names


def sides(net, shape):
    """Sides of the maps behind convolutions and poolings."""
    return [layer.output[1] for layer in summary(net, shape) if layer.name.startswith(("conv", "pool"))]


def test_lenet_sees_maps_of_24_12_8_and_4_pixels():
    assert sides(LeNet(), (1, 28, 28)) == [24, 12, 8, 4]


def test_alexnet_sees_the_maps_that_its_table_says():
    assert sides(AlexNet(), (3, 32, 32)) == [6, 3, 3, 2, 2, 2, 2, 1]
    assert sides(AlexNet(form="cifar"), (3, 32, 32)) == [16, 8, 8, 4, 4, 4, 4, 2]


def test_a_large_stem_leaves_resnet_one_pixel_of_32_and_a_small_one_four():
    for stem, sizes in (("7x7", [8, 4, 2, 1]), ("3x3", [32, 16, 8, 4])):
        layers = {layer.name: layer.output[-1] for layer in summary(ResNet18(stem=stem), (3, 32, 32))}
        assert [layers[f"layer{n}.1.conv2"] for n in (1, 2, 3, 4)] == sizes


def test_the_alexnet_of_the_task_cannot_be_built_as_written():
    with pytest.raises(ValueError, match="row 4, MaxPool.*gets a map of 2 × 2, smaller than its window"):
        AlexNet(form="written")
    written = nn.Sequential(nn.Conv2d(3, 96, 11, 4), nn.MaxPool2d(3, 2), nn.Conv2d(96, 256, 5, padding=2),
                            nn.MaxPool2d(3, 2))
    with pytest.raises(RuntimeError, match="[Oo]utput size is too small"):
        written(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize("n", range(1, 12))
@pytest.mark.parametrize("kernel, stride", [(3, 2), (2, 2), (3, 1), (5, 3)])
def test_same_pooling_takes_the_windows_that_tensorflow_defines(n, kernel, stride):
    x = torch.randn(1, 1, n, n, generator=torch.Generator().manual_seed(n)) - 5        # a rim of zeros would win
    size = -(-n // stride)
    before = max((size - 1) * stride + kernel - n, 0) // 2
    windows = [range(max(i * stride - before, 0), min(i * stride - before + kernel, n)) for i in range(size)]
    expected = torch.stack([torch.stack([x[0, 0][rows][:, columns].max() for columns in windows])
                            for rows in windows])
    assert torch.equal(SameMaxPool(kernel, stride)(x)[0, 0], expected)


def test_a_residual_block_whose_last_scale_is_zero_is_the_identity_and_a_plain_one_is_zero():
    x = torch.rand(2, 16, 8, 8)
    for shortcut, expected in ((nn.Identity(), x), (None, torch.zeros_like(x))):
        block = Basic(16, 16, 1, shortcut)
        nn.init.zeros_(block.bn2.weight)
        assert torch.equal(block(x), expected)


def test_option_a_takes_every_second_pixel_and_adds_channels_of_zeros():
    x = torch.rand(2, 3, 8, 8)
    y = PadShortcut(3, 8, 2)(x)
    assert y.shape == (2, 8, 4, 4)
    assert torch.equal(y[:, :3], x[:, :, ::2, ::2]) and not y[:, 3:].any()


def test_plain_and_residual_nets_of_one_depth_differ_by_the_sum_only():
    torch.manual_seed(0)
    residual, plain = CifarResNet(8), CifarResNet(8, shortcuts=False)
    plain.load_state_dict(residual.state_dict())
    x = torch.rand(2, 3, 32, 32)
    assert not torch.allclose(residual(x), plain(x))
    for module in residual.modules():
        if isinstance(module, Basic):
            module.downsample = None
    assert torch.equal(residual(x), plain(x))


def test_without_batch_norm_there_is_none_and_biases_take_its_place():
    net = CifarResNet(14, batch_norm=False)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert count(net) == count(CifarResNet(14)) - sum(module.num_features for module in CifarResNet(14).modules()
                                                     if isinstance(module, nn.BatchNorm2d))


@pytest.mark.parametrize("name", NETS)
def test_weights_start_with_the_variance_of_he(name):
    torch.manual_seed(0)
    for module in NETS[name][0]().modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.weight.numel() > 2000:
            summed = module.weight[0].numel()                 # what one output sums: 9 where each channel has its own
            spread = 4 * module.weight.numel() ** -0.5        # four standard errors of a standard deviation, and more
            assert module.weight.std().item() == pytest.approx((2 / summed) ** 0.5, rel=spread)
            assert module.bias is None or not module.bias.any()


@pytest.mark.parametrize("name", NETS)
def test_in_eval_mode_an_image_is_answered_alike_alone_and_in_company(name):
    make, shape, _ = NETS[name]
    torch.manual_seed(0)
    net, images = make().eval().double(), torch.rand(3, *shape, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(net(images)[1:2], net(images[1:2]), rtol=1e-9, atol=1e-9)


def test_a_summary_leaves_no_hook_and_no_changed_mode():
    net = ResNet18().train()
    net.layer1.eval()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    summary(net, (3, 32, 32))
    assert net.training and not net.layer1.training and net.layer2.training
    assert all(not module._forward_hooks for module in net.modules())
    assert all(torch.equal(before[name], buffer) for name, buffer in net.named_buffers())


def test_a_layer_that_is_called_twice_is_listed_twice_and_its_parameters_once():
    twice = nn.Linear(4, 4)
    layers = summary(nn.Sequential(twice, nn.ReLU(), twice), (4,))
    assert [layer.parameters for layer in layers] == [20, 0, 0]
    assert [layer.multiply_adds for layer in layers] == [16, 0, 16]
    assert table(layers).splitlines()[-1].split() == ["total", "20", "32"]


def test_smaller_nets_come_of_the_same_tables():
    small = BottleneckResNet(stages=(Stage(4, 1, 1), Stage(8, 1, 2)), stem="3x3")
    assert small(torch.zeros(2, 3, 16, 16)).shape == (2, 10) and count(small) < 10_000
    assert MobileNet(width=0.0625)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("make, message", [
    (lambda: build("lenet5"), "model 'lenet5' is unknown: use one of lenet"),
    (lambda: AlexNet(form="valid"), "form='valid' is unknown: use one of written, same, cifar"),
    (lambda: ResNet18(stem="5x5"), "stem='5x5' is unknown: use 7x7 or 3x3"),
    (lambda: CifarResNet(18), "depth=18 must be 6n . 2: 8, 14, 20"),
    (lambda: MobileNet(width=0.01), "width=0.01 leaves no channel"),
    (lambda: LeNet(shape=(1, 8, 8)), "row 2, MaxPool.*smaller than its window|row 3, Conv"),
    (lambda: photo("dog"), "photo 'dog' is unknown: use one of camera"),
    (lambda: class_number("esp"), "class 'esp' is unknown.*967 espresso"),
    (lambda: class_number("1000"), "class '1000' is unknown: give a number from 0 to 999"),
])
def test_what_cannot_be_built_is_an_error_that_names_the_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_every_model_of_the_command_line_is_built_by_its_name():
    with torch.device("meta"):
        assert all(isinstance(build(name), MODELS[name]) for name in MODELS)


# ImageNet

def functional_squeezenet(image):
    """The net anew from its file: caffe's order, kernels (H, W, in, out), blue first."""
    from importlib.resources import files

    with np.load(files("cnn") / "weights" / "squeezenet1_1_fp16.npz") as stored:
        weights = {name: torch.from_numpy(stored[name].astype(np.float32)) for name in stored}

    def conv(x, name, **options):
        return F.relu(F.conv2d(x, weights[f"{name}/kernel"].permute(3, 2, 0, 1), weights[f"{name}/bias"], **options))

    blue_first = image[:, :, ::-1].astype(np.float32) - np.float32([104, 117, 123])
    x = conv(torch.from_numpy(blue_first.transpose(2, 0, 1).copy())[None], "conv1", stride=2)
    for fire in range(2, 10):
        if fire in (2, 4, 6):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = conv(x, f"fire{fire}/squeeze1x1")
        x = torch.cat([conv(x, f"fire{fire}/expand1x1"), conv(x, f"fire{fire}/expand3x3", padding=1)], 1)
    return conv(x, "conv10").mean((2, 3))


def test_squeezenet_answers_as_its_file_read_anew():
    net = SqueezeNet.imagenet()
    square = net.input.square(photo("chelsea"))
    with torch.no_grad():
        torch.testing.assert_close(net(net.input.tensor(square)), functional_squeezenet(square), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_squeezenet_knows_what_the_photographs_show(name):
    net = SqueezeNet.imagenet()
    with torch.no_grad():
        assert class_names()[net(net.input.tensor(net.input.square(photo(name)))).argmax()] == NAMES[name]


def test_the_net_of_cifar_10_comes_with_the_statistics_and_names_of_its_data():
    """Mean and deviation of the training images, of 0 … 255, as every recipe for CIFAR-10 has them."""
    net = CifarResNet.cifar10()
    assert not net.training and len(net.names) == 10 and net.names[6] == "frog"
    np.testing.assert_allclose(net.input.mean, np.multiply(255, (0.4914, 0.4822, 0.4465)), atol=0.1)
    np.testing.assert_allclose(net.input.std, np.multiply(255, (0.2470, 0.2435, 0.2616)), atol=0.1)
    assert net.bn1.running_var.min() > 0 and net.bn1.num_batches_tracked > 1000        # it was trained


def test_there_are_a_thousand_names_and_each_number_is_found():
    assert len(class_names()) == 1000
    assert class_number("0") == 0 and class_number("tench") == 0 and class_number("999") == 999


def test_the_net_sees_the_middle_square_of_a_picture():
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60, 0] = 200                                             # the middle is red, the rest black
    whole = Input(side=20, mean=(0, 0, 0), std=(1, 1, 1), crop=1.0)
    assert np.array_equal(whole.square(picture)[..., 0], np.full((20, 20), 200, np.uint8))
    picture[:10] = picture[30:] = picture[:, :30] = picture[:, 50:] = 0
    assert whole._replace(crop=0.5).square(picture)[..., 0].min() == 200


def test_a_net_gets_red_first_its_mean_taken_off():
    squares = Input(side=2, mean=(10, 20, 30), std=(2, 4, 5), crop=1.0)
    tensor = squares.tensor(np.full((2, 2, 3), (12, 24, 35), np.uint8))
    assert torch.equal(tensor, torch.ones(1, 3, 2, 2))


@pytest.mark.parametrize("image, error, message", [
    ("nowhere.png", FileNotFoundError, "nowhere.png: no such file"),
    (__file__, OSError, "cannot be read as a picture"),
    (np.zeros((4, 4, 3), np.float32), ValueError, "type float32: give .*uint8"),
    (np.zeros((4, 4, 2), np.uint8), ValueError, r"shape \(4, 4, 2\)"),
])
def test_what_is_no_picture_is_named(image, error, message):
    with pytest.raises(error, match=message):
        SqueezeNet.input.square(image)


# torchvision's file, from a folder and over a real connection

def small():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 2))


def file_of(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


BODY = file_of({"0.weight": torch.arange(6.0).reshape(2, 3), "0.bias": torch.ones(2)})
SHA256 = hashlib.sha256(BODY).hexdigest()


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing.pth":
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:len(BODY) // 2] if self.path == "/cut.pth" else BODY)

    def log_message(self, *_):
        pass


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.setenv("SIFTGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_weights_come_from_an_address_once_and_then_from_the_cache(address, tmp_path):
    for place in (f"{address}/net.pth", "http://127.0.0.1:9/nobody-listens.pth"):
        net = small()
        load_torchvision(net, place, SHA256)
        assert net[0].weight.flatten().tolist() == [0, 1, 2, 3, 4, 5]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [SHA256]


@pytest.mark.parametrize("page, sha256, error, message", [
    ("net.pth", "0" * 64, ValueError, f"{SHA256}, not {'0' * 64}"),
    ("cut.pth", SHA256, OSError, "cut after"),
    ("missing.pth", SHA256, OSError, "404"),
    ("net.pth", None, ValueError, "pass the sha256"),
])
def test_a_failed_download_of_weights_says_why_changes_no_net_and_leaves_no_file_of_that_name(
        page, sha256, error, message, address, tmp_path):
    net = small()
    with pytest.raises(error, match=message):
        load_torchvision(net, f"{address}/{page}", sha256)
    assert torch.equal(net[0].weight, small()[0].weight)
    assert not [path for path in (tmp_path / "cache").glob("*") if path.suffix != ".part"]


def test_no_network_is_an_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("SIFTGRAD_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(OSError, match="127.0.0.1:9/net.pth: the download failed"):
        VGG16.imagenet("http://127.0.0.1:9/net.pth")


class Evil:
    def __reduce__(self):
        return print, ("this ran",)


@pytest.mark.parametrize("body, message", [
    (BODY[:100], "no file of tensors"),
    (b"", "no file of tensors"),
    (b"<html>", "no file of tensors"),
    (pickle.dumps(Evil(), 2), "no file of tensors"),
    (file_of([1, 2]), "holds a list, not a dict of tensors"),
    (file_of({"0.weight": torch.zeros(2, 3)}), "does not fit Sequential: it lacks 0.bias"),
    (file_of({"0.weight": torch.zeros(3, 2), "0.bias": torch.zeros(2)}), r"0.weight is \(3, 2\), not \(2, 3\)"),
    (file_of({"0.weight": torch.zeros(2, 3), "0.bias": torch.zeros(2), "1.x": torch.zeros(1)}), "has 1.x, which"),
])
def test_a_file_that_does_not_fit_is_refused_and_the_net_stays_as_it_was(body, message, tmp_path, capsys):
    (tmp_path / "net.pth").write_bytes(body)
    net = small()
    with pytest.raises(ValueError, match=message):
        load_torchvision(net, tmp_path / "net.pth", None)
    assert torch.equal(net[0].weight, small()[0].weight)
    assert "this ran" not in capsys.readouterr().out


def test_a_file_with_another_checksum_or_none_at_all_is_named(tmp_path):
    (tmp_path / "net.pth").write_bytes(BODY)
    load_torchvision(small(), tmp_path / "net.pth", SHA256.upper())
    with pytest.raises(ValueError, match="net.pth has the sha256 .*cut, damaged or another file"):
        load_torchvision(small(), tmp_path / "net.pth", "1" * 64)
    with pytest.raises(FileNotFoundError, match="other.pth: no such file"):
        load_torchvision(small(), tmp_path / "other.pth", SHA256)
