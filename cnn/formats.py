"""Read the files that MNIST, Fashion-MNIST and CIFAR-10 come in.

    IDX, gzip or plain  [LeCun, "The MNIST database"]           →  images (N, 1, H, W), labels (N,)
    CIFAR's python batches, as a tar.gz or unpacked [Krizhevsky] →  images (N, 3, 32, 32), labels (N,)
    sheets of 50 × 50 tiles as lossless WebP, labels as .npy     →  the same

Each reader answers for one half, "train" or "test", with uint8 images and int64 labels.
"""
from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

IDX_STEMS = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
             "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}
BATCHES = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}
ARCHIVE = "cifar-10-python.tar.gz"
_TILE = 32                                                   # px, of a CIFAR image
Half = tuple[np.ndarray, np.ndarray]


def read_folder(folder: Path, half: str) -> Half:
    """Read "train" or "test" from a folder in whichever of the three forms it is.

    Raises
    ------
    OSError : the folder is in none of them, or a file is damaged
    """
    if any(_idx_file(folder, stem) for stem in IDX_STEMS[half]):
        return read_idx_pair([_the_idx_file(folder, stem) for stem in IDX_STEMS[half]])
    if (folder / ARCHIVE).exists():
        return read_archive(folder / ARCHIVE, half)
    for place in (folder, folder / "cifar-10-batches-py"):
        if (place / BATCHES[half][0]).exists():
            return read_batches((place / name).read_bytes() for name in BATCHES[half])
    if (folder / f"{half}_labels.npy").exists():
        return read_sheets(folder, half)
    raise OSError(f"{folder} holds no {half} images: it needs {IDX_STEMS[half][0]} with its labels (.gz or not), "
                  f"{ARCHIVE} or its {BATCHES[half][0]}, or {half}_labels.npy with its sheets; leave --data away to "
                  "download")


def read_idx_pair(paths: list[Path]) -> Half:
    """Read an IDX file of images (N, H, W) and one of labels (N,)."""
    images, labels = (read_idx(path) for path in paths)
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise OSError(f"{paths[0]} is {images.shape} and {paths[1]} is {labels.shape}: they do not belong together")
    return images[:, None], labels.astype(np.int64)


def read_idx(path: Path) -> np.ndarray:
    """Read an array of bytes: 0 0 8 ndim, ndim big-endian lengths, the data.

    Raises
    ------
    OSError : the file is missing, cut short or no IDX of bytes
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":                          # by content: Fashion-MNIST has been served unpacked as .gz
            data = gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise OSError(f"{path} cannot be read ({error}): download it again") from error
    if data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise OSError(f"{path} is no IDX file of bytes: download it again")
    shape = np.frombuffer(data, ">u4", data[3], 4)
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    if values.size != shape.prod(dtype=np.int64):
        raise OSError(f"{path} holds {values.size} bytes of {shape.prod(dtype=np.int64)}: download it again")
    return values.reshape(shape).copy()


def read_archive(archive: Path, half: str) -> Half:
    """Read CIFAR-10's tar.gz without unpacking it."""
    return read_batches(_members(archive, half))


def read_batches(batches: Iterable[bytes]) -> Half:
    """Read CIFAR's pickled batches: rows of 3072 bytes, all red, then green, then blue."""
    images, labels = [], []
    for data in batches:
        batch = _Plain(io.BytesIO(data), encoding="bytes").load()
        images.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, _TILE, _TILE))
        labels.append(np.asarray(batch[b"labels"], np.int64))
    return np.concatenate(images), np.concatenate(labels)


class _Plain(pickle.Unpickler):
    """Unpickle arrays and nothing else: a pickle can otherwise run any code."""

    def find_class(self, module: str, name: str):
        allowed = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
        if (module, name) in allowed or name in ("_reconstruct", "_frombuffer") and module.startswith("numpy."):
            return super().find_class(module, name)
        raise OSError(f"a CIFAR batch asks for {module}.{name}: it is not the original, download it again")


def _members(archive: Path, half: str) -> Iterable[bytes]:
    try:
        with tarfile.open(archive) as tar:
            for name in BATCHES[half]:
                yield tar.extractfile(f"cifar-10-batches-py/{name}").read()
    except (KeyError, AttributeError, tarfile.TarError, EOFError) as error:
        raise OSError(f"{archive} is not CIFAR-10's archive ({error}): download it again") from error


def read_sheets(folder: Path, half: str) -> Half:
    """Read sheets of 50 × 50 tiles, row by row, and the labels in the same order."""
    from PIL import Image
    labels = np.load(folder / f"{half}_labels.npy").astype(np.int64)
    tiles = []
    for path in sorted(folder.glob(f"{half}_[0-9][0-9].webp")):
        with Image.open(path) as image:
            sheet = np.asarray(image.convert("RGB"))
        rows, columns = sheet.shape[0] // _TILE, sheet.shape[1] // _TILE
        grid = sheet.reshape(rows, _TILE, columns, _TILE, 3)
        tiles.append(grid.transpose(0, 2, 4, 1, 3).reshape(-1, 3, _TILE, _TILE))
    images = np.concatenate(tiles) if tiles else np.empty((0, 3, _TILE, _TILE), np.uint8)
    if len(images) != len(labels):
        raise OSError(f"{folder} holds {len(images)} {half} images and {len(labels)} labels: a sheet is missing")
    return images, labels


def _idx_file(folder: Path, stem: str) -> Path | None:
    return next((p for p in (folder / f"{stem}.gz", folder / stem) if p.exists()), None)


def _the_idx_file(folder: Path, stem: str) -> Path:
    path = _idx_file(folder, stem)
    if path is None:
        raise OSError(f"{folder / stem} is missing (.gz or not): images and labels belong together")
    return path
