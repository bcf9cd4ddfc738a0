"""How long a network takes for a thousand images: after warm-up, the median of repetitions, the threads stated."""
from __future__ import annotations

import statistics
import time

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
