"""Trained weights: torchvision's file of VGG16, by path or address, and those that come with the package.

    path or URL  →  sha256  →  tensors only, no code  →  names and shapes compared  →  the net

Until all of that has passed the net is as it was.
"""
from __future__ import annotations

import hashlib
import pickle
import re
from importlib.resources import as_file, files
from os import PathLike, fspath
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

VGG16_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"                 # 553,433,881 bytes
VGG16_SHA256 = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"


def load_torchvision(net: nn.Module, source: str | PathLike[str], sha256: str | None) -> None:
    """Give a net the weights of a file that torch.save wrote.

    Parameters
    ----------
    net : its parameters have the names of the file's
    source : path, or http(s) address, which is fetched once and kept in the cache
    sha256 : checksum that the file must have, 64 hexadecimal digits; None accepts any, of a path only

    Raises
    ------
    OSError : the file is missing or unreadable, or the download failed.
    ValueError : another checksum, not a file of tensors, other names or shapes, or an address without a checksum.
    """
    place = fspath(source)
    if re.match(r"https?://", place):
        if sha256 is None:
            raise ValueError(f"{place}: pass the sha256 of the file, so that what arrives can be told from what was "
                             "meant")
        from cnn.download import fetch

        path = fetch(place, sha256.lower())
    else:
        path = Path(place).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file: check the path, or pass an http address")
        _check(path, sha256)
    _give(net, _tensors(path), place)


def load_trained(net: nn.Module, file: str) -> None:
    """Give a net the weights of an npz in cnn/weights, float16 under the names of its own parameters."""
    _give(net, {name: torch.from_numpy(array) for name, array in _arrays(file).items()}, file)


def load_squeezenet(net: nn.Module) -> None:
    """Give a SqueezeNet of a thousand classes ImageNet's weights: on disk kernels are (H, W, in, out), blue first."""
    tensors = {}
    for name, array in _arrays("squeezenet1_1_fp16.npz").items():
        if name.endswith("/kernel"):
            array = array.transpose(3, 2, 0, 1)
        if name == "conv1/kernel":
            array = array[:, ::-1]                           # the net gets red first
        tensors[_torchvision_name(name)] = torch.from_numpy(array.copy())
    _give(net, tensors, "squeezenet1_1_fp16.npz")


def _arrays(file: str) -> dict[str, np.ndarray]:
    """What an npz of the package holds: halves as float32, counters as they are."""
    with as_file(files("cnn") / "weights" / file) as path, np.load(path) as stored:
        return {name: stored[name].astype(np.float32) if stored[name].dtype == np.float16 else stored[name]
                for name in stored}


def _torchvision_name(name: str) -> str:
    """fire2/squeeze1x1/kernel  →  features.3.squeeze.weight."""
    *layers, kind = name.split("/")
    place = {"conv1": "features.0", "conv10": "classifier.1"}
    for fire, number in zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12)):
        place[f"fire{fire}"] = f"features.{number}"
    part = [layer.replace("squeeze1x1", "squeeze") for layer in layers[1:]]
    return ".".join([place[layers[0]], *part, "weight" if kind == "kernel" else "bias"])


def _check(path: Path, sha256: str | None) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is not None and digest != sha256.lower():
        raise ValueError(f"{path} has the sha256 {digest}, not {sha256}: it is cut, damaged or another file; get it "
                         "again, or pass sha256=None if you trust it")


def _tensors(path: Path) -> dict[str, Tensor]:
    """Read names and tensors; a file that wants to run code is refused."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is no file of tensors that torch.save wrote ({reason}): give one that holds a "
                         "state_dict") from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path} holds a {type(found).__name__}, not a dict of tensors: save net.state_dict()")
    return found


def _give(net: nn.Module, tensors: dict[str, Tensor], place: str) -> None:
    """Compare names and shapes, then copy."""
    wanted = net.state_dict()
    problems = [f"lacks {name}" for name in wanted if name not in tensors]
    problems += [f"has {name}, which the net has not" for name in tensors if name not in wanted]
    problems += [f"{name} is {tuple(tensors[name].shape)}, not {tuple(wanted[name].shape)}"
                 for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(f"{place} does not fit {type(net).__name__}: it {'; '.join(problems[:3])}{more}: give the "
                         "file of this very architecture and number of classes")
    net.load_state_dict(tensors)
