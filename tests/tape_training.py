"""The nets of cnn.tape.nets again in torch, and batches to train both on."""
from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cnn.tape import Tensor, functions, optimisers
from pysift.photos import names, photo


class TorchBottleneck(nn.Module):
    """x + body(x), then ReLU."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.body = nn.Sequential(*normed(inputs, width, 1), nn.ReLU(), *normed(width, width, 3, stride=stride),
                                  nn.ReLU(), *normed(width, 4 * width, 1))
        same = inputs == 4 * width and stride == 1
        self.shortcut = nn.Sequential() if same else nn.Sequential(*normed(inputs, 4 * width, 1, stride=stride))

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


def normed(inputs, outputs, kernel, **how):
    return (nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **how), nn.BatchNorm2d(outputs))


def torch_lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def torch_resnet():
    return nn.Sequential(
        *normed(3, 8, 3), nn.ReLU(), TorchBottleneck(8, 8, 1), TorchBottleneck(32, 8, 1),
        TorchBottleneck(32, 16, 2), TorchBottleneck(64, 16, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def torch_mobilenet():
    layers = [*normed(3, 8, 3, stride=2), nn.ReLU()]
    for inputs, outputs, stride in ((8, 8, 1), (8, 16, 2), (16, 16, 1)):
        layers += [*normed(inputs, inputs, 3, stride=stride, groups=inputs), nn.ReLU(),
                   *normed(inputs, outputs, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def crops(size, channels, count, seed):
    """Cut squares out of photographs: (count, channels, size, size) in [−1, 1]; the label says out of which."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(names()), count)
    photos = [photo(name) / 127.5 - 1 for name in names()]
    x = np.empty((count, channels, size, size))
    for n, label in enumerate(labels):
        top, left = (rng.integers(0, length - size) for length in photos[label].shape[:2])
        x[n] = photos[label][top:top + size, left:left + size, :channels].transpose(2, 0, 1)
    return x, labels


def mnist(folder, count):
    """Read the first images of MNIST in its own format: (count, 1, 28, 28) in [−1, 1], labels."""
    def values(name, skip):
        return np.frombuffer(gzip.decompress((Path(folder) / "mnist" / name).read_bytes())[skip:], np.uint8)

    images = values("train-images-idx3-ubyte.gz", 16)[:count * 784].reshape(count, 1, 28, 28)
    return images / 127.5 - 1, values("train-labels-idx1-ubyte.gz", 8)[:count].astype(np.int64)


def load_torch(net, state):
    """Give a net of torch the state of one of the tape; torch alone counts batches."""
    mine = net.state_dict()
    net.load_state_dict(mine | {name: torch.tensor(array) for name, array in state.items()})
    assert {name for name in mine if "num_batches" not in name} == set(state)


def train_tape(net, optimiser, x, labels, batches):
    """Return the loss of each step."""
    losses = []
    for batch in batches:
        net.zero_grad()
        loss = functions.cross_entropy(net(Tensor(x[batch])), labels[batch])
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return np.array(losses)


def train_torch(net, optimiser, x, labels, batches):
    """Return the loss of each step."""
    losses = []
    for batch in batches:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(torch.tensor(x[batch])), torch.tensor(labels[batch]))
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return np.array(losses)


OPTIMISERS = {
    "sgd": (lambda net, rate: optimisers.SGD(net.parameters().values(), rate, 0.9, 5e-4),
            lambda net, rate: torch.optim.SGD(net.parameters(), rate, 0.9, weight_decay=5e-4)),
    "adam": (lambda net, rate: optimisers.Adam(net.parameters().values(), 1e-3),
             lambda net, rate: torch.optim.Adam(net.parameters(), 1e-3)),
}
