"""The command `cnnlab`: parse, run one command of cnn/commands, turn what is raised into an exit code.

    0 done     1 failed     2 wrong usage     3 some inputs failed     130 interrupted

Data goes to stdout; progress and errors to stderr.  torch is imported once the command is known.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from pysift.usage import Parser, reason

COMMANDS = ("train", "eval", "compare", "predict", "gradflow")
FAILURES = (ValueError, TypeError, OSError, ImportError, MemoryError)
_EPILOG = """\
cnnlab COMMAND --help says more; python -m cnn is the same.

example:
  cnnlab predict --demo
  cnnlab gradcam chelsea -o places.png"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` is by default that of the process."""
    try:
        args = build_parser().parse_args(argv)
        return run(args)
    except SystemExit as stop:                               # argparse has said all there is to say
        return int(stop.code or 0)


def run(args: argparse.Namespace) -> int:
    """Run a parsed command and return its exit code."""
    try:
        if getattr(args, "threads", None) is not None:
            import torch
            torch.set_num_threads(args.threads)
        return args.run(args) or 0
    except KeyboardInterrupt as stop:
        print(f"cnnlab {args.command}: {stop or 'interrupted'}", file=sys.stderr)
        return 130
    except FAILURES as error:
        print(f"cnnlab {args.command}: {reason(error)}", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = Parser(prog="cnnlab", description="Train, question and explain convolutional networks.",
                    epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = import_module(f"cnn.commands.{name}")
        sub = commands.add_parser(name, help=module.HELP, description=module.__doc__, allow_abbrev=False,
                                  epilog="example:\n  " + module.EXAMPLE,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    explain = import_module("cnn.explain.commands")
    explain.add_saliency(commands)
    explain.add_gradcam(commands)
    return parser
