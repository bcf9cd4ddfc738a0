"""What one thread of this machine does at best: arithmetic, adding into bins, copying.

Each ceiling is the best of many short runs of a loop that does nothing else, compiled by the same compiler as
pysift.  A ceiling is a rate that was reached, so the machine may have more, never less.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from pysift.kernels.arithmetic import fma

_ONE, _F32 = np.float32(1), np.float32
_INNERMOST = 2048                                    # float32 values in and out: 16 KiB, half of a small L1 cache


@dataclass(frozen=True)
class Ceilings:
    """Rates of one thread, in 1/s and bytes/s; sizes of the caches in bytes.

    Attributes
    ----------
    multiply_adds : a·b + c in float32, in vectors
    comparisons : minima and maxima of two float32, in vectors
    quotients : pairs of one division and one square root, in vectors
    bins : numbers added to one of 36 bins, at random: a load, an addition, a store
    cells : vectors of eight added to one of 36 cells of eight bins, at random: the same for the eight at once
    copies : name of the memory that holds both arrays → bytes read and written by a copy
    caches : name → size; RAM has none
    """

    multiply_adds: float
    comparisons: float
    quotients: float
    bins: float
    cells: float
    copies: dict[str, float]
    caches: dict[str, int]

    def bandwidth(self, footprint: int) -> float:
        """Bytes/s of the nearest memory that holds so many bytes."""
        return self.copies[next((name for name, size in self.caches.items() if footprint <= size), "RAM")]


def measure_ceilings(quick: bool = False) -> Ceilings:
    """Measure all of them; a second or two, a tenth of that if `quick`."""
    times, runs = (200, 5) if quick else (1000, 15)
    x, out = np.linspace(0.25, 0.75, _INNERMOST, dtype=np.float32), np.empty(_INNERMOST, np.float32)
    bounds = np.linspace(0.3, 0.7, 8, dtype=np.float32)
    done = _INNERMOST * times
    caches = cache_sizes()
    return Ceilings(24 * done / _best(lambda: _polynomials(x, out, times), runs),
                    16 * done / _best(lambda: _clamp(x, bounds, out, times), runs),
                    done / _best(lambda: _divide(x, out, times), runs),
                    *_additions(times, runs), _copies(caches, 3 if quick else 9), caches)


def cache_sizes() -> dict[str, int]:
    """L2 and L3 of the first core in bytes, as Linux tells; 1 and 32 MiB where nobody does."""
    sizes = {"L2": 1 << 20, "L3": 32 << 20}
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        name = "L" + (folder / "level").read_text().strip()
        if name in sizes:
            sizes[name] = int((folder / "size").read_text().strip().removesuffix("K")) * 1024
    return sizes


def _best(call: Callable[[], object], runs: int) -> float:
    """Least seconds of so many runs, after one unmeasured."""
    call()
    seconds = []
    for _ in range(runs):
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return min(seconds)


def _copies(caches: dict[str, int], runs: int) -> dict[str, float]:
    """Bytes/s of copies whose two arrays together fill half a cache, or eight times the largest one."""
    rates = {}
    for name, size in {**{name: size // 2 for name, size in caches.items()}, "RAM": 8 * max(caches.values())}.items():
        source, target = np.ones(size // 2, np.uint8), np.ones(size // 2, np.uint8)
        times = max(1, (1 << 26) // size)

        def copy(source=source, target=target, times=times) -> None:
            for _ in range(times):
                np.copyto(target, source)
        rates[name] = 2 * source.nbytes * times / _best(copy, runs)
    return rates


def _additions(times: int, runs: int) -> tuple[float, float]:
    """Bins/s and cells/s of 36 that are added to at random."""
    rng = np.random.default_rng(0)
    places, amounts = rng.integers(0, 36, 1024).astype(np.uint64), rng.random(1024, np.float32)
    memory = np.zeros(36 * 8 + 16, np.float32)
    cells = memory[-(memory.ctypes.data // 4) % 16:]                        # a cell never lies across two cache lines
    done = len(places) * times
    return (done / _best(lambda: _add_to_bins(memory, places, amounts, times), runs),
            done / _best(lambda: _add_to_cells(cells, places, amounts, times), runs))


@njit(error_model="numpy")
def _polynomials(x, out, times):
    """Two polynomials of x by Horner's rule, 24 multiply-adds: enough that loading and storing do not show."""
    a, b, c, d = _F32(0.1), _F32(0.2), _F32(0.3), _F32(0.4)
    for _ in range(times):
        for i in range(len(x)):
            v = x[i]
            s, t = a, b
            for _ in range(6):
                s, t = fma(s, v, a), fma(t, v, b)
                s, t = fma(s, v, c), fma(t, v, d)
            out[i] = s + t


@njit(error_model="numpy")
def _clamp(x, bounds, out, times):
    """16 minima and maxima in a row, none of which the compiler can foresee."""
    c0, c1, c2, c3, c4, c5, c6, c7 = (bounds[0], bounds[1], bounds[2], bounds[3],
                                      bounds[4], bounds[5], bounds[6], bounds[7])
    for _ in range(times):
        for i in range(len(x)):
            v = min(max(min(max(x[i], c0), c1), c2), c3)
            v = min(max(min(max(v, c4), c5), c6), c7)
            v = min(max(min(max(v, c1), c2), c3), c4)
            out[i] = min(max(min(max(v, c5), c6), c7), c0)


@njit(error_model="numpy")
def _divide(x, out, times):
    for _ in range(times):
        for i in range(len(x)):
            out[i] = np.sqrt(x[i]) + _ONE / x[i]


@njit(error_model="numpy")
def _add_to_bins(bins, places, amounts, times):
    for _ in range(times):
        for k in range(len(places)):
            bins[places[k]] += amounts[k]


@njit(error_model="numpy")
def _add_to_cells(cells, places, amounts, times):
    start = np.uint64(cells.ctypes.data)
    for _ in range(times):
        for k in range(len(places)):
            _add_to_eight(start + np.uint64(32) * places[k], amounts[k])


@intrinsic
def _add_to_eight(typing_context, address, amount):
    """Add an amount to the eight float32 at an address, as one vector."""
    def codegen(context, builder, signature, args):
        eight = ir.VectorType(ir.FloatType(), 8)
        pointer = builder.inttoptr(args[0], eight.as_pointer())
        same = ir.Constant(eight, ir.Undefined)
        for lane in range(8):
            same = builder.insert_element(same, args[1], ir.Constant(ir.IntType(32), lane))
        builder.store(builder.fadd(builder.load(pointer, align=4), same), pointer, align=4)
        return context.get_dummy_value()

    return types.void(types.uint64, types.float32), codegen
