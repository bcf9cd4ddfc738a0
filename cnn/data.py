"""The data sets: where each comes from, and its three parts.

    name  →  training half  →  "train" and "validation", by one fixed draw
             test half      →  "test", read by nobody but the last evaluation of a run

Images are uint8 (N, C, H, W) as the files hold them; `normalise` makes what a network eats.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnn import download, formats, progress, synthetic

_SPLIT_SEED = 20251125                                       # one draw for every run, whatever the run's own seed
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Source:
    """What is known of a data set before its files are read."""

    title: str
    classes: tuple[str, ...]
    channels: int
    size: int                                                # px, images are square
    mean: tuple[float, ...]                                  # of the training half, a channel, in [0, 1]
    std: tuple[float, ...]
    validation: int                                          # images taken out of the training half, a fifth at most
    folder: str = ""                                         # where it lies under a folder of several sets
    base: str = ""                                           # its download, and the sha256 of each file
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Images:
    """One part: images (N, C, H, W) uint8 and labels (N,) int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n: int | None) -> Images:
        """Return the first `n`, or all."""
        return Images(self.images[:n], self.labels[:n])

    def to(self, device: torch.device) -> Images:
        """Return them on a device."""
        return Images(self.images.to(device), self.labels.to(device))


SOURCES = {
    "mnist": Source(
        "MNIST", tuple("0123456789"), 1, 28, (0.1307,), (0.3081,), 5000, "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist/", (
            ("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            ("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            ("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            ("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"))),
    "fashion": Source(
        "Fashion-MNIST", ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
                          "ankle boot"), 1, 28, (0.2860,), (0.3530,), 5000, "fashion_mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", (
            ("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            ("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            ("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            ("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"))),
    "cifar10": Source(
        "CIFAR-10", ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        3, 32, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), 5000, "cifar10",
        "https://www.cs.toronto.edu/~kriz/", (
            (formats.ARCHIVE, "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),)),
    "synthetic": Source("the notebook's five patterns", synthetic.CLASSES, 3, 64, (0.5,) * 3, (0.3,) * 3, 100),
}


def load(name: str, part: str, folder: str | Path | None = None) -> Images:
    """Read one part of a data set.

    Parameters
    ----------
    name : mnist, fashion, cifar10 or synthetic
    part : train, validation or test
    folder : with the files in a form that `cnn.formats` reads, itself or in a folder of the set's name; None downloads

    Raises
    ------
    ValueError : no such set or part, or a download of another checksum
    OSError : a file is missing or damaged, or the download failed

    >>> load("synthetic", "validation").images.shape
    torch.Size([100, 3, 64, 64])
    """
    source = known(name)
    if part not in PARTS:
        raise ValueError(f"part={part!r} must be one of {', '.join(PARTS)}")
    half = "test" if part == "test" else "train"
    images, labels = _synthetic(half) if name == "synthetic" else _read(source, half, folder)
    if part != "test":
        order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
        n = min(source.validation, len(labels) // 5)
        held, rest = order[:n], np.sort(order[n:])
        chosen = held if part == "validation" else rest
        images, labels = images[chosen], labels[chosen]
    return Images(torch.from_numpy(images), torch.from_numpy(labels))


def known(name: str) -> Source:
    """Return the source of that name, or say which there are."""
    if name not in SOURCES:
        raise ValueError(f"there is no data set {name!r}: choose one of {', '.join(SOURCES)}")
    return SOURCES[name]


def normalise(images: Tensor, source: Source) -> Tensor:
    """Take uint8 or [0, 1] images (N, C, H, W) to zero mean and unit deviation over the training half, float32."""
    values = images.float() / 255 if images.dtype == torch.uint8 else images
    mean, std = (torch.tensor(v, device=values.device).view(1, -1, 1, 1) for v in (source.mean, source.std))
    return (values - mean) / std


def _read(source: Source, half: str, folder: str | Path | None) -> formats.Half:
    if folder is not None:
        place = Path(folder).expanduser()
        if not place.is_dir():
            raise OSError(f"{place} is no folder: pass the one that holds {source.title}'s files, or none to download")
        inner = place / source.folder
        return formats.read_folder(inner if inner.is_dir() else place, half)
    paths = {name: _fetch(source, name, sha256) for name, sha256 in source.files}
    if formats.ARCHIVE in paths:
        return formats.read_archive(paths[formats.ARCHIVE], half)
    return formats.read_idx_pair([paths[f"{stem}.gz"] for stem in formats.IDX_STEMS[half]])


def _fetch(source: Source, name: str, sha256: str) -> Path:
    return download.fetch(source.base + name, sha256, report=progress.download_bar(name))


def _synthetic(half: str) -> formats.Half:
    """Make the notebook's 500 images, or 500 others for the test: (N, 3, 64, 64) uint8."""
    images, labels = synthetic.make(500, seed=0 if half == "train" else 1)
    return np.round(images * 255).astype(np.uint8), labels
