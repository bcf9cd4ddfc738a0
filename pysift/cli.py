"""The command `pysift`: parse, run one module of pysift/commands, turn what is raised into an exit code.

    0 done     1 failed     2 wrong usage     3 some inputs failed     130 interrupted     141 reader gone

Data goes to stdout; progress, warnings and errors to stderr.  Nothing beyond the standard library is
imported before the command is known, so that `pysift --help` answers at once.

imports: usage, commands.report; each command by its name
"""
from __future__ import annotations

import argparse
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from pysift import __version__
from pysift.usage import Parser, reason

COMMANDS = ("detect", "match", "draw", "compare", "trace", "explain", "explore", "demo", "doctor", "warmup")
FAILURES = (ValueError, TypeError, OSError, ImportError, MemoryError, IndexError)
_EPILOG = """\
pysift COMMAND --help says more.

example:
  pysift demo
  pysift match left.jpg right.jpg --draw matches.png"""
_log = logging.getLogger("pysift")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` is by default that of the process."""
    if isinstance(sys.stdout, io.TextIOWrapper):         # a σ on an ASCII terminal must not end the program
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        args = build_parser().parse_args(argv)
        with _logging_to_stderr(logging.WARNING + 10 * (args.quiet - args.verbose)):
            code = _run(args)
    except SystemExit as stop:                           # argparse has said all there is to say
        code = int(stop.code or 0)
    except BrokenPipeError:
        code = 141
    try:
        sys.stdout.flush()
    except BrokenPipeError:                              # `pysift … | head`: nobody reads on
        code = 141
    if code == 141:                                      # lest Python complain when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(args: argparse.Namespace) -> int:
    from pysift.commands.report import UsageError
    try:
        return args.run(args)
    except UsageError as error:
        _log.error("%s (pysift %s --help)", error, args.command)
        return 2
    except KeyboardInterrupt:
        _log.error("interrupted")
        return 130
    except BrokenPipeError:
        raise
    except FAILURES as error:
        _log.error("%s", reason(error))
        _log.debug("where it happened", exc_info=True)
    return 1


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = Parser(prog="pysift", description="SIFT from scratch: find, describe and match keypoints.",
                    epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"pysift {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = import_module(f"pysift.commands.{name}")
        about = (module.__doc__ or "").partition("\n\nimports:")[0]
        sub = commands.add_parser(name, help=module.HELP, description=about,
                                  epilog="example:\n  " + module.EXAMPLE, allow_abbrev=False,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(sub)
        sub.add_argument("-v", "--verbose", action="count", default=0, help="say more on stderr; twice: everything")
        sub.add_argument("-q", "--quiet", action="count", default=0, help="no warnings on stderr, errors only")
        sub.set_defaults(run=module.run)
    return parser


@contextmanager
def _logging_to_stderr(level: int) -> Iterator[None]:
    """Print the messages of the logger "pysift" as `pysift: warning: …` while a command runs."""
    from pysift.commands.report import say

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"pysift: {record.levelname.lower()}: {self.format(record)}", sys.stderr)

    handler = Handler()
    before = _log.level
    _log.addHandler(handler)
    _log.setLevel(level)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.setLevel(before)
