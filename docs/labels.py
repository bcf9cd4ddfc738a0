"""Do maps tell a net that has learnt digits from one that has learnt noise?  python -m docs.labels --data DIR

Three LeNets on 2000 digits of MNIST: twice on the true labels from two starts, once on shuffled ones, each until it
knows all of them.  If a map is about what was learnt, the two that learnt digits agree more than the third with either.
Without --data MNIST is downloaded.  Some minutes on one thread.
"""
from __future__ import annotations

import argparse

import torch
from matplotlib import pyplot as plt

from cnn.explain import gradcam, guided_backprop, input_gradient, saliency, smooth_gradient, weighted_map
from cnn.explain.gradients import flattened
from cnn.explain.sanity import rank_correlation
from cnn.models import LeNet
from docs.leave import picture, result
from docs.saliency import accuracy_of, read, train

SEED = 0
PAIRS = {                                        # with its sign, and as it is shown
    "gradient": (input_gradient, saliency),
    "SmoothGrad": (smooth_gradient, lambda *a: saliency(*a, smooth=32)),
    "Grad-CAM": (weighted_map, gradcam),
    "guided backprop": (guided_backprop, lambda *a: flattened(guided_backprop(*a))),
}


def main() -> None:
    """Train, compare the maps of 500 test digits at their true class, draw one of them."""
    parser = argparse.ArgumentParser(prog="python -m docs.labels", description=__doc__)
    parser.add_argument("--data", metavar="DIR", help="folder of MNIST")
    folder = parser.parse_args().data
    torch.set_num_threads(1)
    images, truth = (part[:2000] for part in read("mnist", "train", folder))
    tests, wanted = (part[:500] for part in read("mnist", "test", folder))
    shuffled = truth[torch.randperm(2000, generator=torch.Generator().manual_seed(SEED))]
    nets, found = {}, {}
    for name, seed, learnt in (("true", 1, truth), ("true, other start", 2, truth), ("shuffled", 3, shuffled)):
        torch.manual_seed(seed)
        nets[name] = train(LeNet(), images, learnt, epochs=15 if learnt is truth else 100, rate=3e-3)
        found[name] = {"training_accuracy": accuracy_of(nets[name], images, learnt),
                       "test_accuracy": accuracy_of(nets[name], tests, wanted)}
    correlations = {}
    for method, (signed, shown) in PAIRS.items():
        for kind, explain in (("signed", signed), ("shown", shown)):
            maps = [explain(net, tests, wanted) for net in nets.values()]
            correlations[f"{method}, {kind}"] = {
                "two true": rank_correlation(maps[0], maps[1]).mean(),
                "true and shuffled": torch.stack([rank_correlation(maps[n], maps[2]) for n in (0, 1)]).mean()}
    draw(nets, tests[:1], wanted[:1])
    result("labels", seed=SEED, nets=found, rank_correlation=correlations)


def draw(nets: dict, image, label) -> None:
    """A row a net, a column a method."""
    figure, axes = plt.subplots(3, 5, figsize=(9, 5.6))
    for n, (name, net) in enumerate(nets.items()):
        axes[n, 0].imshow(image[0, 0], cmap="gray")
        axes[n, 0].set_ylabel(f"{name} labels" if name != "true, other start" else name, fontsize=9)
        for axis, (method, (_, explain)) in zip(axes[n, 1:], PAIRS.items()):
            axis.imshow(explain(net, image, label)[0], cmap="inferno", vmin=0, vmax=1)
            if n == 0:
                axis.set_title(method, fontsize=9)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.tight_layout()
    picture(figure, "labels")


if __name__ == "__main__":
    main()
