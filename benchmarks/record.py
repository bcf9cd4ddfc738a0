"""Where results go: one JSON a benchmark, with the machine, the versions and the date."""
from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("numpy", "numba", "llvmlite", "opencv-python-headless", "opencv-contrib-python", "opencv-python",
             "pillow", "scikit-image")


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
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}{'-quick' if quick else ''}.json"
    record = {"benchmark": name, "date": datetime.date.today().isoformat(), "machine": machine(), **content}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(part, path)
    print(f"written: benchmarks/results/{path.name}")
    return path
