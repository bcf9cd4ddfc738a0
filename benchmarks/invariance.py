"""What SIFT survives: repeatability, correct matches and angles under known changes of three photographs.

    photograph → changed by a known amount → SIFT on both → keypoints carried by the known H onto those found

All is counted in the part that both pictures show, and measured in the coarser of the two, since a point is never
known better than the coarser grid allows: in the changed picture, unless it is the magnified one.

repeatable   a place (x, y, σ), its orientations counted once, that is the nearest of a found place and has it for its
             nearest, no further than 1.5 px off and σ within a factor of √2 of what H makes of it, as in [Lowe §3.3];
             the share is of the places in the picture that has fewer, as in [Mikolajczyk & Schmid, A performance
             evaluation of local descriptors, PAMI 2005].  1.5 px is σ of the finest keypoints, where Lowe takes σ of
             each; so it asks more of the coarse ones.
matched      a pair of descriptors that are each other's nearest, with Lowe's ratio below 0.8, no further than 3 px
             off; the share is of the keypoints in the picture that has fewer.
angle        of a repeatable place, each orientation, carried as a gradient is, against the nearest that was found;
             median of the absolute differences.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial import cKDTree

import pysift
from benchmarks import record
from benchmarks.distortions import DISTORTIONS, SEED, Distortion, carried, jacobian
from benchmarks.invariance_figure import figure
from pysift.convert import from_cv2
from pysift.keypoints import Features, Keypoints
from pysift.matching import inliers, match
from pysift.parity import one_thread
from pysift.photos import names, photo

CLOSE, SCALE, CORRECT, RATIO = 1.5, np.sqrt(2), 3.0, 0.8                # px, factor, px, –


def _cv2(image: np.ndarray, precise: bool) -> Features:
    keypoints, descriptors = cv2.SIFT_create(enable_precise_upscale=precise).detectAndCompute(image, None)
    return Features(from_cv2(keypoints), np.zeros((0, 128), np.uint8) if descriptors is None
                    else descriptors.astype(np.uint8))


PROGRAMS: dict[str, Callable[[np.ndarray], Features]] = {
    "pysift": pysift.sift,
    "cv2 precise": lambda image: _cv2(image, True),
    "pysift as cv2": lambda image: pysift.sift(image, pysift.SIFTParams.opencv()),
    "cv2 default": lambda image: _cv2(image, False),
}


class Score(NamedTuple):
    """How one picture's features were found again in another."""

    places: int                 # the most that could be repeated
    repeated: int
    keypoints: int              # the most that could be matched
    matched: int
    angles: np.ndarray          # degrees, 0 … 180, one per orientation of a repeated place


def score(here: Features, there: Features, homography: np.ndarray, shapes: tuple) -> Score:
    """Compare the features of two pictures of which H takes the first to the second.

    Parameters
    ----------
    here, there : Features of the original and of the changed picture
    homography : (3, 3)
    shapes : (height, width) of the original and of the changed picture, pixels
    """
    here, there, expected, found = aligned(here, there, homography, shapes)
    (a, a_rows), (b, b_rows) = places(expected), places(found)
    pairs = repeated(a, b)
    matches = match(here.descriptors, there.descriptors, ratio=RATIO, mutual=True)
    correct = inliers(matches, expected, found, np.eye(3), CORRECT)
    angles = orientation_errors(expected.theta, a_rows, found.theta, b_rows, pairs)
    return Score(min(len(a), len(b)), len(pairs), min(len(expected), len(found)), int(correct.sum()), angles)


def aligned(here: Features, there: Features, homography: np.ndarray,
            shapes: tuple) -> tuple[Features, Features, Keypoints, Keypoints]:
    """Keep what both pictures show; arguments as `score`.

    Returns
    -------
    here, there : Features, in the part that both pictures show
    expected, found : their Keypoints, both in the coarser of the two pictures
    """
    back = np.linalg.inv(homography)
    here = _within(here, carried(here.keypoints, homography), shapes[1])
    there = _within(there, carried(there.keypoints, back), shapes[0])
    middle = (np.array([shapes[0][::-1]]) - 1) / 2
    if abs(np.linalg.det(jacobian(homography, middle)[0])) <= 1:
        return here, there, carried(here.keypoints, homography), there.keypoints
    return here, there, here.keypoints, carried(there.keypoints, back)


def _within(features: Features, elsewhere: Keypoints, shape: tuple[int, int]) -> Features:
    """Keep the features that the other picture, of this (height, width), shows as well."""
    shown = (np.abs(elsewhere.x - (shape[1] - 1) / 2) <= shape[1] / 2) \
        & (np.abs(elsewhere.y - (shape[0] - 1) / 2) <= shape[0] / 2)
    return Features(features.keypoints[shown], features.descriptors[shown])


def places(k: Keypoints) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows (x, y, σ), (P, 3), and the row that each keypoint has among them."""
    distinct, rows = np.unique(np.stack([k.x, k.y, k.sigma], axis=1), axis=0, return_inverse=True)
    return distinct.reshape(-1, 3), rows.ravel()


def repeated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the pairs of places, (N, 2) indices, that are each other's nearest and close enough.

    Nearest in (x, y, log σ), where the farthest that x or y and log σ may be off count alike.
    """
    if not len(a) or not len(b):
        return np.empty((0, 2), np.int64)
    units = [(np.column_stack([p[:, :2] / CLOSE, np.log(p[:, 2]) / np.log(SCALE)])) for p in (a, b)]
    partner = cKDTree(units[1]).query(units[0])[1]
    mutual = cKDTree(units[0]).query(units[1])[1][partner] == np.arange(len(a))
    off = np.abs(units[0] - units[1][partner])
    good = mutual & (np.hypot(off[:, 0], off[:, 1]) <= 1) & (off[:, 2] <= 1)
    return np.stack([np.flatnonzero(good), partner[good]], axis=1)


def orientation_errors(theta_a, rows_a, theta_b, rows_b, pairs: np.ndarray) -> np.ndarray:
    """Of each orientation of a repeated place, how far the nearest of its partner's is, in degrees, (N,)."""
    partner = np.full(rows_a.max(initial=-1) + 1, -1)
    partner[pairs[:, 0]] = pairs[:, 1]
    wanted = np.flatnonzero(partner[rows_a] >= 0)
    same_place = partner[rows_a[wanted]][:, None] == rows_b
    turn = np.abs((theta_a[wanted][:, None] - theta_b + np.pi) % (2 * np.pi) - np.pi)
    return np.rad2deg(np.where(same_place, turn, np.inf).min(axis=1, initial=np.inf))


def run(*, quick: bool = False, data: str | None = None) -> list[dict]:
    """Score every program under every distortion; returns one row a program, distortion and level."""
    pictures = {name: cv2.cvtColor(photo(name), cv2.COLOR_RGB2GRAY) for name in names()[:1 if quick else None]}
    rows = []
    with one_thread():
        originals = {(name, program): sift(image) for name, image in pictures.items()
                     for program, sift in PROGRAMS.items()}
        for distortion in DISTORTIONS:
            print(f"{distortion.name}, {distortion.measure}: repeatable, matched [%], median angle [°]")
            for level in distortion.levels[::3 if quick else 1]:
                rows += (latest := _level(distortion, level, pictures, originals))
                print(f"{level:>8g}   " + "   ".join(_cell(row) for row in latest), flush=True)
    equal = {a: all(r["scores"] == s["scores"] for r, s in zip(rows, rows[1:])
                    if (r["program"], s["program"]) == (a, b))
             for a, b in (("pysift", "cv2 precise"), ("pysift as cv2", "cv2 default"))}
    print("; ".join(f"{name} equals its model in every number: {yes}" for name, yes in equal.items()))
    record.write("invariance", quick, seed=SEED, photographs=list(pictures), threads={"cv2": 1}, ipp=False,
                 tolerances={"px": CLOSE, "scale": SCALE, "match px": CORRECT, "ratio": RATIO}, equal=equal, rows=rows)
    record.save_figure(figure(rows), "invariance", quick)
    return rows


def _level(distortion: Distortion, level: float, pictures: dict, originals: dict) -> list[dict]:
    """Return the rows of one level, one a program, of all photographs together."""
    scores: dict[str, dict[str, Score]] = {program: {} for program in PROGRAMS}
    for name, image in pictures.items():
        changed, homography = distortion.apply(image, level)
        for program, sift in PROGRAMS.items():
            scores[program][name] = score(originals[name, program], sift(changed), homography,
                                          (image.shape, changed.shape))
    return [{"distortion": distortion.name, "level": level, "program": program, **_pooled(list(each.values())),
             "scores": {name: _row(s) for name, s in each.items()}} for program, each in scores.items()]


def _pooled(scores: list[Score]) -> dict:
    places_, repeated_, keypoints, matched = (sum(column) for column in list(zip(*scores))[:4])
    angles = np.concatenate([s.angles for s in scores])
    return {"repeatability": repeated_ / places_ if places_ else None,
            "matched": matched / keypoints if keypoints else None,
            "angle": float(np.median(angles)) if len(angles) else None}


def _row(s: Score) -> dict:
    return {**s._asdict(), "angles": len(s.angles), "angle": float(np.median(s.angles)) if len(s.angles) else None}


def _cell(row: dict) -> str:
    numbers = [100 * (row["repeatability"] or 0), 100 * (row["matched"] or 0), row["angle"] or 0]
    return f"{row['program']} " + " ".join(f"{number:5.1f}" for number in numbers)
