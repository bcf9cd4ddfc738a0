"""How much of cv2.SIFT each differentiable SIFT finds: places, scales, angles, descriptors.

    cv2's keypoints, precise upscaling   ─┐
                                          ├→ pairs within 0.5 px and 10 % in σ → counts; those within 5° → descriptors
    the contestant's slots in use        ─┘

A place is one (x, y, σ): keypoints that differ in angle alone count once.  Everybody has 1024 slots, more than cv2
finds.  Descriptors are compared at unit length; 0 is equal, √2 is unrelated.
"""
from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch

from benchmarks.differentiable import present
from benchmarks.photographs import PHOTOGRAPHS

CROPS = ("cameraman", "astronaut, colour", "coins", "brick wall")           # the middle 256 × 256 of each
RADIUS, SCALE, ANGLE = 0.5, 0.1, np.radians(5)                              # px, share of σ, rad
SLOTS = 1024

Found = tuple[np.ndarray, np.ndarray]               # columns x, y, σ, θ (n, 4); descriptors (n, 128)


def compare() -> list[dict]:
    """One row a contestant, over all crops."""
    crops = [_middle(PHOTOGRAPHS[name]()) for name in CROPS]
    theirs = [of_cv2(grey) for grey in crops]
    rows = []
    print(f"\n{'parity with cv2':<18}{'places':>8}{'of cv2':>8}{'found':>8}{'real':>8}{'px':>9}{'angle':>8}"
          f"{'descriptor':>12}")
    for contestant in present():
        detect = contestant.build(SLOTS, "cpu")
        rows.append({"contestant": contestant.name, "slots": SLOTS, "crops": CROPS,
                     **agreement(theirs, [contestant.places(_values(detect, grey)) for grey in crops])})
        row = rows[-1]
        print(f"{row['contestant']:<18}{row['places']:>8}{row['places of cv2']:>8}{row['found']:>8.1%}"
              f"{row['real']:>8.1%}{row['distance']:>9.4f}{row['angle']:>8.1%}{row['descriptor']:>12.4f}", flush=True)
    return rows


def of_cv2(grey: np.ndarray) -> Found:
    """cv2's keypoints and descriptors in pysift's frame."""
    from pysift import convert
    keypoints, descriptors = cv2.SIFT_create(enable_precise_upscale=True).detectAndCompute(grey, None)
    k = convert.from_cv2(keypoints)
    return np.stack([k.x, k.y, k.sigma, k.theta], 1).astype(float), descriptors.astype(float)


def agreement(theirs: list[Found], ours: list[Found]) -> dict:
    """Hold what was found in each image against the reference.

    Returns
    -------
    places, places of cv2 : how many
    found : share of the reference's places that have one of ours near
    real : share of our places that have one of the reference's near
    distance : median distance of those found [px]
    angle : share of the reference's keypoints with one of ours near in place and angle
    descriptor : median distance of the unit descriptors of these
    """
    near = [_pairs(_places(a), _places(b)) for (a, _), (b, _) in zip(theirs, ours)]
    whole = [_described(a, b) for a, b in zip(theirs, ours)]
    return {"places": sum(d.shape[1] for d in near), "places of cv2": sum(d.shape[0] for d in near),
            "found": _share(near, 1), "real": _share(near, 0),
            "distance": _median([d.min(1)[np.isfinite(d).any(1)] for d in near if d.size]),
            "angle": _share([d for d, _ in whole], 1), "descriptor": _median([near for _, near in whole])}


def _places(columns: np.ndarray) -> np.ndarray:
    return np.unique(columns[:, :3].round(3), axis=0)


def _pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distances [px] of places (n, 3) to places (m, 3), inf where they are not near."""
    distance = np.hypot(*(a[:, None, i] - b[None, :, i] for i in (0, 1)))
    return np.where((distance < RADIUS) & (np.abs(np.log(a[:, None, 2] / b[None, :, 2])) < np.log1p(SCALE)),
                    distance, np.inf)


def _described(theirs: Found, ours: Found) -> tuple[np.ndarray, np.ndarray]:
    """Distances of all keypoints, inf unless near in place and angle, and of each one's nearest the descriptors'."""
    (a, a_desc), (b, b_desc) = theirs, ours
    turn = np.angle(np.exp(1j * (a[:, None, 3] - b[None, :, 3])))
    distance = np.where(np.abs(turn) < ANGLE, _pairs(a[:, :3], b[:, :3]), np.inf)
    rows = np.flatnonzero(np.isfinite(distance).any(1))
    nearest = distance[rows].argmin(1) if len(rows) else rows
    return distance, np.linalg.norm(_unit(a_desc[rows]) - _unit(b_desc[nearest]), axis=1)


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12)


def _share(distances: list[np.ndarray], axis: int) -> float:
    hits = np.concatenate([np.isfinite(d).any(axis) for d in distances])
    return float(hits.mean()) if len(hits) else 0.0


def _median(values: list[np.ndarray]) -> float:
    flat = np.concatenate(values) if values else np.zeros(0)
    return float(np.median(flat)) if len(flat) else float("nan")


def _middle(image: np.ndarray) -> np.ndarray:
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    top, left = ((n - 256) // 2 for n in grey.shape)
    return np.ascontiguousarray(grey[top:top + 256, left:left + 256])


def _values(detect: Callable, grey: np.ndarray) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        return detect(torch.from_numpy(grey.astype(np.float32) / 255)[None, None])
