"""Forward and backward of batches on a GPU: milliseconds and peak memory, diffsift beside kornia.

Batches of 1, 2, 4 … 64 images of 640 × 480 and 1600 × 1200 with 256 slots each.  A batch that does not fit is
written down as such; after one that does not, or that takes more than PATIENCE, larger ones of that contestant are
left out.  Contestants take turns, batch by batch.  Stopped early, it writes what it has.
"""
from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import perf_counter

import numpy as np
import torch

from benchmarks import record
from benchmarks.differentiable import Contestant, Passes, absent, present
from benchmarks.photographs import sized

SIZES = ((640, 480), (1600, 1200))                      # width, height
BATCHES = (1, 2, 4, 8, 16, 32, 64)
SLOTS = 256
PATIENCE = 2000.0                                       # ms, forward and backward of a batch
_ROUNDS = 3


def run(*, quick: bool = False, data: str | None = None) -> list[dict]:
    """Measure everything; a row for each contestant, size and batch."""
    from benchmarks.gradients_figure import draw_batches

    if not torch.cuda.is_available():
        raise SystemExit("gradients_cuda needs a GPU, and torch finds none here: run it on a machine with one and "
                         "a torch built for it")
    rows: list[dict] = []
    try:
        for row in measure(BATCHES[:3] if quick else BATCHES):
            rows.append(row)
            print(_line(row), flush=True)
    finally:
        if rows:
            record.write("gradients_cuda", quick, device=torch.cuda.get_device_name(), cuda=torch.version.cuda,
                         slots=SLOTS, patience=PATIENCE, absent=absent(), rows=rows)
            record.save_figure(draw_batches(rows), "gradients_cuda", quick)
    return rows


def measure(batches: tuple[int, ...]) -> Iterator[dict]:
    """One row a contestant, size and batch."""
    for contestant in present():                        # once, unmeasured: libraries are loaded, kernels are chosen
        _row(contestant, *SIZES[0], 1)
    for width, height in SIZES:
        fit = present()
        for batch in batches:
            for contestant in fit:
                row = {"contestant": contestant.name, "width": width, "height": height, "batch": batch,
                       **_row(contestant, width, height, batch)}
                yield row
                if "failed" in row or sum(row["median"].values()) > PATIENCE:
                    fit = [other for other in fit if other is not contestant]


def _line(row: dict) -> str:
    what = f"{row['contestant']:<18}{row['width']:>5} × {row['height']:<5}{row['batch']:>3} images  "
    if "failed" in row:
        return what + row["failed"]
    forward, backward = row["median"].values()
    return what + f"forward {forward:8.1f} ms  backward {backward:8.1f} ms  {row['peak_bytes'] / 2**30:6.2f} GiB"


def _row(contestant: Contestant, width: int, height: int, batch: int) -> dict:
    """Milliseconds of each round and peak bytes, or why there are none."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    try:
        taken = time_batch(contestant, _images(width, height, batch), "cuda")
    except (torch.OutOfMemoryError, RuntimeError) as error:
        return {"failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    return {**taken, "median": {kind: median(ms) for kind, ms in taken.items()},
            "peak_bytes": torch.cuda.max_memory_allocated()}


def time_batch(contestant: Contestant, images: torch.Tensor, device: str) -> dict[str, list[float]]:
    """Milliseconds of forward and backward, the queue empty before and after each; the first round is dropped."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    passes = Passes(contestant.build(SLOTS, device), images.to(device))
    taken: dict[str, list[float]] = {"forward": [], "backward": []}
    for turn in range(1 + _ROUNDS):
        for kind in taken:
            wait()
            start = perf_counter()
            getattr(passes, kind)()
            wait()
            if turn:
                taken[kind].append(1e3 * (perf_counter() - start))
    return taken


def _images(width: int, height: int, batch: int) -> torch.Tensor:
    """The same picture `batch` times, each moved on by 37 columns, (B, 1, H, W)."""
    grey = sized(height, width).astype(np.float32) / 255
    return torch.from_numpy(np.stack([np.roll(grey, 37 * i, 1) for i in range(batch)]))[:, None]
