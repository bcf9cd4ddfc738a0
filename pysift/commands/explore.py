"""Write a page on which every keypoint of an image tells how it came about.

The page is one HTML file that asks for nothing else: open it in any browser.  Large images are shrunk first.

imports: commands.options, commands.report, explorer, files
"""
from __future__ import annotations

import argparse
from pathlib import Path

from pysift.commands.options import add_sift_options, prepare, read_image
from pysift.commands.report import say

HELP = "an interactive page: every keypoint step by step, what was dropped, and why"
EXAMPLE = "pysift explore photo.jpg -o page.html\n  pysift explore left.jpg --with right.jpg -o page.html"
_LONGEST = 640


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pysift explore`."""
    parser.add_argument("image", metavar="IMAGE", help="file or http(s) URL")
    parser.add_argument("-o", "--output", metavar="PAGE", type=page, default="explorer.html",
                        help="HTML to write; explorer.html")
    parser.add_argument("--with", metavar="OTHER", dest="other", help="take the matches from this image")
    add_sift_options(parser)
    parser.set_defaults(max_dim=_LONGEST)


def page(text: str) -> str:
    """Type of an option that names a page to write."""
    suffix = Path(text).suffix.lower()
    if suffix not in ("", ".html", ".htm"):
        raise argparse.ArgumentTypeError(f"{suffix} is no kind of page: use .html")
    return text


def run(args: argparse.Namespace) -> int:
    """Run `pysift explore`."""
    params = prepare(args)
    from pysift.explorer import explore
    from pysift.files import replacing
    image = read_image(args, args.image)
    other = read_image(args, args.other) if args.other else None
    text = explore(image, params, name=Path(args.image).name, other=other, other_name=Path(args.other or "").name)
    with replacing(args.output) as part:
        part.write_text(text, encoding="utf-8")
    height, width = image.shape[:2]
    say(f"{args.image}  {width} × {height} px (--max-dim {args.max_dim})  → {args.output}, {len(text) / 1e6:.1f} MB")
    return 0
