"""The command `python -m diffsift`: find the application, parse its options, run it.

    0 done     1 failed     2 wrong usage

A summary goes to stdout, errors to stderr.  An application, and torch with it, is imported once its name is known.

imports: nothing of diffsift
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

APPS = {
    "covariance": "how uncertain each keypoint is, predicted and counted",
    "saliency": "which pixels a descriptor and a match rest on, with a deletion test",
    "align": "register two crops by descending on descriptors, beside Lucas-Kanade",
    "learn": "recover planted constants of SIFT, then learn them on the Oxford sequences",
    "attack": "erase or move keypoints with the least change, judged by cv2.SIFT",
    "invert": "recover an image from its descriptors",
}
FAILURES = (ValueError, TypeError, OSError, ImportError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one application and return its exit code; `argv` is by default that of the process."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] not in APPS:
        print(f"python -m diffsift: {words[0]!r} is none of {', '.join(APPS)}", file=sys.stderr)
        return 2
    try:
        app = import_module(f"diffsift.apps.{words[0]}")
        args = _parser(words[0], app).parse_args(words[1:])
        import torch
        torch.set_num_threads(args.threads)
        app.run(args)
    except SystemExit as stop:                           # argparse has said all there is to say
        return int(stop.code or 0)
    except FAILURES as error:
        print(f"python -m diffsift {words[0]}: {error}", file=sys.stderr)
        return 1
    return 0


def _overview() -> str:
    lines = [f"  {name:12}{what}" for name, what in APPS.items()]
    return "\n".join(["usage: python -m diffsift NAME [options]", "", "What derivatives of SIFT are good for:", "",
                      *lines, "", "python -m diffsift NAME --help says more.", "example:",
                      "  python -m diffsift covariance --image camera -o results"])


def _parser(name: str, app) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m diffsift {name}", description=app.__doc__, epilog=f"example:\n  {app.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--image", default="camera",
                        help="a file, or a photograph of pysift's: camera, chelsea, coffee (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of every random draw (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="for torch (default %(default)s)")
    parser.add_argument("-o", "--output", default=".", metavar="FOLDER",
                        help=f"where diffsift_{name}.json and .png go (default: here)")
    app.add_arguments(parser)
    return parser
