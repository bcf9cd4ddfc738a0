"""Measure how gradients travel: {plain, residual} x {batch norm, none} x depth x seed, layer by layer.

Prints for each kind and depth by how much the norm of the gradient grows a layer on its way from the loss to the image,
with a 95 % interval over seeds.  -o keeps gradflow.json and gradflow.png.  With --steps also during training.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cnn.commands.options import add_data, add_threads, natural, positive
from pysift.usage import folder

HELP = "measure how gradients travel through plain and residual networks"
EXAMPLE = "cnnlab gradflow --depths 8 20 56 --seeds 3 -o gradflow"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--depths", type=_depth, nargs="+", default=[8, 14, 20, 32, 56], help="6n + 2 each")
    parser.add_argument("--seeds", type=positive, default=5, help="how many (default 5)")
    parser.add_argument("--size", type=positive, default=32, help="of the images, px (default 32)")
    parser.add_argument("--batch", type=positive, default=64, help="images (default 64)")
    parser.add_argument("--steps", type=natural, default=0, help="of training, after which it is measured again")
    parser.add_argument("--rate", type=_rate, default=0.02, help="of that training (default 0.02)")
    add_data(parser)
    add_threads(parser)
    parser.add_argument("-o", "--output", metavar="FOLDER", type=folder, help="where gradflow.json and gradflow.png go")


def _depth(text: str) -> int:
    depth = positive(text)
    if depth < 8 or depth % 6 != 2:
        raise argparse.ArgumentTypeError(f"{depth} is not 6n + 2, such as 8, 14, 20, 32, 56")
    return depth


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be positive")
    return rate


def run(args: argparse.Namespace) -> int:
    """Measure."""
    from cnn import manifest, vanishing
    study = vanishing.Study(tuple(args.depths), args.seeds, args.size, args.batch, args.steps, args.rate)
    record = vanishing.measure(study, args.data, say=lambda text: print(text, file=sys.stderr, flush=True))
    print(vanishing.table(record["rows"]))
    if args.output:
        from cnn.vanishing_figure import draw
        folder = Path(args.output)
        manifest.write_json(folder / "gradflow.json", {"machine": manifest.machine(), **record})
        manifest.save_figure(folder / "gradflow.png", draw(record["rows"]))
    return 0
