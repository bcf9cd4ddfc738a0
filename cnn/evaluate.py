"""What a network answers, and how right it is."""
from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cnn.data import Source, normalise


@torch.no_grad()
def logits(model: nn.Module, images: Tensor, source: Source, batch: int = 500) -> Tensor:
    """Return the logits (N, K) of images (N, C, H, W), uint8 or [0, 1], in evaluation mode, wherever the model is."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    rows = [model(normalise(images[i:i + batch].to(device), source)).cpu() for i in range(0, len(images), batch)]
    model.train(was_training)
    return torch.cat(rows)


def accuracy(scores: Tensor, labels: Tensor) -> float:
    """Return the part of rows (N, K) that are largest at their label.

    >>> accuracy(torch.tensor([[1., 2.], [1., 0.]]), torch.tensor([1, 1]))
    0.5
    """
    return (scores.argmax(1) == labels).double().mean().item()


def wilson(right: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion measured on n cases [Wilson 1927].

    >>> [round(x, 4) for x in wilson(0.99, 10000)]
    [0.9879, 0.9918]
    """
    z = 1.959963984540054
    centre = (right + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(right * (1 - right) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def mean_interval(values: list[float]) -> tuple[float, float]:
    """Return the mean of runs and half the width of its 95 % interval, by Student's t.

    >>> [round(x, 4) for x in mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])]
    [3.0, 1.9632]
    """
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return mean, math.nan
    deviation = math.sqrt(math.fsum((v - mean)**2 for v in values) / (n - 1))
    return mean, student_t(n - 1) * deviation / math.sqrt(n)


def student_t(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t, from tables up to 30 degrees of freedom, 1.96 beyond."""
    table = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604,
             2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555,
             2.0518, 2.0484, 2.0452, 2.0423)
    return table[freedom - 1] if freedom <= len(table) else 1.96
