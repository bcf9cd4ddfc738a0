"""The command `python -m diffsift`: find the application, parse its options, run it.

    0 done     1 failed     2 wrong usage     130 interrupted

A summary goes to stdout, errors to stderr.  An application, and torch with it, is imported once its name is known.

imports: apps.options, pysift.usage; each application by its name
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from diffsift.apps.options import count
from pysift.usage import Parser, folder, reason

APPS = {
    "covariance": "how uncertain each keypoint is, predicted and counted",
    "saliency": "which pixels a descriptor and a match rest on, with a deletion test",
    "align": "register two crops by descending on descriptors, beside Lucas-Kanade",
    "learn": "recover planted constants of SIFT, then learn them on the Oxford sequences",
    "attack": "erase or move keypoints with the least change, judged by cv2.SIFT",
    "invert": "recover an image from its descriptors",
}
FAILURES = (ValueError, TypeError, OSError, ImportError, MemoryError)
_EPILOG = """\
python -m diffsift NAME --help says more.

example:
  python -m diffsift covariance --image camera -o results"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one application and return its exit code; `argv` is by default that of the process."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = build_parser(words[0] if words else "").parse_args(words)
        _require("matplotlib", *(["cv2"] if hasattr(args.app, "judge") else []))
        import torch
        torch.set_num_threads(args.threads)
        args.app.run(args)
    except SystemExit as stop:                           # argparse has said all there is to say
        return int(stop.code or 0)
    except KeyboardInterrupt:
        print(f"python -m diffsift {words[0]}: interrupted", file=sys.stderr)
        return 130
    except FAILURES as error:
        print(f"python -m diffsift {words[0]}: {reason(error)}", file=sys.stderr)
        return 1
    return 0


def build_parser(name: str) -> Parser:
    """Make the parser of all applications, with the options of the one that is called `name`."""
    parser = Parser(prog="python -m diffsift", description="What derivatives of SIFT are good for.",
                    epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    apps = parser.add_subparsers(dest="name", metavar="NAME", required=True)
    for other, about in APPS.items():
        app = import_module(f"diffsift.apps.{name}") if other == name else None
        sub = apps.add_parser(other, help=about, description=app and app.__doc__, allow_abbrev=False,
                              epilog=app and f"example:\n  {app.EXAMPLE}",
                              formatter_class=argparse.RawDescriptionHelpFormatter)
        if app:
            _add_options(sub, other, app)
    return parser


def _add_options(parser: Parser, name: str, app) -> None:
    """Add what every application understands, then its own."""
    parser.add_argument("--image", default="camera",
                        help="a file, or a photograph of pysift's: camera, chelsea, coffee (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of every random draw (default %(default)s)")
    parser.add_argument("--threads", type=count, default=1, help="for torch (default %(default)s)")
    parser.add_argument("-o", "--output", default=".", metavar="FOLDER", type=folder,
                        help=f"where diffsift_{name}.json and .png go (default: here)")
    app.add_arguments(parser)
    parser.set_defaults(app=app)


def _require(*packages: str) -> None:
    """Miss what an application needs before its work and not after."""
    for package in packages:
        import_module(package)
