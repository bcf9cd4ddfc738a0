"""What a script of docs/ leaves behind: docs/results/cnn_<name>.json with the machine, and pictures in docs/images."""
from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import torch

from benchmarks.record import machine

HERE = Path(__file__).parent


def result(name: str, **content) -> None:
    """Write numbers, whole or not at all; floats are rounded to five digits."""
    record = {"script": f"python -m docs.{name}", "date": datetime.date.today().isoformat(), "machine": machine(),
              "threads": torch.get_num_threads(), **content}
    path = HERE / "results" / f"cnn_{name}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(_rounded(record), indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
    print(f"written: docs/results/{path.name}")


def picture(figure, name: str, dpi: int = 80) -> None:
    """Write a figure as docs/images/cnn_<name>.png, in 128 colours."""
    from PIL import Image

    path = HERE / "images" / f"cnn_{name}.png"
    part = path.with_suffix(".part")
    figure.savefig(part, format="png", dpi=dpi, bbox_inches="tight")
    Image.open(part).convert("RGB").quantize(128).save(part, format="png", optimize=True)
    os.replace(part, path)
    print(f"written: docs/images/{path.name}, {path.stat().st_size // 1024} KB")


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(inner) for inner in value]
    if isinstance(value, torch.Tensor):
        return _rounded(value.tolist())
    return float(f"{value:.5g}") if isinstance(value, float) else value
