"""Train a network; stop with Ctrl-C, and the same command goes on where it stopped.

What is not given is the model's own recipe.  The folder of the run gets checkpoint.pt, manifest.json, weights.npz and
answers.npz.  With several processes:  torchrun --nproc-per-node 2 -m cnn train lenet
"""
from __future__ import annotations

import argparse
import sys

from cnn.commands.options import add_data, add_threads, natural, positive
from pysift.usage import folder

HELP = "train a network, or go on training it"
EXAMPLE = "cnnlab train lenet --seed 0 -o runs/lenet-0"
_OWN = {"epochs": positive, "batch": positive, "rate": float, "decay": float, "width": float, "smoothing": float,
        "exposure": float, "limit": positive, "optimiser": str, "augment": str, "dataset": str}
_ABOUT = {
    "epochs": "passes over the training part", "batch": "images a step", "rate": "highest learning rate",
    "decay": "weight decay", "width": "of mobilenet", "smoothing": "of labels",
    "exposure": "weight of the loss on broken digits", "limit": "use only so many images",
    "optimiser": "sgd, momentum, rmsprop, adam or adamw", "dataset": "mnist, fashion, cifar10 or synthetic",
    "augment": "none, digits, flips, photos, erasing or erasing-half"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", metavar="MODEL", help="lenet, simple, alexnet, alexnet-cifar, resnet18, resnet18-3x3, "
                        "bottleneck, plain, plain-bottleneck, mobilenet or mobilenet-plain")
    parser.add_argument("--seed", type=natural, default=0, help="of all that is drawn (default 0)")
    add_data(parser)
    for option, kind in _OWN.items():
        parser.add_argument(f"--{option}", type=kind, help=_ABOUT[option])
    add_threads(parser)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train (default cpu)")
    parser.add_argument("-o", "--output", metavar="FOLDER", type=folder,
                        help="of the run (default runs/MODEL-DATASET-SEED)")


def run(args: argparse.Namespace) -> int:
    """Train."""
    from cnn.recipes import recipe
    from cnn.train import Interrupted, train
    changes = {name: getattr(args, name) for name in _OWN if getattr(args, name) is not None}
    plan = recipe(args.model, seed=args.seed, **changes)
    folder = args.output or f"runs/{plan.model}-{plan.dataset}-{plan.seed}"
    try:
        record = train(plan, folder, files=args.data, device=args.device,
                       say=lambda line: print(line, file=sys.stderr, flush=True))
    except Interrupted as stop:
        raise KeyboardInterrupt(str(stop)) from None
    if record:                                               # the first process only
        print(f"{folder}: test {100 * record['test_accuracy']:.2f} %, validation "
              f"{100 * record['validation_accuracy']:.2f} %, {record['parameters']:,} parameters, "
              f"{record['train_seconds']:.0f} s")
    return 0
