"""Progress on stderr: tqdm's bar where a person looks at a terminal, nothing elsewhere."""
from __future__ import annotations

import sys
from collections.abc import Callable


class Bar:
    """A bar of `total` units; `update(n, note)` moves it.  A context manager."""

    def __init__(self, total: int | None, label: str, unit: str = "it", start: int = 0):
        self._bar = None
        if sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:                              # the bar is a comfort: pip install "siftgrad[cli]"
                return
            self._bar = tqdm(total=total, desc=label, unit=unit, initial=start, unit_scale=unit == "B",
                             dynamic_ncols=True, leave=False)

    def update(self, n: int = 1, note: str = "") -> None:
        """Move on by `n` units."""
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(n)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.close()


def download_bar(label: str) -> Callable[[int, int | None], None]:
    """Return what `cnn.download.fetch` reports to."""
    bars: list[Bar] = []
    seen = [0]

    def report(done: int, total: int | None) -> None:
        if not bars:
            bars.append(Bar(total, label, unit="B"))
        bars[0].update(done - seen[0])
        seen[0] = done
        if done == total:
            bars[0].__exit__()

    return report
