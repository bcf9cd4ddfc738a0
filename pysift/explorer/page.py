"""One HTML file that asks for nothing: template, style and scripts, pictures and arrays, all inlined.

    arrays → bytes in planes → deflate → base64 ┐
    picture → JPEG → base64                     ├→ template.html → page
    style.css, *.js                             ┘

imports: nothing of pysift
"""
from __future__ import annotations

import base64
import html
import io
import json
import re
import zlib
from collections.abc import Mapping
from importlib.resources import files

import numpy as np
import PIL.Image

_SCRIPTS = ("arrays", "thresholds", "draw", "model", "picture", "panels", "story", "controls", "main")   # in this order
_QUALITY = 85                   # of the JPEG; the picture is there to be looked at, no number is read off it
_SMOOTH = {"window", "patch"}   # held as differences of neighbours, which deflate packs better


def fill(title: str, about: Mapping, arrays: Mapping[str, np.ndarray], pictures: Mapping[str, np.ndarray]) -> str:
    """Return the page.

    Parameters
    ----------
    title : what the page is called
    about : what goes along as JSON
    arrays : name → array of int8, uint8, uint16, int32, float32 or float64
    pictures : name → (H, W) or (H, W, 3) uint8
    """
    folder = files("pysift.explorer") / "page"
    table, packed = pack(arrays)
    data = {**about, "arrays": table, "pictures": {name: _jpeg(p) for name, p in pictures.items()}}
    parts = {"title": html.escape(title), "style": (folder / "style.css").read_text("utf-8"),
             "script": "\n".join((folder / f"{name}.js").read_text("utf-8") for name in _SCRIPTS),
             "about": json.dumps(data, allow_nan=False).replace("<", "\\u003c"), "packed": packed}
    return re.sub(r"\{\{(\w+)\}\}", lambda hole: parts[hole[1]], (folder / "template.html").read_text("utf-8"))


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[list[dict], str]:
    """Return where each array lies, and all of them as base64 of one deflated block.

    All first bytes of an array come first, then all second bytes: neighbours in memory are then alike.

    >>> table, text = pack({"a": np.arange(3, dtype=np.int32)})
    >>> table, list(zlib.decompress(base64.b64decode(text)))
    ([{'name': 'a', 'type': 'int32', 'shape': [3], 'delta': False}], [0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    """
    table, block = [], []
    for name, array in arrays.items():
        flat = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).ravel()
        if name in _SMOOTH:
            flat = np.diff(flat, prepend=flat.dtype.type(0))
        block.append(flat.view(np.uint8).reshape(len(flat), flat.itemsize).T.tobytes())
        table.append({"name": name, "type": array.dtype.name, "shape": list(array.shape), "delta": name in _SMOOTH})
    return table, base64.b64encode(zlib.compress(b"".join(block), 9)).decode()


def _jpeg(picture: np.ndarray) -> str:
    file = io.BytesIO()
    PIL.Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
