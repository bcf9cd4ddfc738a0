"""Say what became of every candidate, and why there is no keypoint at a place.

imports: commands.options, commands.report, files, tracing
"""
from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from pysift.commands.options import add_sift_options, place, prepare, read_image
from pysift.commands.report import say, to_json

HELP = "what became of every candidate; why there is no keypoint at X,Y"
EXAMPLE = "pysift trace photo.jpg --at 120,45"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pysift trace`."""
    parser.add_argument("image", metavar="IMAGE", help="file or http(s) URL")
    parser.add_argument("--at", metavar="X,Y", type=place, help="explain this place, in pixels of the image")
    parser.add_argument("--radius", metavar="R", type=float, default=3.0, help="how far from it to look, in pixels; 3")
    parser.add_argument("-o", "--output", metavar="OUT", help="write candidates, keypoints and descriptors, npz")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_sift_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run `pysift trace`."""
    params = prepare(args)
    from pysift.tracing import trace
    seen = trace(read_image(args, args.image), params)
    why = seen.why(args.at[0], args.at[1], args.radius) if args.at else None
    if args.output:
        _write(args.output, seen)
    counts, total = seen.counts(), len(seen.candidates.x)
    if args.json:
        say(to_json({"image": args.image, "candidates": total, "steps": counts, "keypoints": len(seen.keypoints),
                     **({"at": args.at, "why": why.splitlines()} if why else {})}))
    elif why:
        say(why)
    else:
        say(f"{args.image}  {total} candidates, of which")
        for step, n in counts.items():
            say(f"{n:8}  {step}")
        say(f"{len(seen.keypoints):8}  keypoints, one for each orientation of a candidate that was kept")
    return 0


def _write(path: str, seen: Any) -> None:
    """Write an npz file: candidate_x … candidate_threshold, keypoint_x … keypoint_offset, source, descriptors."""
    from pysift.files import write_arrays
    columns = {f"candidate_{name}": column for name, column in seen.candidates._asdict().items()}
    columns |= {f"keypoint_{f.name}": getattr(seen.keypoints, f.name) for f in fields(seen.keypoints)}
    write_arrays(path, {**columns, "source": seen.source, "descriptors": seen.descriptors})
