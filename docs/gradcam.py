"""Measure and draw what docs/gradcam.md says: python -m docs.gradcam (two minutes on one thread).

Three photographs that come with the package, SqueezeNet 1.1 with the weights that come with it; no download.
"""
from __future__ import annotations

import numpy as np
import torch
from matplotlib import pyplot as plt

from cnn.explain import (
    deletion,
    gradcam,
    guided_backprop,
    input_gradient,
    insertion,
    integrated_gradients,
    saliency,
    weighted_map,
)
from cnn.explain.gradients import flattened
from cnn.explain.overlay import overlay
from cnn.explain.removal import area
from cnn.explain.sanity import randomisation
from cnn.models import SqueezeNet
from cnn.models.imagenet import class_names, class_number
from cnn.photos import NAMES, photo
from docs.leave import picture, result

LAYERS = ("features.4", "features.7", "features.12")         # of 55, 27 and 13 pixels
SEEDS = range(3)
METHODS = {
    "Grad-CAM": gradcam,
    "gradient": saliency,
    "SmoothGrad": lambda *a: saliency(*a, smooth=32),
    "integrated gradients": lambda *a: flattened(integrated_gradients(*a)),
    "guided backprop": lambda *a: flattened(guided_backprop(*a)),
}
# parts of the square that the net sees, marked by hand: left, top, right, bottom, as shares of its side
PARTS = {
    "chelsea": {"left eye": (.20, .28, .44, .50), "right eye": (.73, .36, .89, .55), "nose": (.53, .75, .73, .90),
                "forehead": (.20, .00, .80, .25), "rim without cat": (.97, .00, 1.0, 1.0)},
    "coffee": {"coffee": (.26, .24, .68, .48), "cup": (.18, .04, .78, .72), "spoon": (.56, .52, .77, .82),
               "table": (.00, .00, .16, .30)},
    "camera": {"camera": (.49, .26, .64, .38), "tripod's head and legs": (.45, .38, .80, 1.0),
               "head of the man": (.31, .12, .53, .39), "coat": (.00, .40, .40, 1.0), "sky": (.00, .00, 1.0, .11)},
}


def main() -> None:
    """Everything, into one JSON and three pictures."""
    torch.set_num_threads(1)
    net = SqueezeNet.imagenet()
    squares = [net.input.square(photo(name)) for name in NAMES]
    batch = torch.cat([net.input.tensor(square) for square in squares])
    target = torch.tensor([class_number(name) for name in NAMES.values()])
    with torch.no_grad():
        likely = net(batch).softmax(1)
    top = likely.topk(3)
    answers = [[{"class": class_names()[n], "probability": p} for n, p in zip(*pair)]
               for pair in zip(top.indices.tolist(), top.values.tolist())]
    found = dict(zip(NAMES, ({"answers": a} for a in answers)))
    layers = {layer: gradcam(net, batch, target, layer) for layer in LAYERS}
    for n, name in enumerate(NAMES):
        found[name]["density"] = densities(layers[LAYERS[-1]][n].numpy(), PARTS[name])
    draw_layers(net, squares, batch, target, layers, answers)
    result("gradcam", seeds=list(SEEDS), photographs=found, curves=curves(net, batch, target),
           randomisation=sanity(net, batch, target))


def densities(values: np.ndarray, parts: dict) -> dict:
    """Mean of the map inside each part, over its mean over the square."""
    side = len(values)
    cut = {name: values[round(y0 * side):round(y1 * side), round(x0 * side):round(x1 * side)]
           for name, (x0, y0, x1, y1) in parts.items()}
    return {name: float(inside.mean() / values.mean()) for name, inside in cut.items()}


def draw_layers(net, squares, batch, target, layers, answers) -> None:
    """A row a photograph: picture, its class at three layers, and its runner-up at the last."""
    second = torch.tensor([class_number(answer[1]["class"]) for answer in answers])
    runner_up = gradcam(net, batch, second, LAYERS[-1])
    figure, axes = plt.subplots(3, 5, figsize=(12.5, 8))
    for n, row in enumerate(axes):
        columns = [(squares[n], "what the net sees")]
        columns += [(overlay(squares[n], layers[layer][n].numpy()), f"{answers[n][0]['class']}, {layer}")
                    for layer in LAYERS]
        columns.append((overlay(squares[n], runner_up[n].numpy()), f"{answers[n][1]['class']}, {LAYERS[-1]}"))
        for axis, (image, title) in zip(row, columns):
            axis.imshow(image)
            axis.set_title(title, fontsize=9)
            axis.axis("off")
    figure.tight_layout()
    picture(figure, "gradcam")


def curves(net, batch, target) -> dict:
    """Areas under deletion and insertion curves a method, and of random orders."""
    maps = {name: explain(net, batch, target) for name, explain in METHODS.items()}
    generator = torch.Generator().manual_seed(0)
    maps |= {f"random {seed}": torch.rand(batch.shape[0], *batch.shape[2:], generator=generator) for seed in SEEDS}
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True)
    areas = {}
    for name, values in maps.items():
        both = [measure(net, batch, target, values) for measure in (deletion, insertion)]
        areas[name] = {"deletion": area(both[0]), "insertion": area(both[1])}
        for axis, curve in zip(axes, both):
            axis.plot(np.linspace(0, 100, curve.shape[1]), curve.mean(0), label=name if name in METHODS else
                      ("random order" if name == "random 0" else None), color=None if name in METHODS else "0.6",
                      lw=1.6 if name in METHODS else 0.8)
    axes[0].set(title="deletion: falls early if the map is right", xlabel="pixels replaced [%]",
                ylabel="probability of the class")
    axes[1].set(title="insertion: rises early if the map is right", xlabel="pixels put in [%]")
    axes[0].legend(fontsize=8, loc="upper right")
    figure.tight_layout()
    picture(figure, "deletion")
    drawn = [areas.pop(f"random {seed}") for seed in SEEDS]
    return {**{name: {key: value for key, value in row.items()} for name, row in areas.items()},
            "random order": {key: torch.stack([row[key] for row in drawn]).mean(0) for key in drawn[0]}}


def sanity(net, batch, target) -> dict:
    """Rank correlation with the trained net's map, all layers randomised down to each; mean over all."""
    names, table = None, {}
    figure, axis = plt.subplots(figsize=(9, 4.2))
    for method, explain in {"Grad-CAM": weighted_map, "gradient": input_gradient, "gradient, magnitude": saliency,
                            "guided backprop": guided_backprop}.items():
        runs = [randomisation(net, batch, target, explain, seed) for seed in SEEDS]
        names = list(runs[0])
        values = torch.stack([torch.stack([run[name] for name in names]) for run in runs])    # seed, layer, photograph
        table[method] = {"mean": dict(zip(names, values.mean((0, 2)).tolist())),
                         "all random": {"mean": values[:, -1].mean(), "std over seeds": values[:, -1].mean(1).std()}}
        axis.plot(range(len(names)), values.mean((0, 2)), marker=".", label=method)
        print(method, values[:, -1].mean().item(), flush=True)
    axis.axhline(0, color="0.7", lw=0.8)
    axis.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axis.set(xlabel="weights drawn anew from the last layer down to this one", ylabel="rank correlation",
             title="with the map of the trained net: a map that stays explains the image, not the net")
    axis.legend(fontsize=8)
    figure.tight_layout()
    picture(figure, "randomisation")
    return table


if __name__ == "__main__":
    main()
