"""Measure and draw what docs/saliency.md says: python -m docs.saliency --data DIR (a quarter of an hour, one thread).

Five random images of CIFAR-10, on SqueezeNet with ImageNet's weights and on a ResNet-8 that is trained here on
CIFAR-10; and, on MNIST, what maps say of a net that was trained on shuffled labels.  Without --data both sets are
downloaded.
"""
from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from torch import nn

from cnn import data
from cnn.explain import gradcam, guided_backprop, saliency
from cnn.explain.gradients import flattened
from cnn.explain.sanity import rank_correlation
from cnn.models import CifarResNet, LeNet, SqueezeNet
from cnn.models.imagenet import class_names
from docs.leave import picture, result

SEED = 0
METHODS = {"gradient": saliency,
           "SmoothGrad": lambda *a: saliency(*a, smooth=32),
           "Grad-CAM": gradcam,
           "guided backprop": lambda *a: flattened(guided_backprop(*a))}


def main() -> None:
    """Everything, into one JSON and two pictures."""
    parser = argparse.ArgumentParser(prog="python -m docs.saliency", description=__doc__)
    parser.add_argument("--data", metavar="DIR", help="folder of MNIST and CIFAR-10")
    folder = parser.parse_args().data
    torch.set_num_threads(1)
    net, accuracy = cifar_net(folder)
    result("saliency", seed=SEED, cifar_net={"parameters": 78042, "epochs": 8, "test_accuracy": accuracy},
           images=five(net, folder), labels=labels(folder))


def train(net: nn.Module, images, labels, epochs: int, rate: float, flips: bool = False, batch: int = 128):
    """One-cycle AdamW; flips mirrors half of the images.  Returns the net in eval mode."""
    generator = torch.Generator().manual_seed(SEED)
    steps = epochs * -(-len(labels) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for epoch in range(epochs):
        net.train()
        for chosen in torch.randperm(len(labels), generator=generator).split(batch):
            x = images[chosen]
            if flips:
                mirrored = torch.rand(len(chosen), generator=generator) < 0.5
                x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
            optimiser.zero_grad()
            F.cross_entropy(net(x), labels[chosen]).backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {epochs}", flush=True)
    return net.eval()


@torch.no_grad()
def accuracy_of(net: nn.Module, images, labels) -> float:
    """Share of images whose largest logit is their label's."""
    right = [(net(x).argmax(1) == y).sum() for x, y in zip(images.split(1000), labels.split(1000))]
    return float(sum(right) / len(labels))


def read(name: str, part: str, folder: str | None):
    """Normalised images and labels."""
    found = data.load(name, part, folder)
    return data.normalise(found.images, data.SOURCES[name]), found.labels


def cifar_net(folder: str | None) -> tuple[nn.Module, float]:
    """ResNet-8 of He's family, trained on the training part; its accuracy on the test part."""
    torch.manual_seed(SEED)
    net = train(CifarResNet(8), *read("cifar10", "train", folder), epochs=8, rate=0.01, flips=True)
    return net, accuracy_of(net, *read("cifar10", "test", folder))


def five(net: nn.Module, folder: str | None) -> list[dict]:
    """Five random images of the test part: answers of both nets, and their maps."""
    squeeze, source = SqueezeNet.imagenet(), data.SOURCES["cifar10"]
    test = data.load("cifar10", "test", folder)
    chosen = torch.randperm(len(test.labels), generator=torch.Generator().manual_seed(SEED))[:5]
    raw, truth = test.images[chosen], test.labels[chosen]
    large = torch.cat([squeeze.input.tensor(squeeze.input.square(image.permute(1, 2, 0).numpy())) for image in raw])
    small = data.normalise(raw, source)
    with torch.no_grad():
        theirs, ours = squeeze(large).softmax(1).max(1), net(small).softmax(1).max(1)
    rows = [{"number": int(n), "label": source.classes[y], "squeezenet": class_names()[a], "squeezenet_p": float(p),
             "resnet8": source.classes[b], "resnet8_p": float(q)}
            for n, y, p, a, q, b in zip(chosen, truth, *theirs, *ours)]
    figure, axes = plt.subplots(5, 7, figsize=(13, 10))
    for column, (title, values) in enumerate([
            ("picture", None), *((f"SqueezeNet, {name}", explain(squeeze, large, None))
                                 for name, explain in list(METHODS.items())[:3]),
            *((f"ResNet-8, {name}", explain(net, small, None)) for name, explain in list(METHODS.items())[:3])]):
        for n, axis in enumerate(axes[:, column]):
            axis.imshow(raw[n].permute(1, 2, 0) if values is None else values[n],
                        **({} if values is None else {"cmap": "inferno", "vmin": 0, "vmax": 1}))
            axis.set(xticks=[], yticks=[])
            row = rows[n]
            answer = (row["label"] if column == 0 else f"{row['squeezenet']} {row['squeezenet_p']:.2f}" if column < 4
                      else f"{row['resnet8']} {row['resnet8_p']:.2f}")
            axis.set_title(f"{title}\n{answer}" if n == 0 else answer, fontsize=8)
    figure.tight_layout()
    picture(figure, "saliency")
    return rows


def labels(folder: str | None) -> dict:
    """Three LeNets on 2000 digits: twice on the true labels from two starts, once on shuffled ones."""
    images, truth = (part[:2000] for part in read("mnist", "train", folder))
    tests, wanted = (part[:500] for part in read("mnist", "test", folder))
    shuffled = truth[torch.randperm(2000, generator=torch.Generator().manual_seed(SEED))]
    nets, found = {}, {}
    for name, seed, learnt in (("true", 1, truth), ("true again", 2, truth), ("shuffled", 1, shuffled)):
        torch.manual_seed(seed)
        nets[name] = train(LeNet(), images, learnt, epochs=15 if learnt is truth else 120, rate=3e-3)
        found[name] = {"training_accuracy": accuracy_of(nets[name], images, learnt),
                       "test_accuracy": accuracy_of(nets[name], tests, wanted)}
    maps = {name: {method: explain(net, tests, wanted) for method, explain in METHODS.items()}
            for name, net in nets.items()}
    correlations = {method: {name: rank_correlation(maps["true"][method], maps[name][method]).mean().item()
                             for name in ("true again", "shuffled")} for method in METHODS}
    figure, axes = plt.subplots(3, 5, figsize=(9, 5.6))
    for row, (name, methods) in zip(axes, maps.items()):
        row[0].imshow(tests[0, 0], cmap="gray")
        row[0].set_ylabel(f"{name} labels" if name != "true again" else "true, other start", fontsize=9)
        for axis, (method, values) in zip(row[1:], methods.items()):
            axis.imshow(values[0], cmap="inferno", vmin=0, vmax=1)
            if row is axes[0]:
                axis.set_title(method, fontsize=9)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.tight_layout()
    picture(figure, "labels")
    return {"nets": found, "rank_correlation_with_true": correlations}


if __name__ == "__main__":
    main()
