"""Optimisers and learning rates on one network: LeNet, 10,000 images of MNIST, three epochs, three seeds each.

    python -m cnn.optimisers FOLDER-OF-MNIST [FOLDER]

Judged on the validation part: this is a choice, and the test part must not choose.  Without weight decay, so AdamW
would be Adam.
"""
from __future__ import annotations

import datetime
import math
import sys
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F

from cnn import data, manifest
from cnn.evaluate import accuracy, logits, mean_interval
from cnn.recipes import OPTIMISERS, Recipe, build, rate_at

RATES = {
    "sgd": (0.01, 0.03, 0.1, 0.3, 1.0),
    "momentum": (0.001, 0.003, 0.01, 0.03, 0.1),
    "rmsprop": (0.0001, 0.0003, 0.001, 0.003, 0.01),
    "adam": (0.0003, 0.001, 0.003, 0.01, 0.03),
}
SEEDS, EPOCHS, BATCH, IMAGES = 3, 3, 64, 10_000


def study(files: str | Path | None) -> dict:
    """Train every optimiser at every rate, and return validation accuracies."""
    train = data.load("mnist", "train", files).first(IMAGES)
    validation = data.load("mnist", "validation", files)
    rows = []
    for optimiser, rates in RATES.items():
        for rate in rates:
            runs = [once(Recipe("lenet", "mnist", seed, EPOCHS, BATCH, optimiser, rate, 0.0), train, validation)
                    for seed in range(SEEDS)]
            mean, half = mean_interval(runs)
            rows.append({"optimiser": optimiser, "rate": rate, "accuracies": runs, "mean": mean, "half": half})
            print(f"{optimiser:9} {rate:<7g} {100 * mean:6.2f} ± {100 * half:.2f} %", file=sys.stderr, flush=True)
    return {"date": datetime.date.today().isoformat(), "seeds": SEEDS, "epochs": EPOCHS, "batch": BATCH,
            "images": IMAGES, "rows": rows}


def once(recipe: Recipe, train: data.Images, validation: data.Images) -> float:
    """Train one network and return its validation accuracy; that of a loss that is no number is guessing."""
    source = data.known(recipe.dataset)
    model = build(recipe)
    images = data.normalise(train.images, source)
    optimiser = OPTIMISERS[recipe.optimiser](model.parameters(), recipe.rate, recipe.decay)
    per_epoch = len(train) // recipe.batch
    for epoch, step in product(range(recipe.epochs), range(per_epoch)):
        if step == 0:
            order = torch.randperm(len(train))
        batch = order[step * recipe.batch:(step + 1) * recipe.batch]
        for group in optimiser.param_groups:
            group["lr"] = rate_at(recipe, epoch * per_epoch + step, per_epoch * recipe.epochs)
        loss = F.cross_entropy(model(images[batch]), train.labels[batch])
        if not math.isfinite(loss.item()):
            return 1 / len(source.classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return accuracy(logits(model, validation.images, source), validation.labels)


def draw(record: dict):
    """Draw the validation error against the learning rate, a line an optimiser."""
    from cnn.pictures import blank
    figure, axes = blank(1, 1, 7, 4.2)
    for k, optimiser in enumerate(RATES):
        rows = [row for row in record["rows"] if row["optimiser"] == optimiser]
        errors = [[100 * (1 - a) for a in row["accuracies"]] for row in rows]
        axes[0, 0].plot([row["rate"] for row in rows], [sum(e) / len(e) for e in errors], "o-", color=f"C{k}",
                        label=optimiser)
        axes[0, 0].vlines([row["rate"] for row in rows], [min(e) for e in errors], [max(e) for e in errors],
                          color=f"C{k}")
    axes[0, 0].set(xscale="log", yscale="log", xlabel="learning rate", ylabel="validation error [%]",
                   title=f"LeNet on {record['images']:,} images of MNIST, {record['epochs']} epochs")
    axes[0, 0].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()
    result = study(sys.argv[1] if len(sys.argv) > 1 else None)
    manifest.write_json(folder / "optimisers.json", {"machine": manifest.machine(), **result})
    manifest.save_figure(folder / "optimisers.png", draw(result))
