"""What each stage of pysift takes, and what it works on: the one place that knows the names inside the pipeline.

    image → read → scale space (doubling and first blur, levels, and while they are in the cache: extrema) → refine
          → orientations → selection → descriptors → normalising

The pipeline runs as it is; the names by which it calls its stages are replaced by the same functions with a clock.
"""
from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from unittest.mock import patch

import numpy as np

import pysift
from benchmarks.timing import alternate
from pysift import SIFTParams, pipeline, scalespace
from pysift.image import grey_levels

BASE, LEVELS, EXTREMA, REST = "doubling, first blur", "levels", "extrema", "everything else"
CALLED = {"read": "read", "refine": "refine", "assign_orientations": "orientations",
          "select": "selection", "describe_octave": "descriptors", "normalise": "normalising"}
STAGES = (BASE, LEVELS, EXTREMA, *CALLED.values(), REST)


def stage_seconds(image: np.ndarray, params: SIFTParams, rounds: int) -> dict[str, list[float]]:
    """Seconds of each stage in each of so many calls of pysift.sift, after one unmeasured; stage → (rounds,)."""
    call = partial(pysift.sift, image, params)
    call()
    result: dict[str, list[float]] = {name: [] for name in STAGES}
    for _ in range(rounds):
        with _clocks() as taken:
            total = alternate({"sift": call}, 1)["sift"].seconds[0]
        taken[LEVELS] -= taken[BASE] + taken[EXTREMA]
        taken[REST] = total - sum(taken.values())
        for name, seconds in taken.items():
            result[name].append(seconds)
    return result


@contextmanager
def _clocks():
    """Within the block each stage adds its seconds to what is yielded; LEVELS includes BASE and EXTREMA."""
    taken = dict.fromkeys(STAGES[:-1], 0.0)

    def clocked(stage, function):
        def call(*args, **options):
            start = perf_counter()
            try:
                return function(*args, **options)
            finally:
                taken[stage] += perf_counter() - start
        return call

    @contextmanager
    def space(*args, **options):
        with ExitStack() as stack:
            octaves = clocked(LEVELS, stack.enter_context)(original(*args, **options))
            yield octaves

    def scanner(*args):
        return clocked(EXTREMA, true_scanner(*args))

    original, true_scanner = pipeline.borrowed_scalespace, pipeline.scanner
    with ExitStack() as patches:
        for name, stage in CALLED.items():
            patches.enter_context(patch.object(pipeline, name, clocked(stage, getattr(pipeline, name))))
        patches.enter_context(patch.object(scalespace, "base_image", clocked(BASE, scalespace.base_image)))
        patches.enter_context(patch.object(pipeline, "borrowed_scalespace", space))
        patches.enter_context(patch.object(pipeline, "scanner", scanner))
        yield taken


@dataclass(frozen=True)
class Work:
    """What the stages meet on one image; a list has one entry for each octave."""

    input_shape: tuple[int, int]
    shapes: list[tuple[int, int]]           # height, width of the octave
    candidates: list[int]                   # of step 2, refined by step 3
    refined: list[np.ndarray]               # (N, 3) float64, what step 4 meets: column, row, σ, in octave pixels
    described: list[np.ndarray]             # (M, 4) float64, step 5: x, y, σ in octave pixels, θ in radians


def work_of(image: np.ndarray, params: SIFTParams) -> Work:
    """Return what the stages meet on this image."""
    octaves = scalespace.build_scalespace(grey_levels(image), params)
    keypoints = pysift.sift(image, params).keypoints
    finds = {o.index: pipeline.search(o, params) for o in octaves if min(o.levels.shape[1:]) > 2 * params.border}
    kept = {index: find.refined.kept for index, find in finds.items()}
    described = []
    for octave in octaves:
        k, pixel = keypoints[keypoints.octave == octave.index], 2.0 ** octave.index
        described.append(np.stack([k.x / pixel, k.y / pixel, k.sigma / pixel, k.theta], axis=1).astype(np.float64))
    return Work(image.shape[:2], [o.levels.shape[1:] for o in octaves],
                [len(finds[o.index].candidates) if o.index in finds else 0 for o in octaves],
                [np.stack([kept[o.index].col, kept[o.index].row, kept[o.index].sigma], axis=1).astype(np.float64)
                 if o.index in kept else np.empty((0, 3)) for o in octaves], described)
