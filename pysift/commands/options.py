"""The options that all commands which run SIFT share, and what they stand for.

imports: commands.compiling, commands.report, image, params, threads
"""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pysift.commands.compiling import announce_compilation
from pysift.commands.report import UsageError

if TYPE_CHECKING:
    import numpy as np

    from pysift.params import SIFTParams

_PICTURES = ("png", "pdf", "svg", "jpg", "jpeg", "webp", "tif", "tiff")
_FIELDS = (                      # option, field of SIFTParams, type, help
    ("--nfeatures",  "nfeatures",          int,   "keep the N strongest keypoints, 0 all"),
    ("--contrast",   "contrast_threshold", float, "contrast threshold, as a share of the intensity range"),
    ("--edge",       "edge_threshold",     float, "largest ratio of the two curvatures"),
    ("--sigma",      "sigma",              float, "blur of the first level, in pixels"),
    ("--layers",     "n_octave_layers",    int,   "scales per octave"),
    ("--descriptor", "descriptor",         str,   "uint8 (as OpenCV), float32 (unit norm) or root (RootSIFT)"),
)


def add_sift_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the image and of SIFT."""
    image = parser.add_argument_group("image")
    image.add_argument("--max-dim", metavar="N", type=count,
                       help="shrink so that the longer side has N pixels at most; x and y are then those of the "
                            "shrunk image")
    image.add_argument("--apply-exif", action="store_true", help="turn the image upright as its EXIF tag says")
    sift = parser.add_argument_group("SIFT")
    sift.add_argument("--preset", metavar="NAME", default="default",
                      help="default, opencv (cv2.SIFT_create() to the letter), lowe or rootsift")
    for option, field, kind, text in _FIELDS:
        sift.add_argument(option, dest=field, metavar=option[2].upper(), type=kind, help=text)
    sift.add_argument("--threads", metavar="N", type=count, help="threads to use, by default one a processor")


def prepare(args: argparse.Namespace) -> SIFTParams:
    """Set the threads, announce compilation, and return the parameters; UsageError if one is out of range."""
    from pysift.params import SIFTParams
    from pysift.threads import set_num_threads
    changes = {field: getattr(args, field) for _, field, _, _ in _FIELDS if getattr(args, field) is not None}
    try:
        params = SIFTParams.preset(args.preset, **changes)
    except (ValueError, TypeError) as error:
        raise UsageError(error) from None
    if args.threads:
        set_num_threads(args.threads)
    announce_compilation()
    return params


def read_image(args: argparse.Namespace, source: str) -> np.ndarray:
    """Read a file or URL as the options say."""
    from pysift.image import load_image
    return load_image(source, max_dim=args.max_dim, apply_exif=args.apply_exif)


def picture(text: str) -> str:
    """Type of an option that names a picture to write: its suffix says of which kind, none is PNG."""
    suffix = Path(text).suffix[1:].lower()
    if suffix not in ("", *_PICTURES):
        raise argparse.ArgumentTypeError(f".{suffix} is no kind of picture: use .{', .'.join(_PICTURES)}")
    return text


def count(text: str) -> int:
    """Type of an option that takes a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def place(text: str) -> tuple[float, float]:
    """Type of an option that takes a place, X,Y."""
    try:
        x, y = (float(v) for v in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y, for example 120,45.5") from None
    return x, y
