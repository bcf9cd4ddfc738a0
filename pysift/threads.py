"""Threads: kernels release the GIL and take a range, this module splits the range.

Every kernel writes only to its own range, or returns its finds in order, so the result does not
depend on the number of threads.  Plain threads rather than numba's own pool: several Python threads
may then call pysift at once, and a forked process may go on using it.

imports: nothing of pysift
"""
from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from numbers import Integral

_CHUNKS_PER_THREAD = 4               # so that a thread with hard chunks is not waited for too long


def _available() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_threads = _available()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}       # (process, threads): a fork starts afresh


def set_num_threads(n: int) -> None:
    """Use n threads from now on, in every call; the result of a call does not depend on it.

    Raises
    ------
    ValueError : n is not an integer of at least 1.
    """
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n={n!r} is no number of threads: use an integer from 1, "
                         f"for example {_available()}, the processors at hand")
    global _threads
    _threads = int(n)


def get_num_threads() -> int:
    """Return the number of threads in use; at start, the processors that this process may run on."""
    return _threads


def over(n: int, kernel: Callable, *args, grain: int = 1) -> list:
    """Call kernel(*args, first, last) on pieces of range(n) and return the results in order.

    Parameters
    ----------
    n : length of the range; 0 gives one call on the empty range
    kernel : compiled with nogil=True
    grain : least length of a piece that is worth a thread
    """
    pieces = max(1, min(_threads * _CHUNKS_PER_THREAD, n // max(grain, 1)))
    if _threads == 1 or pieces == 1:
        return [kernel(*args, 0, n)]
    bounds = [n * i // pieces for i in range(pieces + 1)]
    results: list = [None] * pieces
    next_piece = count()

    def work() -> None:
        while (i := next(next_piece)) < pieces:
            results[i] = kernel(*args, bounds[i], bounds[i + 1])

    helpers = [_pool().submit(work) for _ in range(min(_threads, pieces) - 1)]
    try:
        work()                                       # the caller is one of the threads
    finally:
        for helper in helpers:
            helper.result()
    return results


def _pool() -> ThreadPoolExecutor:
    key = (os.getpid(), _threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(_threads - 1, thread_name_prefix="pysift")
    return _pools[key]
