"""Feature files: keypoints and descriptors written to disk and read back, whole or not at all.

    suffix   kind     what a file holds
    .npz     npz      the columns of Keypoints, descriptors, params and version; returns to the bit
    .key     lowe     Lowe's text, see layouts.py
    .sift    vlfeat   VLFeat's text, see layouts.py

imports: keypoints, layouts, params
"""
from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from pysift import __version__
from pysift.keypoints import Features, Keypoints
from pysift.layouts import from_text, to_text
from pysift.params import SIFTParams

KINDS = {".npz": "npz", ".key": "lowe", ".sift": "vlfeat"}
_COLUMNS = tuple(field.name for field in fields(Keypoints))


def is_feature_file(path: str | PathLike[str]) -> bool:
    """Whether the suffix is that of a feature file.

    >>> is_feature_file("a.KEY"), is_feature_file("a.png")
    (True, False)
    """
    return Path(path).suffix.lower() in KINDS


def write_features(path: str | PathLike[str], features: Features, params: SIFTParams = SIFTParams(), *,
                   kind: str | None = None) -> None:
    """Write keypoints with their descriptors.

    Parameters
    ----------
    path : file to write; one that exists is replaced
    features : Features of N keypoints, N may be 0
    params : SIFTParams they were found with; only npz keeps them
    kind : "npz", "lowe" or "vlfeat"; None goes by the suffix

    Raises
    ------
    ValueError : another kind or suffix, or a text layout is asked to hold what is not (N, 128) uint8.
    OSError : the file cannot be written; one that was there is as before.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> features = Features(Keypoints.at([8, 9], [5, 6], 2.0), np.zeros((2, 128), np.uint8))
    >>> with TemporaryDirectory() as folder:
    ...     write_features(f"{folder}/a.npz", features)
    ...     read_features(f"{folder}/a.npz").descriptors.shape
    (2, 128)
    """
    kind = kind or _kind_of(path)
    if kind not in KINDS.values():
        raise ValueError(f"kind={kind!r} is unknown: use one of {', '.join(KINDS.values())}")
    keypoints, descriptors = features
    if kind == "npz":
        columns = {name: getattr(keypoints, name) for name in _COLUMNS}
        write_arrays(path, {**columns, "descriptors": descriptors, "params": json.dumps(asdict(params)),
                            "version": __version__})
        return
    if descriptors.dtype != np.uint8 or descriptors.shape[1:] != (128,):
        raise ValueError(f"{path}: the {kind} layout holds 128 integers of 0 … 255 a keypoint, and the descriptors "
                         f"are {descriptors.dtype} {descriptors.shape}: write .npz, or take descriptor='uint8'")
    text = to_text(features, kind)
    with replacing(path) as part:
        part.write_text(text, encoding="ascii")


def read_features(path: str | PathLike[str]) -> Features:
    """Read a feature file; its suffix says of which kind it is.

    Returns
    -------
    Features of N keypoints, N may be 0

    Raises
    ------
    OSError : the file cannot be read.
    ValueError : another suffix, or the content is none; of a text file the message names the line.
    """
    kind = _kind_of(path)
    if kind == "npz":
        stored = _load(path)
        try:
            keypoints = Keypoints(*(stored[name] for name in _COLUMNS))
            descriptors = stored["descriptors"]
        except KeyError as error:
            raise ValueError(f"{path} holds no array called {error}: write it with pysift detect") from None
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None
        if descriptors.ndim != 2 or len(descriptors) != len(keypoints) or descriptors.dtype.kind not in "uif":
            raise ValueError(f"{path} has {len(keypoints)} keypoints and descriptors {descriptors.dtype} "
                             f"{descriptors.shape}: write it again with pysift detect")
        return Features(keypoints, descriptors)
    try:
        text = _bytes(path).decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text (byte {error.start} is not ASCII): check that it is of the kind "
                         f"{kind}") from None
    return from_text(text, kind, str(path))


def read_params(path: str | PathLike[str]) -> SIFTParams | None:
    """Return the parameters that an npz file keeps; None for a text file, or where it keeps none.

    Raises
    ------
    OSError, ValueError : as `read_features`.
    """
    stored = _load(path) if _kind_of(path) == "npz" else {}
    if "params" not in stored:
        return None
    try:
        return SIFTParams(**json.loads(str(stored["params"])))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} keeps parameters that this pysift {__version__} does not know ({error}): "
                         "write it again with pysift detect") from None


def write_arrays(path: str | PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write arrays to an npz file, each under its name; errors as `replacing`."""
    with replacing(path) as part, open(part, "wb") as file:
        np.savez(file, **arrays)


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[Path]:
    """Yield a new name beside `path`; what is written there becomes `path`, unless something is raised.

    Raises
    ------
    OSError : `path` is a folder or a device, or cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/a.txt") as part:
    ...         _ = part.write_text("whole")
    ...     Path(folder, "a.txt").read_text(), len(os.listdir(folder))
    ('whole', 1)
    """
    target = Path(os.path.realpath(path))                        # a link stays a link
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder: add the name of a file")
    if target.exists() and not target.is_file():
        raise OSError(f"{path} is a device or a pipe: give the name of a file")
    part = target.with_name(f".{uuid.uuid4().hex}{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    except OSError as error:
        raise type(error)(f"{path} cannot be written ({error.strerror or error}): check that its folder exists, "
                          "may be written by you and has room") from None
    finally:
        with suppress(OSError):                                  # where the folder is none, or is a file
            part.unlink()


def _kind_of(path: str | PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in KINDS:
        raise ValueError(f"{path}: {suffix or 'no suffix'} names no kind of feature file: use {', '.join(KINDS)}")
    return KINDS[suffix]


def _bytes(path: str | PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise type(error)(f"{path} cannot be read ({error.strerror or error}): check its spelling and its "
                          "permissions") from None


def _load(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Every array of an npz file, by name."""
    data = io.BytesIO(_bytes(path))
    try:
        with np.load(data, allow_pickle=False) as stored:
            return dict(stored)
    except Exception as error:     # damaged bytes: zipfile, zlib and NumPy each raise what they trip on
        raise ValueError(f"{path} is no npz file, or a damaged one ({error}): copy it again, or write it again "
                         "with pysift detect") from error
