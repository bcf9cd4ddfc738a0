"""Options that several commands share."""
from __future__ import annotations

import argparse
import re


def positive(text: str) -> int:
    """Read a number of things, at least one."""
    if not re.fullmatch(r"[0-9]+", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 1 or more")
    return int(text)


def natural(text: str) -> int:
    """Read a seed: 0 or more."""
    if not re.fullmatch(r"[0-9]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 0 or more")
    return int(text)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data."""
    parser.add_argument("--data", metavar="FOLDER",
                        help="with the files of the data set (IDX, CIFAR's python batches or sheets), or with a folder "
                             "for each set; by default they are downloaded once, into $SIFTGRAD_CACHE")


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add --threads."""
    parser.add_argument("--threads", type=positive, help="for torch; a run is repeatable to the bit with 1")
