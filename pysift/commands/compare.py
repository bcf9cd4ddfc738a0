"""Compare pysift with OpenCV, stage by stage, and name the first stage that departs.

Both take the parameters of cv2.SIFT_create(), unless the options say otherwise.

imports: commands.options, commands.report, parity
"""
from __future__ import annotations

import argparse

from pysift.commands.options import add_sift_options, prepare, read_image
from pysift.commands.report import each_image

HELP = "parity with OpenCV, stage by stage"
EXAMPLE = "pysift compare photo.jpg\n  pysift compare --layers 5 --json photos/*.jpg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pysift compare`."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file or http(s) URL")
    parser.add_argument("--with", choices=("opencv",), default="opencv", dest="peer", help="the other one: opencv")
    parser.add_argument("--json", action="store_true", help="print a JSON object a line for each image")
    add_sift_options(parser)
    parser.set_defaults(preset="opencv")


def run(args: argparse.Namespace) -> int:
    """Run `pysift compare`."""
    params = prepare(args)
    import cv2  # noqa: F401    the other one: without it, say so before anything is read
    import numpy as np

    from pysift.parity import compare

    def work(source: str) -> tuple[dict, str]:
        image = read_image(args, source)
        bgr = image if image.ndim == 2 else np.ascontiguousarray(image[..., 2::-1])
        parity = compare(bgr, params, label=source)
        return {"image": source, **parity.to_dict()}, parity.table()

    return each_image(args, work)
