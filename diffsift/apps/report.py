"""What an application leaves behind: numbers as JSON and a figure as PNG, each whole or not at all."""
from __future__ import annotations

import datetime
import json
import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("numpy", "torch", "opencv-python-headless", "opencv-python", "opencv-contrib-python", "pillow",
             "matplotlib")


def write(name: str, args, figure, **numbers) -> Path:
    """Write diffsift_<name>.json and diffsift_<name>.png to the folder args.output; return the JSON's path.

    Raises
    ------
    OSError : the folder cannot be made or written
    """
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    options = {key: value for key, value in vars(args).items() if key not in ("output", "data", "app", "name")}
    options["image"] = Path(options["image"]).name
    record = {"app": name, "date": datetime.date.today().isoformat(), "seed": args.seed, "options": options,
              "machine": machine(), **numbers}
    with _replacing(folder / f"diffsift_{name}.png") as part:
        figure.savefig(part, dpi=80, format="png")
    path = folder / f"diffsift_{name}.json"
    with _replacing(path) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path} and the figure beside it")
    return path


def figure(columns: int, rows: int = 1, *, width: float = 10, height: float = 3.6):
    """Make an empty figure and its axes, (rows, columns), without a window.

    Raises
    ------
    ImportError : matplotlib is not installed: pip install "siftgrad[plot]"
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    canvas = Figure(figsize=(width, height * rows), layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas, canvas.subplots(rows, columns, squeeze=False)


def show(ax, image, title: str, **options) -> None:
    """Draw a grey picture (H, W) without ticks."""
    ax.imshow(image, **{"cmap": "gray", "interpolation": "nearest", **options})
    ax.set(title=title, xticks=[], yticks=[])


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
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
