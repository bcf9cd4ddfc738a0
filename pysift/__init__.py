"""pysift: SIFT from scratch, equal to cv2.SIFT to the bit, made to be read.

    step            file               what it does
    0  image        image.py           read it, make it grey
    1  scale space  scalespace.py      blur it ever more, take differences
    2  extrema      extrema.py         find their extrema in x, y and scale
    3  refine       refine.py          fit a quadratic, drop the weak and the long
    4  orientation  orientation.py     turn each along its gradients
    5  descriptor   descriptor.py      histogram the gradients around it
       selection    selection.py       no duplicates, the strongest, the mask
       driver       pipeline.py        all of it in order: sift, detect, describe

Names are imported when first used, so `import pysift` costs nothing.
"""
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pysift import convert, cv, draw
    from pysift.cv import SIFT_create
    from pysift.image import load_image, resize_keep_aspect, to_gray
    from pysift.keypoints import Features, Keypoints
    from pysift.matching import Matches, match
    from pysift.params import SIFTParams
    from pysift.pipeline import describe, detect, sift
    from pysift.threads import get_num_threads, set_num_threads
    from pysift.tracing import Trace, trace

_HOMES = {
    "SIFTParams": "params", "Keypoints": "keypoints", "Features": "keypoints",
    "load_image": "image", "to_gray": "image", "resize_keep_aspect": "image",
    "sift": "pipeline", "detect": "pipeline", "describe": "pipeline",
    "trace": "tracing", "Trace": "tracing", "match": "matching", "Matches": "matching",
    "SIFT_create": "cv", "set_num_threads": "threads", "get_num_threads": "threads",
}
_MODULES = ("convert", "cv", "draw")

__all__ = ["SIFTParams", "Keypoints", "Features", "load_image", "to_gray", "resize_keep_aspect", "sift", "detect",
           "describe", "trace", "Trace", "match", "Matches", "SIFT_create", "set_num_threads", "get_num_threads",
           "convert", "cv", "draw"]


def __getattr__(name: str):
    if name in _MODULES:
        return import_module(f"pysift.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'pysift' has no attribute {name!r}")
    value = getattr(import_module(f"pysift.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
