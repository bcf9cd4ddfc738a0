"""How time is taken: calls in turn, page faults beside the seconds, intervals by bootstrap, fresh processes.

Whether a call gets fresh memory from the system is decided by what the allocator kept of the calls before, and a
fresh page costs more than the blur that fills it.  So there are three regimes, of which a process has one from
its start to its end:

    as installed        nothing is set: the C library decides, and differently after other calls
    kept                memory once used is never given back (glibc's mmap_max = 0, trim_threshold without end)
    kept, huge pages    the same in pages of 2 MiB, as NumPy asks for its own large arrays (hugetlb = 1)
"""
from __future__ import annotations

import gc
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from statistics import median
from time import perf_counter
from unittest.mock import patch

import numpy as np

_KEPT = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=9000000000000000000"
REGIMES = {"as installed": {}, "kept": {"GLIBC_TUNABLES": _KEPT},
           "kept, huge pages": {"GLIBC_TUNABLES": f"{_KEPT}:glibc.malloc.hugetlb=1"}}
_DRAWS = 2000


@dataclass
class Samples:
    """What the calls of one name took."""

    seconds: list[float] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)         # fresh pages handed out by the system

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return median(self.seconds)


def alternate(calls: dict[str, Callable[[], object]], rounds: dict[str, int] | int) -> dict[str, Samples]:
    """Time calls in turn, A B C A B C …; one whose rounds are over is left out of the turns that follow.

    Nothing is warmed up here.  The garbage collector rests meanwhile, as in Python's own timeit.
    """
    rounds = dict.fromkeys(calls, rounds) if isinstance(rounds, int) else rounds
    samples = {name: Samples() for name in calls}
    for turn in range(max(rounds.values())):
        for name, call in calls.items():
            if turn < rounds[name]:
                seconds, faults = once(call)
                samples[name].seconds.append(seconds)
                samples[name].faults.append(faults)
    return samples


def once(call: Callable[[], object]) -> tuple[float, int]:
    """Seconds and page faults of one call."""
    gc.disable()
    try:
        faults, start = _page_faults(), perf_counter()
        call()
        seconds = perf_counter() - start
        return seconds, _page_faults() - faults
    finally:
        gc.enable()


def processors() -> int:
    """How many processors this process may run on: fewer than the machine has where it was pinned."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _page_faults() -> int:
    """Pages this process was given so far; 0 on systems that do not count them."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def ratio(above: list[float], below: list[float]) -> tuple[float, tuple[float, float]]:
    """Ratio of the medians of two lists of seconds, and its 95 % interval: bootstrap, percentiles of 2000 draws.

    >>> ratio([2, 2, 2], [1, 1, 1])
    (2.0, (2.0, 2.0))
    """
    rng = np.random.default_rng(0)
    drawn = _drawn_medians(above, rng) / _drawn_medians(below, rng)
    return median(above) / median(below), interval(drawn)


def exponent(x: list[float], seconds: list[list[float]]) -> tuple[float, tuple[float, float]]:
    """Slope p of log t over log x by least squares, t ~ x^p, and its 95 % interval from draws of the rounds.

    Parameters
    ----------
    x : n positive numbers, not all equal
    seconds : for each of them the seconds of its rounds

    The interval speaks of the noise of the rounds alone; how far the points lie off a line is `bend`.

    >>> round(exponent([1, 10, 100], [[2], [20], [200]])[0], 9)
    1.0
    """
    rng = np.random.default_rng(0)
    drawn = _slopes(x, np.stack([_drawn_medians(rounds, rng) for rounds in seconds]))
    return float(_slopes(x, np.array([[median(rounds)] for rounds in seconds]))[0]), interval(drawn)


def bend(x: list[float], seconds: list[list[float]]) -> float:
    """Farthest that a median lies off the fitted line, as a share of it: 0 is a straight line.

    >>> round(bend([1, 2, 4], [[1], [4], [4]]), 2)
    0.59
    """
    across, up = np.log(x), np.log([median(rounds) for rounds in seconds])
    slope, shift = np.polyfit(across, up, 1)
    return float(np.expm1(np.abs(up - slope * across - shift).max()))


def _drawn_medians(rounds: list[float], rng: np.random.Generator) -> np.ndarray:
    return np.median(rng.choice(rounds, (_DRAWS, len(rounds))), axis=1)


def _slopes(x: list[float], times: np.ndarray) -> np.ndarray:
    """Slope of each column of (n, draws) on log–log axes."""
    across = np.log(x) - np.log(x).mean()
    return across @ np.log(times) / (across @ across)


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of draws."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def in_fresh_process(environment: dict[str, str], function: Callable, *arguments):
    """Call a module's function in a new interpreter that starts with these variables set; return its result.

    Raises
    ------
    BrokenProcessPool : the process was killed, for want of memory as a rule
    """
    with patch.dict(os.environ, environment), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
