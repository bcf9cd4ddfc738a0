"""The processes that train together: those that torchrun started, or this one alone.

    torchrun --nproc-per-node 2 -m cnn train lenet

Each takes every n-th image of a batch, gradients are averaged (DistributedDataParallel over gloo), so n processes
compute what one does with the whole batch.  Batch norm sees the part of its own process: there the two differ.
"""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Processes:
    """How many there are and which this one is."""

    count: int = 1
    rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this one writes the files."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """Return "cpu" or "cuda" as a device, or raise a ValueError that says why it cannot be had."""
        if name not in ("cpu", "cuda"):
            raise ValueError(f"device={name!r}: use cpu or cuda")
        if name == "cuda" and not torch.cuda.is_available():
            raise ValueError("device='cuda', but torch finds no GPU here: use cpu, or a torch built with CUDA")
        if name == "cuda" and self.count > 1:
            raise ValueError(f"device='cuda' with {self.count} processes: a GPU is for one, several train on cpu")
        return torch.device(name)

    def part(self, batch: Tensor) -> Tensor:
        """Return this process' images of a batch of indices."""
        return batch[self.rank::self.count]

    def wrap(self, model: nn.Module) -> nn.Module:
        """Have gradients averaged over the processes."""
        return model if self.count == 1 else nn.parallel.DistributedDataParallel(model)

    def any(self, flag: bool) -> bool:
        """Whether any process says so; each must ask."""
        return bool(self.total([float(flag)])[0]) if self.count > 1 else flag

    def total(self, values: list[float]) -> list[float]:
        """Sum numbers over the processes."""
        tensor = torch.tensor(values, dtype=torch.float64)
        if self.count > 1:
            torch.distributed.all_reduce(tensor)
        return tensor.tolist()

    def wait(self) -> None:
        """Return once every process is here."""
        if self.count > 1:
            torch.distributed.barrier()


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the group that torchrun's environment describes, and leave it at the end."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    torch.distributed.init_process_group("gloo")
    try:
        yield Processes(count, torch.distributed.get_rank())
    finally:
        torch.distributed.destroy_process_group()
