"""What a command line says when it was asked for what it cannot do: what was meant, what is missing, what to do.

All three command lines use it; it imports nothing, so that each can answer `--help` at once.
"""
from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

_EXTRAS = {"torch": 'pip install "siftgrad[torch]"', "matplotlib": 'pip install "siftgrad[plot]"',
           "cv2": 'pip install "siftgrad[cv2]"'}
_UNKNOWN = re.compile(r"unrecognized arguments: ([^\s=]+)")
_LACKS = re.compile(r"argument .*: expected .* argument")
_NEGATIVE = re.compile(r"-[\d.]")
_CHOICE = re.compile(r"argument .*: invalid choice: '(.*?)'")


class Parser(argparse.ArgumentParser):
    """argparse that suggests what was meant, and that shows its help where nothing at all was asked for.

    >>> parser = Parser(prog="draw")
    >>> action = parser.add_argument("--colour", choices=("red", "blue"))
    >>> parser.suggestion("unrecognized arguments: --color", ["--color"])
    '--colour'
    >>> parser.suggestion("argument --colour: invalid choice: 'bleu'", ["--colour", "bleu"])
    'blue'
    """

    _words: Sequence[str] = ()

    def parse_known_args(self, args=None, namespace=None):
        """Parse; a sub-command refuses what it does not know itself: the main parser has no options to guess."""
        self._words = sys.argv[1:] if args is None else list(args)
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        """Exit with 2: the usage (or all the help if there are commands and none was named), why, and a guess."""
        if self._words or not self._subparsers:
            self.print_usage(sys.stderr)
        else:
            self.print_help(sys.stderr)
        near = self.suggestion(message, self._words)
        self.exit(2, f"{self.prog}: error: {message}\n" + (f"did you mean {near}?\n" if near else ""))

    def suggestion(self, message: str, words: Sequence[str]) -> str | None:
        """Return the option, command or choice most like a word that is none; None where nothing is alike.

        A value that starts with a minus looks like an option: it is suggested with an equals sign.
        """
        for option, value in zip(words, words[1:]):
            if _LACKS.search(message) and option in self._option_string_actions and _NEGATIVE.match(value):
                return f"{option}={value}"
        known = [*self._option_string_actions, *(str(c) for action in self._actions for c in action.choices or ())]
        guesses = (near for word in self._strangers(message, words)
                   for near in difflib.get_close_matches(word, known, 1))
        return next(guesses, None)

    def _strangers(self, message: str, words: Sequence[str]) -> Iterator[str]:
        """Yield the words that the message complains of, then all that look like options and are none."""
        for pattern in (_CHOICE, _UNKNOWN):
            yield from pattern.findall(message)[:1]
        for word in words:
            option = word.partition("=")[0]
            if option.startswith("--") and option != "--" and option not in self._option_string_actions:
                yield option


def reason(error: BaseException) -> str:
    """Say why a command failed and what helps, also where Python's own words say neither.

    >>> reason(ModuleNotFoundError("No module named 'cv2'", name="cv2"))
    'cv2 is not installed: pip install "siftgrad[cv2]"'
    >>> reason(FileNotFoundError(2, "No such file or directory", "a/b.json"))
    'a/b.json: no such file or directory: check the name, its folder and its permissions'
    """
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] in _EXTRAS:
        package = str(error.name).partition(".")[0]
        return f"{package} is not installed: {_EXTRAS[package]}"
    if isinstance(error, OSError) and error.filename is not None:
        words = (error.strerror or "cannot be used").lower()
        return f"{error.filename2 or error.filename}: {words}: check the name, its folder and its permissions"
    return str(error) or type(error).__name__


def folder(text: str) -> str:
    """Type of an option that names a folder to write to; it need not exist, but it must be possible.

    >>> folder("results/of/today")
    'results/of/today'
    """
    path = Path(text)
    nearest = next(p for p in (path, *path.parents) if p.exists())
    if not nearest.is_dir():
        raise argparse.ArgumentTypeError(f"{nearest} is a file: name a folder")
    if not os.access(nearest, os.W_OK):
        raise argparse.ArgumentTypeError(f"{nearest} may not be written to: name another folder")
    return text
