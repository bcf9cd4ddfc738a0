"""Put runs side by side: those that differ only in the seed are one row, with the mean and its 95 % interval.

With --time each network also gets the time for 1000 images, one at a time and all at once, after warm-up.  With -o the
table goes to FOLDER/comparison.json and the curves to FOLDER/comparison.png.
"""
from __future__ import annotations

import argparse
from pathlib import Path

from cnn.commands.options import add_threads
from pysift.usage import folder

HELP = "put runs side by side"
EXAMPLE = "cnnlab compare runs/mobilenet-* --time --threads 1 -o comparison"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folder that cnnlab train made, or its manifest alone")
    parser.add_argument("--time", action="store_true", help="measure the time for 1000 images")
    add_threads(parser)
    parser.add_argument("-o", "--output", metavar="FOLDER", type=folder,
                        help="where comparison.json and comparison.png go")


def run(args: argparse.Namespace) -> int:
    """Compare."""
    from cnn import compare, manifest, pictures
    rows = compare.compare(args.runs, args.time)
    print(compare.table(rows))
    if args.output:
        folder = Path(args.output)
        manifest.write_json(folder / "comparison.json", {"machine": manifest.machine(), "rows": rows})
        manifest.save_figure(folder / "comparison.png", pictures.comparison(rows))
    return 0
