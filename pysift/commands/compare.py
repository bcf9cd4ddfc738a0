"""Compare pysift with another implementation, stage by stage, and name the first stage that departs.

imports: options, parity, report
"""
from __future__ import annotations

import argparse

from pysift.commands.options import add_sift_options, prepare, read_image
from pysift.commands.report import each_image

HELP = "parity with OpenCV, stage by stage"
EXAMPLE = "pysift compare photo.jpg\n  pysift compare --preset opencv --json photos/*.jpg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pysift compare`."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file or http(s) URL")
    parser.add_argument("--with", choices=("opencv",), default="opencv", dest="peer", help="the other one: opencv")
    parser.add_argument("--json", action="store_true", help="print a JSON object a line for each image")
    add_sift_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run `pysift compare`."""
    params = prepare(args)
    from pysift.parity import compare

    def work(source: str) -> tuple[dict, str]:
        parity = compare(read_image(args, source), params)
        verdict = "equal at every stage" if parity.equal else f"first departure: {parity.first_departure}"
        return {"image": source, **parity.to_dict()}, f"{source}\n{parity.table()}\n{verdict}\n"

    return each_image(args, work)
