"""Explain one place of an image: how the keypoint there came about, or which test there is none for.

Says it in words, and with -o draws it: D about it, its refinement, every test with value and threshold, and for a
keypoint its orientation and its descriptor before and after clipping.

imports: commands.options, commands.report, explorer.explain, tracing
"""
from __future__ import annotations

import argparse

from pysift.commands.options import add_sift_options, picture, place, prepare, read_image
from pysift.commands.report import save_picture, say

HELP = "how the keypoint at X,Y came about, or why there is none, as a figure"
EXAMPLE = "pysift explain photo.jpg --at 120,45 -o why.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pysift explain`."""
    parser.add_argument("image", metavar="IMAGE", help="file or http(s) URL")
    parser.add_argument("--at", metavar="X,Y", type=place, required=True, help="the place, in pixels of the image")
    parser.add_argument("--radius", metavar="R", type=float, default=3.0, help="how far from it to look, in pixels; 3")
    parser.add_argument("-o", "--output", metavar="PICTURE", type=picture, help=".png, .pdf, .svg or .jpg to write")
    add_sift_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run `pysift explain`."""
    params = prepare(args)
    from pysift.tracing import trace
    seen = trace(read_image(args, args.image), params)
    x, y = args.at
    words = seen.why(x, y, args.radius)
    if args.output:
        from pysift.explorer.explain import explain
        save_picture(args.output, explain(seen, x, y, args.radius))
    say(words)
    return 0
