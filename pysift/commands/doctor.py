"""Say what pysift runs on: versions, threads, the cache of compiled kernels, and how OpenCV was built.

imports: commands.compiling, commands.report, cv, threads
"""
from __future__ import annotations

import argparse
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from pysift import __version__
from pysift.commands.compiling import cache_folder, kernels
from pysift.commands.report import say, to_json

HELP = "versions, threads, caches"
EXAMPLE = "pysift doctor --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pysift doctor`."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Run `pysift doctor`."""
    from pysift.threads import get_num_threads
    report = {
        "pysift": __version__, "python": platform.python_version(), "platform": platform.platform(),
        **{name: _version(name) for name in ("numpy", "numba", "llvmlite", "pillow", "matplotlib", "tqdm")},
        "opencv": _opencv(), "processors": os.cpu_count(), "threads": get_num_threads(), "kernels": _kernels()}
    if args.json:
        say(to_json(report))
        return 0
    for name, value in report.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key.replace('_', ' ')} {v}" for key, v in value.items())
        say(f"{name:<12}{'not installed' if value is None else value}")
    return 0


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _opencv() -> dict[str, Any] | None:
    """Its version and what moves its last bits: IPP, threads, and the width of its vectors, in floats."""
    try:
        import cv2
    except ImportError:
        return None
    from pysift.cv import native_lanes
    return {"version": cv2.__version__, "ipp": cv2.ipp.useIPP(), "threads": cv2.getNumThreads(),
            "lanes": native_lanes()}


def _kernels() -> dict[str, Any]:
    ready, folder = kernels(), cache_folder()
    if folder is None:
        return {"cached": 0, "of": len(ready), "folder": None, "writable": False}
    nearest = next(p for p in (folder, *folder.parents) if p.exists())
    return {"cached": sum(ready.values()), "of": len(ready), "folder": folder,
            "writable": os.access(Path(nearest), os.W_OK)}
