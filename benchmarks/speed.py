"""Time of detect and describe, pysift against cv2.SIFT, at equal threads, alternating in one process.

The ratio is of medians; absolute times mean little on a shared machine.  cv2 runs as users have it, IPP as
the wheel sets it.
"""
from __future__ import annotations

import statistics
import time

import cv2

import pysift
from benchmarks import record
from benchmarks.photographs import PHOTOGRAPHS, four

_IMAGES = {"512 × 512": lambda: cv2.cvtColor(PHOTOGRAPHS["astronaut, colour"](), cv2.COLOR_BGR2GRAY),
           "640 × 427": lambda: cv2.cvtColor(PHOTOGRAPHS["rocket"](), cv2.COLOR_BGR2GRAY),
           "1280 × 854": four}


def run(*, quick: bool = False, data: str | None = None) -> dict:
    """Time all images at one and two threads; returns {image: {threads: ratio}}."""
    rounds = 5 if quick else 15
    rows, ratios = [], {}
    print(f"{'image':<12}{'threads':>8}{'keypoints':>11}{'cv2 [ms]':>10}{'pysift [ms]':>13}{'ratio':>8}")
    for name, load in _IMAGES.items():
        image = load()
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            pysift.set_num_threads(threads)
            theirs, ours = cv2.SIFT_create(), pysift.SIFTParams.opencv()
            samples: dict[str, list[float]] = {"cv2": [], "pysift": []}
            keypoints = len(pysift.sift(image, ours).keypoints)         # compiled and warm
            for _ in range(rounds):
                samples["cv2"].append(_seconds(theirs.detectAndCompute, image, None))
                samples["pysift"].append(_seconds(pysift.sift, image, ours))
            a, b = (1e3 * statistics.median(samples[who]) for who in ("cv2", "pysift"))
            ratios.setdefault(name, {})[threads] = a / b
            rows.append({"image": name, "threads": threads, "keypoints": keypoints, "ratio": a / b,
                         "seconds": samples})
            print(f"{name:<12}{threads:>8}{keypoints:>11}{a:>10.1f}{b:>13.1f}{a / b:>8.2f}", flush=True)
    record.write("speed", quick, ipp=bool(cv2.ipp.useIPP()), rounds=rounds, rows=rows)
    return ratios


def _seconds(call, *arguments) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start
