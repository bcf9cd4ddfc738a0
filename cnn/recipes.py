"""What a run is made of: a recipe, the network that it names and the optimiser that it names."""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from cnn.augment import AUGMENTATIONS
from cnn.data import Source, known


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run computes; two runs of one recipe on one machine give the same bits."""

    model: str
    dataset: str
    seed: int = 0
    epochs: int = 15
    batch: int = 128                                         # images a step, over all processes
    optimiser: str = "adamw"
    rate: float = 2e-3                                       # highest learning rate
    decay: float = 1e-2                                      # weight decay
    augment: str = "none"
    width: float = 1.0                                       # of a MobileNet and its plain twin
    smoothing: float = 0.0                                   # of the labels
    exposure: float = 0.0                                    # weight of the loss on broken digits, see cnn/train.py
    limit: int | None = None                                 # training images used, all by default

    def __post_init__(self):
        """Refuse a recipe that cannot be followed.

        Raises
        ------
        ValueError : naming the field, its value and what it may be
        """
        known(self.dataset)
        for field, table in (("model", MODELS), ("optimiser", OPTIMISERS), ("augment", AUGMENTATIONS)):
            if getattr(self, field) not in table:
                raise ValueError(f"{field}={getattr(self, field)!r}: choose one of {', '.join(table)}")
        for field in ("epochs", "batch", "rate", "width"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field}={getattr(self, field)} must be positive")
        if self.limit is not None and self.limit < self.batch:
            raise ValueError(f"limit={self.limit} is less than one batch of {self.batch}: raise it or lower the batch")


def _net(name: str, **options) -> Callable[[Source, float], nn.Module]:
    """Return a maker of `cnn.models`' net for the shape and the classes of a data set."""
    def make(source: Source, width: float) -> nn.Module:
        from cnn import models
        if name in ("lenet", "simple", "alexnet"):
            shape = {"shape": (source.channels, source.size, source.size)}
        else:
            shape = {"channels": source.channels}
        wide = {"width": width} if name == "mobilenet" else {}
        return models.build(name, classes=len(source.classes), **shape, **wide, **options)
    return make


MODELS: dict[str, Callable[[Source, float], nn.Module]] = {
    "lenet": _net("lenet"),
    "simple": _net("simple"),
    "alexnet": _net("alexnet", form="same"),
    "alexnet-cifar": _net("alexnet", form="cifar"),
    "resnet18": _net("resnet18"),
    "resnet18-3x3": _net("resnet18", stem="3x3"),
    "bottleneck": _net("bottleneck"),
    "plain": _net("plain"),
    "plain-bottleneck": _net("plain", bottleneck=True),
    "mobilenet": _net("mobilenet"),
    "mobilenet-plain": _net("mobilenet", separable=False),
}

# what `cnnlab train MODEL` does unless told otherwise
_MOMENTUM = {"optimiser": "momentum", "rate": 0.1, "decay": 5e-4}
_CIFAR = {"dataset": "cifar10", "epochs": 12, "augment": "photos"}
_RESIDUAL = {**_CIFAR, **_MOMENTUM, "epochs": 24}
_FASHION = {"dataset": "fashion", **_MOMENTUM, "epochs": 60, "augment": "erasing", "width": 0.5}
DEFAULTS: dict[str, dict] = {
    "lenet": {"dataset": "mnist", "epochs": 20, "augment": "digits", "rate": 4e-3},
    "simple": {"dataset": "synthetic", "epochs": 5, "batch": 32, "rate": 1e-3},
    "alexnet": {**_CIFAR, "rate": 5e-4},
    "alexnet-cifar": {**_CIFAR, "epochs": 30, "rate": 5e-4},
    "resnet18-3x3": {**_RESIDUAL, "epochs": 110, "batch": 512, "rate": 0.4, "augment": "erasing-half",
                     "smoothing": 0.1},
    "mobilenet": _FASHION,
    "mobilenet-plain": _FASHION,
}


def recipe(model: str, **changes) -> Recipe:
    """Return the default recipe of a model, with changes.

    >>> recipe("lenet", seed=3).dataset
    'mnist'
    """
    return Recipe(model, **{**DEFAULTS.get(model, _RESIDUAL), **changes})


OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p, lr, decay: torch.optim.SGD(p, lr, weight_decay=decay),
    "momentum": lambda p, lr, decay: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True, weight_decay=decay),
    "rmsprop": lambda p, lr, decay: torch.optim.RMSprop(p, lr, weight_decay=decay),
    "adam": lambda p, lr, decay: torch.optim.Adam(p, lr, weight_decay=decay),
    "adamw": lambda p, lr, decay: torch.optim.AdamW(p, lr, weight_decay=decay),
}


def build(recipe: Recipe) -> nn.Module:
    """Make the recipe's network with weights drawn from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    return MODELS[recipe.model](known(recipe.dataset), recipe.width)


def rate_at(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of a step: up for the first twentieth, then down by half a cosine to 0.

    [Loshchilov, Hutter 2017, "SGDR", eq. 5, without restarts]

    >>> recipe = Recipe("lenet", "mnist", rate=1.0)
    >>> [round(rate_at(recipe, step, 100), 3) for step in (0, 4, 5, 52, 99)]
    [0.2, 1.0, 1.0, 0.508, 0.0]
    """
    warm = max(1, steps // 20)
    if step < warm:
        return recipe.rate * (step + 1) / warm
    return recipe.rate * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2
