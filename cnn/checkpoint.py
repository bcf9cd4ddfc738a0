"""Weights and answers in files of their own: npz, small enough to ship, and readable without unpickling."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cnn.manifest import replacing


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the state of a network, floats rounded to float16."""
    state = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}
    half = {name: value.astype(np.float16) if value.dtype.kind == "f" else value for name, value in state.items()}
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **half)


def load_weights(model: nn.Module, path: Path) -> nn.Module:
    """Fill a network with what `save_weights` wrote, and return it in evaluation mode.

    Raises
    ------
    OSError : no such file, or weights of another network
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            state = {name: torch.from_numpy(file[name]) for name in file.files}
    except FileNotFoundError:
        raise OSError(f"{path} is missing: train the run to its end first") from None
    except ValueError as error:
        raise OSError(f"{path} holds no weights ({error}): train the run again") from error
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise OSError(f"{path} holds the weights of another network ({error})") from error
    return model.eval()


def save_answers(answers: dict[str, tuple[Tensor, Tensor]], path: Path) -> None:
    """Write logits (N, K), float32, and labels (N,) of each part."""
    arrays = {f"{part}_{name}": value.numpy() for part, pair in answers.items()
              for name, value in zip(("logits", "labels"), pair)}
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_answers(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Read what `save_answers` wrote.

    Raises
    ------
    OSError : no such file: the run is not finished
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {part: (torch.from_numpy(file[f"{part}_logits"]), torch.from_numpy(file[f"{part}_labels"]))
                    for part in ("validation", "test")}
    except FileNotFoundError:
        raise OSError(f"{path} is missing: train the run to its end first") from None
