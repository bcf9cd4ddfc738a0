"""Where results go: a JSON and a picture a benchmark, with the machine, the versions and the date."""
from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("numpy", "numba", "llvmlite", "opencv-python-headless", "opencv-contrib-python", "opencv-python",
             "pillow", "scikit-image", "scipy", "torch", "kornia", "kornia_rs", "pycolmap", "matplotlib")


def machine() -> dict:
    """What the numbers were taken on."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"processor": _processor(), "cores": os.cpu_count(), "system": platform.platform(), "versions": versions}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def write(name: str, quick: bool, **content) -> Path:
    """Write results/<name>.json (…-quick.json for a quick run) at once or not at all."""
    record = {"benchmark": name, "date": datetime.date.today().isoformat(), "machine": machine(), **content}
    text = json.dumps(record, indent=1) + "\n"
    return _at_once(name, quick, ".json", lambda part: part.write_text(text, encoding="utf-8"))


def save_figure(figure, name: str, quick: bool) -> Path:
    """Write a matplotlib figure to results/<name>.png (…-quick.png for a quick run) at once or not at all."""
    def save(part: Path) -> None:
        figure.savefig(part, format="png", dpi=100, pil_kwargs={"optimize": True})

    return _at_once(name, quick, ".png", save)


def _at_once(name: str, quick: bool, suffix: str, save: Callable[[Path], object]) -> Path:
    """Have `save` write to a temporary name, then rename: nobody reads half a file, or one of a failed run."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}{'-quick' if quick else ''}{suffix}"
    part = path.with_suffix(".part")
    try:
        save(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    print(f"written: benchmarks/results/{path.name}")
    return path
