"""Draw the strongest keypoints of an image, each with its size and its angle.

imports: commands.options, commands.report, draw, pipeline
"""
from __future__ import annotations

import argparse

from pysift.commands.options import add_sift_options, count, picture, prepare, read_image
from pysift.commands.report import save_picture, say

HELP = "draw the strongest keypoints with size and angle"
EXAMPLE = "pysift draw photo.jpg -n 300 -o keypoints.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pysift draw`."""
    parser.add_argument("image", metavar="IMAGE", help="file or http(s) URL")
    parser.add_argument("-o", "--output", metavar="PICTURE", type=picture, required=True,
                        help=".png, .pdf, .svg or .jpg to write")
    parser.add_argument("-n", type=count, default=200, metavar="N", help="how many to draw, the strongest; 200")
    add_sift_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run `pysift draw`."""
    params = prepare(args)
    from pysift.draw import plot_keypoints
    from pysift.pipeline import detect
    image = read_image(args, args.image)
    keypoints = detect(image, params)
    save_picture(args.output, plot_keypoints(image, keypoints, n=args.n))
    say(f"{args.image}  {min(args.n, len(keypoints))} of {len(keypoints)} keypoints  → {args.output}")
    return 0
