"""Measure and draw what docs/saliency.md says: python -m docs.saliency --data DIR (some minutes on one thread).

Five random images of CIFAR-10, on SqueezeNet with ImageNet's weights and on the ResNet-8 that comes trained on
CIFAR-10; --train trains it anew, which takes half an hour.  Without --data CIFAR-10 is downloaded.
"""
from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from torch import nn

import cnn
from cnn import data
from cnn.explain import gradcam, saliency
from cnn.explain.overlay import stretched
from cnn.models import CifarResNet, SqueezeNet, count
from cnn.models.imagenet import class_names
from docs.leave import picture, result

SEED, EPOCHS = 0, 8
METHODS = {"gradient": saliency,
           "SmoothGrad": lambda *a: saliency(*a, smooth=32),
           "Grad-CAM": gradcam}


def main() -> None:
    """Everything, into one JSON and a picture."""
    parser = argparse.ArgumentParser(prog="python -m docs.saliency", description=__doc__)
    parser.add_argument("--data", metavar="DIR", help="folder of CIFAR-10")
    parser.add_argument("--train", action="store_true", help="train the ResNet-8 anew and keep its weights")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.train:
        train_cifar_net(options.data)
    net = CifarResNet.cifar10()
    result("saliency", seed=SEED,
           cifar_net={"parameters": count(net), "epochs": EPOCHS,
                      "test_accuracy": accuracy_of(net, *read("cifar10", "test", options.data))},
           images=five(net, options.data))


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


def train_cifar_net(folder: str | None) -> None:
    """ResNet-8 of He's family, on the training part; its weights go where `CifarResNet.cifar10` finds them."""
    torch.manual_seed(SEED)
    net = train(CifarResNet(8), *read("cifar10", "train", folder), epochs=EPOCHS, rate=0.01, flips=True)
    keep(net, Path(cnn.__file__).parent / "weights" / "cifar_resnet8_fp16.npz")


def keep(net: nn.Module, path: Path) -> None:
    """Write the weights in float16, whole or not at all."""
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    with path.with_suffix(".part").open("wb") as part:
        np.savez_compressed(part, **{name: value.astype(np.float16) if value.dtype == np.float32 else value
                                     for name, value in state.items()})
    os.replace(path.with_suffix(".part"), path)


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
                                 for name, explain in METHODS.items()),
            *((f"ResNet-8, {name}", explain(net, small, None)) for name, explain in METHODS.items())]):
        for n, axis in enumerate(axes[:, column]):
            axis.imshow(raw[n].permute(1, 2, 0) if values is None else stretched(values[n].numpy()),
                        **({} if values is None else {"cmap": "inferno", "vmin": 0, "vmax": 1}))
            axis.set(xticks=[], yticks=[])
            row = rows[n]
            answer = (row["label"] if column == 0 else f"{row['squeezenet']} {row['squeezenet_p']:.2f}" if column < 4
                      else f"{row['resnet8']} {row['resnet8_p']:.2f}")
            axis.set_title(f"{title}\n{answer}" if n == 0 else answer, fontsize=8)
    figure.tight_layout()
    picture(figure, "saliency")
    return rows


if __name__ == "__main__":
    main()
