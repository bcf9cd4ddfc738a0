"""The notebook's study again: SimpleCNN and ResNet18 on five synthetic patterns, with the right layers in its figure.

    500 images, 400 to train, 100 to validate; Adam, rate 0.001, 5 epochs, batches of 32

The notebook picks "layers" by looking for "conv1" inside names, so its bar `conv1` is layer4.1.conv1 and its bars
`layer1` … `layer4` are the scales of a batch norm.  Here a layer is the weight that its name says.  And the notebook
never uses its validation images; three mean colours and a linear classifier get all of those right, so no accuracy
here says anything about an architecture.

    python -m cnn.two_networks [FOLDER]
"""
from __future__ import annotations

import datetime
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn import data, manifest, synthetic
from cnn.evaluate import accuracy, logits

EPOCHS, BATCH, RATE = 5, 32, 1e-3
LAYERS = {                                                   # bar → the parameter it shows
    "SimpleCNN": {"conv1": "conv1.weight", "conv2": "conv2.weight", "fc": "logits.weight"},
    "ResNet18": {"conv1": "conv1.weight", "layer1": "layer1.0.conv1.weight", "layer2": "layer2.0.conv1.weight",
                 "layer3": "layer3.0.conv1.weight", "layer4": "layer4.0.conv1.weight", "fc": "fc.weight"},
}


def study(seed: int = 0) -> dict:
    """Train both networks as the notebook does, and return curves and gradients, epoch by epoch."""
    from cnn.models import ResNet18, SimpleCNN
    train, validation = (data.load("synthetic", part) for part in ("train", "validation"))
    record = {"date": datetime.date.today().isoformat(), "seed": seed, "images": [len(train), len(validation)]}
    for name, make in (("SimpleCNN", SimpleCNN), ("ResNet18", ResNet18)):
        torch.manual_seed(seed)
        record[name] = follow(make(classes=5), LAYERS[name], train, validation)
    record["three mean colours"] = {"parameters": 20, "validation_accuracy": linear_accuracy(train, validation)}
    return record


def follow(model: nn.Module, layers: dict[str, str], train: data.Images, validation: data.Images) -> dict:
    """Train one network and note loss, accuracies and gradients of each epoch."""
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    weights = dict(model.named_parameters())
    curves: dict = {name: [] for name in ("loss", "accuracy", "validation_accuracy", "gradient")}
    by_layer: dict[str, list[float]] = {layer: [] for layer in layers}
    for _ in range(EPOCHS):
        sums = np.zeros(2)
        norms: list[list[float]] = []
        for batch in torch.randperm(len(train)).split(BATCH):
            scores = model(train.images[batch].float() / 255)
            loss = F.cross_entropy(scores, train.labels[batch])
            optimiser.zero_grad()
            loss.backward()
            norms.append([p.grad.norm().item() for p in weights.values()])
            optimiser.step()
            sums += len(batch) * loss.item(), (scores.argmax(1) == train.labels[batch]).sum().item()
        means = dict(zip(weights, np.mean(norms, 0)))        # over the epoch's steps, not its last alone
        for layer, parameter in layers.items():
            by_layer[layer].append(float(means[parameter]))
        for curve, value in (("loss", sums[0] / len(train)), ("accuracy", sums[1] / len(train)),
                             ("gradient", float(np.mean(norms))), ("validation_accuracy", right(model, validation))):
            curves[curve].append(float(value))
    return {"parameters": sum(p.numel() for p in weights.values()), **curves, "layers": by_layer}


def right(model: nn.Module, part: data.Images) -> float:
    """Return the accuracy on a part, images in [0, 1] as the notebook feeds them."""
    as_they_are = data.Source("", (), 3, 64, (0.0,) * 3, (1.0,) * 3, 0)
    return accuracy(logits(model, part.images, as_they_are), part.labels)


def linear_accuracy(train: data.Images, held_out: data.Images) -> float:
    """Return the accuracy of logistic regression, 20 parameters, on the three mean colours of an image."""
    x, z = (colours(part.images) for part in (train, held_out))
    mean, std = x.mean(0), x.std(0)
    layer = nn.Linear(3, 5, dtype=torch.float64)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        penalty = 1e-4 * layer.weight.square().sum()         # separable data: without it there is no minimum
        loss = F.cross_entropy(layer((x - mean) / std), train.labels) + penalty
        loss.backward()
        return loss

    optimiser.step(closure)
    return accuracy(layer((z - mean) / std).detach(), held_out.labels)


def colours(images: Tensor) -> Tensor:
    """Return the three mean colours (N, 3) of uint8 images (N, 3, H, W)."""
    return torch.from_numpy(synthetic.mean_colours(images.double().numpy() / 255))


def analysis(record: dict) -> str:
    """Say what the numbers show, in the order of the notebook's printed analysis."""
    small, large = record["SimpleCNN"], record["ResNet18"]
    ratios = {"SimpleCNN": small["layers"]["conv2"][-1] / small["layers"]["conv1"][-1],
              "ResNet18": large["layers"]["layer4"][-1] / large["layers"]["layer1"][-1]}
    return "\n".join([
        "1. At the end, accuracy on images that were held out:",
        *(f"   {name}: loss {record[name]['loss'][-1]:.4f}, training {record[name]['accuracy'][-1]:.4f}, held out "
          f"{record[name]['validation_accuracy'][-1]:.4f}" for name in LAYERS),
        f"   three mean colours, 20 parameters: {record['three mean colours']['validation_accuracy']:.4f}",
        "2. Change of the mean gradient norm from the first to the last epoch:",
        *(f"   {name}: {100 * (record[name]['gradient'][-1] / record[name]['gradient'][0] - 1):+.1f} %"
          for name in LAYERS),
        "3. Late over early layers' gradient norm:",
        f"   SimpleCNN conv2 / conv1: {ratios['SimpleCNN']:.3f}    ResNet18 layer4 / layer1: {ratios['ResNet18']:.3f}",
        "4. What follows: colour alone separates the classes, so accuracy compares nothing here. Two networks that",
        "   differ in depth, width, normalisation and shortcuts at once cannot tell which of these a ratio comes from;",
        "   norms of weight gradients also depend on the layers' sizes. `cnnlab gradflow` varies one thing at a time."])


def draw(record: dict):
    """Draw the notebook's six panels."""
    from cnn.pictures import BLUE, RED, blank
    figure, axes = blank(2, 3, 12, 7)
    epochs = range(1, EPOCHS + 1)
    for name, colour, marker in (("SimpleCNN", BLUE, "o-"), ("ResNet18", RED, "s-")):
        for ax, key in zip(axes[0], ("loss", "accuracy", "gradient")):
            ax.plot(epochs, record[name][key], marker, color=colour, label=f"{name}, training" if key == "accuracy"
                    else name)
        axes[0, 1].plot(epochs, record[name]["validation_accuracy"], ":", color=colour, label=f"{name}, held out")
    axes[0, 0].set(title="loss", yscale="log", ylabel="cross-entropy")
    axes[0, 1].set(title="accuracy")
    axes[0, 2].set(title="mean gradient norm of the weights", yscale="log")
    for ax in axes[0]:
        ax.set(xlabel="epoch", xticks=epochs)
        ax.legend(fontsize=8)
    for ax, (name, colour) in zip(axes[1], (("SimpleCNN", BLUE), ("ResNet18", RED))):
        layers = record[name]["layers"]
        ax.bar(list(layers), [values[-1] for values in layers.values()], color=colour)
        ax.set(title=f"{name}: weight gradients, epoch {EPOCHS}", ylabel="norm")
    axes[1, 2].bar(["SimpleCNN", "ResNet18"], [record[name]["gradient"][-1] for name in LAYERS], color=[BLUE, RED])
    axes[1, 2].set(title=f"mean gradient norm, epoch {EPOCHS}", ylabel="norm", yscale="log")
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    result = study()
    print(analysis(result))
    manifest.write_json(folder / "two_networks.json", {"machine": manifest.machine(), **result})
    manifest.save_figure(folder / "two_networks.png", draw(result))
