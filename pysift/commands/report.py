"""What a command says: lines and JSON on stdout, messages and progress on stderr, pictures in files.

imports: files, usage
"""
from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from pysift.usage import reason

_log = logging.getLogger("pysift")


class UsageError(Exception):
    """The command line asks for what cannot be: exit code 2."""


def say(text: str, file: TextIO | None = None) -> None:
    """Print a line, to stdout if not said otherwise, above a progress bar if there is one."""
    tqdm = sys.modules.get("tqdm")
    (tqdm.tqdm.write if tqdm else print)(text, file=file or sys.stdout)
    (file or sys.stdout).flush()                         # a reader down the pipe sees each image as it is done


def to_json(value: Any) -> str:
    """JSON on one line; NaN and inf, which JSON lacks, become null, and arrays lists.

    >>> to_json({"mean": float("nan"), "path": Path("a")})
    '{"mean": null, "path": "a"}'
    """
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):                         # a NumPy array or number
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def each_image(args: argparse.Namespace, work: Callable[[str], tuple[dict, str]]) -> int:
    """Do `work` on each of args.images; one that fails does not stop the rest.

    `work` returns what to report, as a dict for --json and as text.  Returns the exit code: 0, 1 if all
    failed, 3 if some did.
    """
    failed = 0
    for source in _progress(args.images, args.quiet > 0):
        try:
            record, text = work(source)
        except (ValueError, TypeError, OSError, MemoryError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            failed += 1
            message = reason(error)
            _log.error("%s", message if source in message else f"{source}: {message}")
            _log.debug("where it happened", exc_info=True)
            record, text = {"image": source, "error": message}, ""
        if args.json:
            say(to_json(record))
        elif text:
            say(text)
    return 0 if not failed else 1 if failed == len(args.images) else 3


def _progress(items: Sequence[str], quiet: bool) -> Iterable[str]:
    """Show a bar on stderr while there is more than one item, a terminal, and tqdm."""
    if quiet or len(items) < 2:
        return items
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return items
    return tqdm(items, disable=None, unit="image", leave=False)              # None: only on a terminal


def save_picture(path: str | Path, drawn: Any) -> None:
    """Save the figure of an Axes, or a Figure, in the format of the suffix; PNG without one."""
    from pysift.files import replacing
    with replacing(path) as part:
        drawn.figure.savefig(part, dpi=150, format=Path(path).suffix[1:].lower() or "png")
