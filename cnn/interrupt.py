"""Ctrl-C as a wish: the step is finished and kept, then the program ends.  A second Ctrl-C ends it at once."""
from __future__ import annotations

import signal
import threading


class Interruption:
    """While it is entered, the first SIGINT or SIGTERM sets `asked`; the next does what it does elsewhere."""

    def __init__(self):
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():        # elsewhere Python allows no handlers
            self._before = {s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_) -> None:
        self._restore()

    def _ask(self, *_) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
