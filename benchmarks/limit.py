"""How near each stage of pysift comes to what the machine allows, on one thread.

    rates of the machine (benchmarks.ceilings)  ─┐
    counts of each stage (benchmarks.counts)    ─┴→  bound = the longest of its resources  →  share = bound / time

Resources that different units serve may be busy at once, so the longest of them bounds the time from below, not
their sum.  The bound takes for granted that nothing waits: no latency, no misses but those of the bytes counted,
every vector full.  So a share says what is left at most, not what can be had.  Histograms: the bound is that of a
load, an addition and a store for each bin, of eight bins at once for each cell of a descriptor, at places drawn at
random; samples of a keypoint that follow one another into the same bins wait for each other, which is not in it.
Stages without a bound are refinement and selection, whose numbers are few, and what lies between the stages.
"""
from __future__ import annotations

from dataclasses import asdict
from statistics import median

from matplotlib.figure import Figure

import pysift
from benchmarks import record
from benchmarks.ceilings import Ceilings, measure_ceilings
from benchmarks.counts import Count, count_stages
from benchmarks.photographs import sized
from benchmarks.stages import STAGES, stage_seconds, work_of
from pysift.cv import native_lanes
from pysift.threads import get_num_threads

SIZES = ((512, 512), (1280, 854), (4000, 3000))                                 # width, height
_COLOURS = {"multiply-adds": "#1f77b4", "comparisons": "#9467bd", "quotients": "#8c564b", "bins": "#2ca02c",
            "cells": "#bcbd22", "bytes": "#ff7f0e"}


def run(*, quick: bool = False, data: str | None = None) -> dict[str, dict[str, float | None]]:
    """Print and record the share of the bound that each stage reaches; returns {image: {stage: share}}."""
    threads = get_num_threads()
    pysift.set_num_threads(1)
    try:
        ceilings = measure_ceilings(quick)
        _print_ceilings(ceilings)
        rows = [row for width, height in SIZES[:1 if quick else None]
                for row in measure(width, height, ceilings, 7 if quick else 15)]
    finally:
        pysift.set_num_threads(threads)
    record.write("limit", quick, threads=1, ceilings=asdict(ceilings), rows=rows)
    record.save_figure(draw(rows), "limit", quick)
    return {row["image"]: {r["stage"]: r["share"] for r in rows if r["image"] == row["image"]} for row in rows}


def measure(width: int, height: int, ceilings: Ceilings, rounds: int) -> list[dict]:
    """Time the stages on one image and hold them against their bounds; a row for each stage, the whole last."""
    params, grey = pysift.SIFTParams.opencv(simd_lanes=native_lanes()), sized(height, width)
    seconds = stage_seconds(grey, params, rounds)
    counts, samples = count_stages(work_of(grey, params), params)
    seconds["whole"] = [sum(each) for each in zip(*(seconds[name] for name in STAGES))]
    rows = []
    for stage in seconds:
        bounds = bounds_of(counts[stage], ceilings) if stage in counts else {}
        row = {"image": f"{width} × {height}", "stage": stage, "seconds": seconds[stage], "bounds": bounds,
               "bound": max(bounds.values(), default=None), "binding": max(bounds, key=bounds.get, default=None)}
        if stage in counts:
            row["counts"] = {**asdict(counts[stage]), "bytes": counts[stage].bytes}
        if stage in samples:
            row["samples"], row["samples_by_formula"] = samples[stage]
        if stage == "whole":
            row["bound"], row["binding"] = sum(r["bound"] or 0 for r in rows), "sum of the bounds"
        row["share"] = row["bound"] / median(seconds[stage]) if row["bound"] is not None else None
        rows.append(row)
    _print_rows(rows)
    return rows


def bounds_of(count: Count, ceilings: Ceilings) -> dict[str, float]:
    """Seconds that each resource needs at least; those that are not needed are left out.

    >>> rates = Ceilings(2e9, 1e9, 1e9, 1e9, 1e9, {"RAM": 1e9}, {})
    >>> bounds_of(Count(multiply_adds=4e9, moved=[(10**9, 10**9)]), rates)
    {'multiply-adds': 2.0, 'bytes': 1.0}
    """
    bounds = {"multiply-adds": count.multiply_adds / ceilings.multiply_adds,
              "comparisons": count.comparisons / ceilings.comparisons,
              "quotients": count.quotients / ceilings.quotients,
              "bins": count.bins / ceilings.bins, "cells": count.cells / ceilings.cells,
              "bytes": sum(amount / ceilings.bandwidth(footprint) for amount, footprint in count.moved)}
    return {name: seconds for name, seconds in bounds.items() if seconds}


def _print_ceilings(ceilings: Ceilings) -> None:
    rates = ", ".join(f"{value / 1e9:.1f} G {name.replace('_', '-')}/s" for name, value in asdict(ceilings).items()
                      if isinstance(value, float))
    copies = ", ".join(f"{rate / 1e9:.0f} GB/s in {name}" for name, rate in ceilings.copies.items())
    print(f"one thread: {rates}; copies {copies}")


def _print_rows(rows: list[dict]) -> None:
    whole = median(rows[-1]["seconds"])
    print(f"\n{rows[0]['image']:<22}{'ms':>9}{'of all':>8}{'bound ms':>10}{'share':>8}  bound by, of")
    for row in rows:
        time = median(row["seconds"])
        bound = f"{'-':>10}{'-':>8}  " if row["bound"] is None else f"{1e3 * row['bound']:>10.3f}{row['share']:>8.1%}  "
        others = ", ".join(f"{name} {1e3 * seconds:.3f}" for name, seconds in row["bounds"].items())
        print(f"{row['stage']:<22}{1e3 * time:>9.2f}{time / whole:>8.1%}{bound}{row['binding'] or ''}"
              f"{f' ({others} ms)' if len(row['bounds']) > 1 else ''}")
        if "samples" in row:
            print(f"{'':<22}{row['samples']} samples inside the image, {row['samples_by_formula']:.0f} by the formula")


def draw(rows: list[dict]) -> Figure:
    """Draw the time of each stage, and on it the bound in the colour of the resource that sets it."""
    images = list(dict.fromkeys(row["image"] for row in rows))
    figure = Figure(figsize=(4.6 * len(images) + 1.6, 4), layout="constrained")
    for axes, image in zip(figure.subplots(1, len(images), sharey=True, squeeze=False)[0], images):
        stages = [row for row in rows if row["image"] == image and row["stage"] != "whole"]
        times = [1e3 * median(row["seconds"]) for row in stages]
        axes.barh(range(len(stages)), times, color="0.85")
        for y, (row, time) in enumerate(zip(stages, times)):
            if row["bound"] is not None:
                axes.barh(y, 1e3 * row["bound"], color=_COLOURS[row["binding"]])
            share = "no bound" if row["share"] is None else f"{row['share']:.0%}"
            axes.text(time, y, f" {share}", va="center")
        axes.set_yticks(range(len(stages)), [row["stage"] for row in stages])
        axes.set_ylim(len(stages) - 0.4, -0.6)
        axes.set_xlim(0, 1.2 * max(times))
        axes.set_xlabel("ms, one thread; in colour the bound")
        axes.set_title(image)
    bound_by = {row["binding"] for row in rows if row["binding"] in _COLOURS}
    for name in [name for name in _COLOURS if name in bound_by]:
        axes.barh(0, 0, color=_COLOURS[name], label=f"bound by {name}")
    figure.legend(loc="outside lower center", ncols=2 * len(images), frameon=False)
    return figure
