"""The parser of the command lines: argparse, with a guess at what a misspelt word should have been.

imports: nothing of pysift
"""
from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

_UNKNOWN = re.compile(r"unrecognized arguments: ([^\s=]+)")
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
        """Parse; a sub-command refuses what it does not know itself, because the main parser has no options to guess."""
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
        """Return the option, command or choice most like a word that is none; None where nothing is alike."""
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
