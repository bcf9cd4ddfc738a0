"""Repeatability and matching on image pairs with a known homography, image 1 against the others of its sequence.

    repeatability    overlap error below 40 %: benchmarks/overlap.py
    matches          mutual nearest neighbours at a ratio of 0.8, and the share of them whose partner lies within
                     1, 3 and 5 px of where the homography sends the point; "correct" counts those within 3 px
    AUC @ 1, 3, 5    area under the curve of the corner error, from 0 to so many px, as a share: of the four corners
                     of image 1, the mean distance between where the true homography sends them and where the one
                     that cv2's MAGSAC finds from the matches does; five seeds a pair; without one it is infinite

All run with their defaults (benchmarks/peers.py), so the number of keypoints differs and so does the norm;
"pysift RootSIFT" is for a fair look at those who return RootSIFT.  One thread, and cv2 without IPP.
The homographies of Oxford affine are themselves true to a pixel or so only, and worse at the end: where everyone's
corner error is alike ("boat" 6: 10 px, "bikes" 6: 5 px), it is theirs.  Of pysift's 270 matches in "boat" 6, 28 lie
within 1 px of the given homography and 100 within 1 px of the one found.

Source: Mikolajczyk et al. 2005; the AUC as in P. Sarlin et al., SuperGlue, CVPR 2020, §5.
"""
from __future__ import annotations

import cv2
import numpy as np

from benchmarks import record
from benchmarks.matching_figure import draw
from benchmarks.overlap import repeatability
from benchmarks.peers import Peer, absent, ours, present
from benchmarks.sequences import WARPED, Sequence, oxford, warped
from pysift import Features, SIFTParams, match
from pysift.cv import native_lanes
from pysift.matching import apply_homography

TOLERANCES = 1, 3, 5         # px
RATIO = 0.8
SEEDS = range(5)
_MAGSAC_REACH, _MAGSAC_STEPS = 3.0, 10_000
_COLUMNS = (("keypoints", "keypoints", ".0f"), ("repeat.", "repeatability", ".3f"), ("matches", "matches", ".0f"),
            *((f"@{t} px", f"within {t} px", ".3f") for t in TOLERANCES), ("correct", "correct", ".0f"))


def run(*, quick: bool = False, data: str | None = None) -> list[dict]:
    """Measure all that are installed on all pairs; returns a row per sequence, pair and peer."""
    cv2.setNumThreads(1)
    cv2.ipp.setUseIPP(False)
    sequences = oxford(data) if data else warped()
    if quick:
        sequences = [Sequence(s.name, s.first, dict(list(s.others.items())[:2])) for s in sequences[:1]]
    root = ours("pysift RootSIFT", SIFTParams(descriptor="root", simd_lanes=native_lanes()))
    rows: list[dict] = []
    _print_head()
    for sequence in sequences:
        for peer in (*present(), root):
            peer.set_threads(1)
            new = _sequence_rows(peer, sequence)
            rows += new
            _print(f"{sequence.name}, {peer.name}", new)
    names = list(dict.fromkeys(row["peer"] for row in rows))
    for name in names:
        _print(f"all, {name}", [row for row in rows if row["peer"] == name])
    for name, reason in absent().items():
        print(f"{name}: not measured, {reason}")
    record.write("matching", quick, images=f"{len(sequences)} sequences of Oxford affine" if data else WARPED,
                 threads=1, ipp=False, ratio=RATIO, magsac_px=_MAGSAC_REACH, seeds=list(SEEDS), absent=absent(),
                 auc={name: auc([row for row in rows if row["peer"] == name]) for name in names}, rows=rows)
    record.save_figure(draw(rows), "matching", quick)
    return rows


def auc(rows: list[dict]) -> dict[str, float]:
    """Area under the cumulative curve of the corner errors of rows, at each tolerance, as a share of the whole.

    Of an error e below the tolerance t the curve's area is 1 − e/t, of any other it is 0; this is their mean.
    """
    errors = np.array([np.inf if e is None else e for row in rows for e in row["corner errors"]])
    return {f"{t} px": float(np.maximum(1 - errors / t, 0).mean()) for t in TOLERANCES}


def corner_error(homography: np.ndarray | None, truth: np.ndarray, shape) -> float:
    """Mean distance, in pixels, between where two homographies send the corners of an image; infinite for None."""
    height, width = shape
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)
    if homography is None or not np.isfinite(homography).all():
        return np.inf
    error = np.linalg.norm(apply_homography(homography, corners) - apply_homography(truth, corners), axis=1).mean()
    return float(error) if np.isfinite(error) else np.inf


def _sequence_rows(peer: Peer, sequence: Sequence) -> list[dict]:
    first = peer.features(sequence.first)
    return [{"sequence": sequence.name, "pair": number, "peer": peer.name, "version": peer.version,
             **measure(first, peer.features(image), truth, sequence.first.shape, image.shape)}
            for number, (image, truth) in sequence.others.items()]


def measure(f1: Features, f2: Features, truth: np.ndarray, shape1, shape2) -> dict:
    """Return all measures of one pair; None stands for what has no value, and for an infinite corner error."""
    repeated = repeatability(f1.keypoints, f2.keypoints, truth, shape1, shape2)
    pairs = match(f1.descriptors, f2.descriptors, ratio=RATIO, mutual=True)
    p1 = f1.keypoints.xy[pairs.index0].astype(np.float64)
    p2 = f2.keypoints.xy[pairs.index1].astype(np.float64)
    distance = np.linalg.norm(apply_homography(truth, p1) - p2, axis=1)
    errors = [corner_error(_magsac(p1, p2, seed), truth, shape1) for seed in SEEDS]
    return {"keypoints": [len(f1.keypoints), len(f2.keypoints)],
            "regions": [repeated.first, repeated.second], "corresponding": repeated.pairs,
            "repeatability": repeated.share if min(repeated.first, repeated.second) else None,
            "matches": len(pairs),
            **{f"within {t} px": float((distance <= t).mean()) if len(pairs) else None for t in TOLERANCES},
            "correct": int((distance <= 3).sum()),
            "corner errors": [e if np.isfinite(e) else None for e in errors]}


def _magsac(p1: np.ndarray, p2: np.ndarray, seed: int) -> np.ndarray | None:
    """Return cv2's MAGSAC homography; its own seed is fixed and cannot be set, so the order is drawn instead."""
    if len(p1) < 4:
        return None
    order = np.random.default_rng(seed).permutation(len(p1))
    try:
        return cv2.findHomography(p1[order], p2[order], cv2.USAC_MAGSAC, _MAGSAC_REACH, maxIters=_MAGSAC_STEPS,
                                  confidence=0.9999)[0]
    except cv2.error:                                    # its solver met points in one line
        return None


def _print_head() -> None:
    print(f"{'':30}" + "".join(f"{title:>10}" for title, _, _ in _COLUMNS)
          + "".join(f"{f'AUC @{t}':>8}" for t in TOLERANCES))


def _print(label: str, rows: list[dict]) -> None:
    """Print the means over some pairs; what has no value is left out of its mean."""
    cells = ""
    for _, key, form in _COLUMNS:
        values = [row[key] for row in rows if row[key] is not None]
        cells += f"{np.mean(values):>10{form}}" if values else f"{'–':>10}"
    print(f"{label:30}{cells}" + "".join(f"{share:>8.3f}" for share in auc(rows).values()), flush=True)
