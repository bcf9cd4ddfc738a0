"""Working memory that outlives a call, and that the system may take back between two.

    borrowed(n) → n float32 of no particular value → kept for the next call, marked as free

Fresh memory comes from the system page by page, cleared, which takes as long as the blurs that fill it.  So the
buffer of a call is kept.  One of more than 256 MiB is marked with Linux' MADV_FREE while nobody uses it: its pages
stay until some process runs short of memory, which then gets them without asking; the next call finds what is left
of them, and gets fresh ones for the others.  Where there is no such mark, a buffer of this size is not kept.

imports: nothing of pysift
"""
from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_UNMARKED = 256 << 20                               # bytes that are kept for ourselves
_HUGE = 2 << 20                                     # bytes of a huge page
_spare: deque[_Buffer] = deque(maxlen=1)            # the buffer of the last call, if nobody uses it


class _Buffer:
    """n float32 from the start of a page on, in pages of 2 MiB where the system has them."""

    def __init__(self, n: int) -> None:
        n_bytes = max(4 * n, 1)
        private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
        try:
            self.pages = mmap.mmap(-1, n_bytes, **private)
        except OSError as error:
            raise MemoryError(f"the system has no {n_bytes / 2**30:.1f} GiB to give: resize the image with "
                              "pysift.resize_keep_aspect, or do not double it: SIFTParams(first_octave=0)") from error
        if n_bytes >= _HUGE:
            self._advise("MADV_HUGEPAGE")
        self.values = np.frombuffer(self.pages, np.float32, n)

    def give_back(self) -> bool:
        """Let the system have a large buffer when it runs short of memory; says whether this one may be kept."""
        return self.values.nbytes <= _UNMARKED or self._advise("MADV_FREE")

    def _advise(self, name: str) -> bool:
        if not hasattr(mmap, name):
            return False
        try:
            self.pages.madvise(getattr(mmap, name))
        except OSError:                             # a system built without it
            return False
        return True


@contextmanager
def borrowed(n: int) -> Iterator[np.ndarray]:
    """Lend n float32 of no particular value for the length of a `with` block.

    Raises
    ------
    MemoryError : the system does not have as much

    >>> with borrowed(1000) as values: values.shape, values.dtype
    ((1000,), dtype('float32'))
    """
    try:
        buffer = _spare.pop()                       # atomic: two threads never get the same
    except IndexError:
        buffer = _Buffer(n)
    if buffer.values.size < n:
        buffer = _Buffer(n)
    try:
        yield buffer.values[:n]
    finally:
        if buffer.give_back():
            _spare.append(buffer)
