"""Do gradients vanish?  {plain, residual} × {batch norm, none} × depth × seed, measured layer by layer.

    g_k = ∂loss/∂a_k, a_k the output of the k-th ReLU, k = 1 … depth − 1
    ln ‖g_k‖ = c − slope · k  by least squares: the slope is the growth a layer on the way from the loss to the image

    slope < 0   the gradient shrinks on its way back: it vanishes with depth
    slope > 0   it grows: it explodes
    slope = 0   neither

The networks are He's family for CIFAR-10, 6n + 2 layers [He et al. 2016, §4.2], started as He et al. 2015 start.
In §4.1 of the former its authors write of plain networks with batch norm that the difficulty "is unlikely to be caused
by vanishing gradients": the rows with batch norm test that.
"""
from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn import data
from cnn.evaluate import mean_interval

KINDS = tuple(product((False, True), (True, False)))         # shortcuts, batch norm


@dataclass(frozen=True)
class Study:
    """What to measure, and how long to train in between."""

    depths: tuple[int, ...] = (8, 14, 20, 32, 56)
    seeds: int = 5
    size: int = 32                                           # px, CIFAR-10 is averaged down to it
    batch: int = 64
    steps: int = 0                                           # of training; 0: the start alone
    rate: float = 0.02                                       # of momentum 0.9

    def __post_init__(self):
        """Check the size, ValueError otherwise."""
        if self.size not in (8, 16, 32):
            raise ValueError(f"size={self.size} px must be 8, 16 or 32: CIFAR-10 is averaged down to it")


def measure(study: Study, files: str | Path | None = None, say: Callable[[str], object] = lambda line: None) -> dict:
    """Measure every network of a study at its start and, with steps > 0, after training.

    Parameters
    ----------
    study : what to measure
    files : folder of CIFAR-10, None downloads it
    say : called with a line a network

    Returns
    -------
    date, study, and rows: one a network and time, with the norms of its layers, its slope and its loss

    Raises
    ------
    ValueError : a depth that is not 6n + 2
    OSError : CIFAR-10 cannot be read
    """
    part = data.load("cifar10", "train", files).first(max(study.batch, 10_000))
    images = F.avg_pool2d(data.normalise(part.images, data.known("cifar10")), 32 // study.size)
    rows: list[dict] = []
    for (shortcuts, batch_norm), depth, seed in product(KINDS, study.depths, range(study.seeds)):
        for moment in follow(study, network(depth, shortcuts, batch_norm, seed), images, part.labels, seed):
            rows.append({"shortcuts": shortcuts, "batch_norm": batch_norm, "depth": depth, "seed": seed, **moment})
        say(f"{label(rows[-1])}  depth {depth}  seed {seed}  slope {rows[-1]['slope']}")
    return {"date": datetime.date.today().isoformat(), "study": asdict(study), "rows": rows}


def network(depth: int, shortcuts: bool, batch_norm: bool, seed: int) -> nn.Module:
    """Make one network of the family from a seed."""
    from cnn.models import CifarResNet
    torch.manual_seed(seed)
    return CifarResNet(depth, shortcuts=shortcuts, batch_norm=batch_norm)


def follow(study: Study, model: nn.Module, images: Tensor, labels: Tensor, seed: int) -> list[dict]:
    """Return what is seen on a fixed batch before and, with steps > 0, after training."""
    fixed = slice(0, study.batch)
    moments = [{"step": 0, **look(model, images[fixed], labels[fixed])}]
    if study.steps:
        optimiser = torch.optim.SGD(model.parameters(), study.rate, momentum=0.9)
        draw = torch.Generator().manual_seed(seed)
        for _ in range(study.steps):
            batch = torch.randint(len(labels), (study.batch,), generator=draw)
            loss = F.cross_entropy(model(images[batch]), labels[batch])
            if not loss.item() < 1e12:                       # NaN too: it diverged
                return [*moments, {"step": study.steps, "loss": None, "norms": None, "slope": None}]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        moments.append({"step": study.steps, **look(model, images[fixed], labels[fixed])})
    return moments


def look(model: nn.Module, images: Tensor, labels: Tensor) -> dict:
    """Return the loss, the gradient's norm at each ReLU from the image on, and the slope; None where there is none."""
    loss, norms = gradient_norms(model, images, labels)
    if not all(map(math.isfinite, (loss, *norms))):
        return {"loss": None, "norms": None, "slope": None}
    return {"loss": loss, "norms": [float(f"{norm:.6g}") for norm in norms], "slope": slope(norms)}


def gradient_norms(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, list[float]]:
    """Return the loss and ‖∂loss/∂a_k‖ over the batch for the output of each ReLU, in the order of the forward pass.

    In double precision, so that what vanishes is a small number and not an underflow.
    """
    model = model.double().train()
    outputs: list[Tensor] = []
    hooks = [layer.register_forward_hook(lambda _, __, output: outputs.append(output))
             for layer in model.modules() if isinstance(layer, nn.ReLU)]
    state = {name: value.clone() for name, value in model.named_buffers()}
    try:
        loss = F.cross_entropy(model(images.double()), labels)
        gradients = torch.autograd.grad(loss, outputs)
    finally:
        for hook in hooks:
            hook.remove()
        for name, value in model.named_buffers():            # looking leaves batch norm's running means alone
            value.copy_(state[name])
        model.float()
    return loss.item(), [gradient.norm().item() for gradient in gradients]


def slope(norms: list[float]) -> float | None:
    """Return the growth of ln ‖g‖ a layer from the loss to the image; None where a norm is zero or not finite.

    >>> round(slope([8.0, 4.0, 2.0, 1.0]), 6) == round(math.log(2), 6)
    True
    """
    if not all(0 < norm < math.inf for norm in norms):
        return None
    y = torch.tensor(norms, dtype=torch.float64).log()
    k = torch.arange(len(norms), dtype=torch.float64)
    k = k - k.mean()
    return -((k * y).sum() / (k * k).sum()).item()


def label(row: dict) -> str:
    """Name a row's kind of network."""
    return f"{'residual' if row['shortcuts'] else 'plain':8} {'batch norm' if row['batch_norm'] else 'no norm':10}"


def summarise(rows: list[dict]) -> list[dict]:
    """Return for each kind, depth and moment the mean slope, half its 95 % interval and the factor over all layers."""
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        moment = "start" if row["step"] == 0 else "trained"
        groups.setdefault((label(row), row["depth"], moment), []).append(row)
    result = []
    for (kind, depth, moment), group in groups.items():
        slopes = [row["slope"] for row in group if row["slope"] is not None]
        mean, half = mean_interval(slopes) if slopes else (math.nan, math.nan)
        losses = [row["loss"] for row in group if row["loss"] is not None]
        result.append({"kind": kind, "depth": depth, "moment": moment, "slope": mean, "half": half,
                       "factor": math.exp(mean * (depth - 2)), "diverged": len(group) - len(slopes),
                       "loss": sum(losses) / len(losses) if losses else math.nan})
    return result


def table(rows: list[dict]) -> str:
    """Return the summary as text."""
    lines = [f"{'network':20} {'depth':>5} {'moment':8} {'slope a layer':>20} {'last to first':>13} {'loss':>9}"]
    for one in summarise(rows):
        spread = "" if math.isnan(one["slope"]) else f"{one['slope']:+.4f} ± {one['half']:.4f}"
        note = f"  {one['diverged']} diverged" if one["diverged"] else ""
        lines.append(f"{one['kind']:20} {one['depth']:5} {one['moment']:8} {spread:>20} {one['factor']:13.3g} "
                     f"{one['loss']:9.3g}{note}")
    return "\n".join(lines)
