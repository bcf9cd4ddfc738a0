"""What a run leaves behind in words: machine and versions, and files written whole or not at all."""
from __future__ import annotations

import json
import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_PACKAGES = ("numpy", "torch", "pillow", "matplotlib")


def machine() -> dict:
    """What the numbers were taken on."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"processor": _processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads(),
            "system": platform.platform(), "versions": versions}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file."""
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict:
    """Read a JSON file, or say what a folder without it is not."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise OSError(f"{path} is missing: give the folder of a run, which  cnnlab train  makes") from None
    except ValueError as error:
        raise OSError(f"{path} is no JSON ({error}): train the run again") from error


def save_figure(path: Path, figure) -> None:
    """Write a matplotlib figure as PNG."""
    with replacing(path) as part:
        figure.savefig(part, dpi=80, format="png", pil_kwargs={"optimize": True})


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what was written there replaces `path` once the block is done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
