"""diffsift: SIFT with derivatives, from the pixels to the descriptor; in the limit it is cv2's.

    step            file               what it does                              what is relaxed
    1  scale space  scalespace.py      blur it ever more, take differences       nothing: it is linear
    2  extrema      extrema.py         find their extrema in x, y and scale      larger than 26 neighbours
    3  refine       refine.py          fit a quadratic, weigh down the weak      contrast, edges, settling; in mode
                                                                                 "smooth" the extremum itself is found
    4  orientation  orientation.py     turn each along its gradients             the nearest bin, the peaks
    5  descriptor   descriptor.py      histogram the gradients around it         the clip; in mode "smooth" the bins
       selection    selection.py       no duplicates, the heaviest               nothing
       driver       pipeline.py        all of it in order: sift, detect, describe

Each file mirrors its hard twin in pysift, function for function (tests/test_mirror.py).  relax.py holds the
relaxations with their limits, softness.py how soft each is, polar.py the gradient's length and angle, planes.py how
pixels are read, jet.py what lies between them, rounding.py cv2's last bits, learned.py and module.py the constants
that learn.

Names are imported when first used, so `import diffsift` does not load torch.
"""
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffsift.apps.uncertainty import covariance
    from diffsift.keypoints import SoftFeatures, SoftKeypoints
    from diffsift.module import SIFT
    from diffsift.pipeline import describe, detect, sift
    from diffsift.softness import Softness

_HOMES = {"Softness": "softness", "SoftFeatures": "keypoints", "SoftKeypoints": "keypoints", "sift": "pipeline",
          "detect": "pipeline", "describe": "pipeline", "SIFT": "module", "covariance": "apps.uncertainty"}

__all__ = ["SIFT", "Softness", "SoftFeatures", "SoftKeypoints", "sift", "detect", "describe", "covariance"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'diffsift' has no attribute {name!r}")
    try:
        value = getattr(import_module(f"diffsift.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError('diffsift needs torch: pip install "siftgrad[torch]"') from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
