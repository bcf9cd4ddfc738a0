"""How long a network takes for a thousand images: after warm-up, the median of repetitions, the threads stated.

    python -m cnn.latency [FOLDER]          MobileNet and its plain twin on 28 × 28 images, one thread
"""
from __future__ import annotations

import datetime
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn

_WARM = 0.3                                                  # s of work before the first measurement
_IMAGES = 1000


@torch.no_grad()
def milliseconds(model: nn.Module, shape: tuple[int, int, int], batch: int, repeat: int = 5) -> float:
    """Return the time for 1000 random images of shape (C, H, W), `batch` at a time [ms].

    Raises
    ------
    ValueError : 1000 is no multiple of `batch`
    """
    if batch < 1 or _IMAGES % batch:
        raise ValueError(f"batch={batch} does not divide {_IMAGES} images: use 1, 10, 100 or 1000")
    images = torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))
    model.eval()
    end = time.monotonic() + _WARM
    while time.monotonic() < end:
        model(images)
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(_IMAGES // batch):
            model(images)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def twins(widths: tuple[float, ...] = (0.25,)) -> list[dict]:
    """Measure MobileNet and its plain twin at some widths: weights do not matter for the time."""
    from cnn.models import MobileNet, summary
    rows = []
    for width in widths:
        for separable in (True, False):
            model = MobileNet(width=width, separable=separable)
            layers = summary(model, (1, 28, 28))
            rows.append({
                "width": width, "separable": separable, "parameters": sum(layer.parameters for layer in layers),
                "multiply_adds": sum(layer.multiply_adds for layer in layers),
                "milliseconds": {batch: milliseconds(model, (1, 28, 28), batch, 3) for batch in (1, 1000)}})
            print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    from cnn import manifest
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    manifest.write_json(folder / "latency.json", {"date": datetime.date.today().isoformat(), "rows": twins(),
                                                  "machine": manifest.machine()})
