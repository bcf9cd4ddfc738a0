"""What each constant of SIFT does: one is varied, the others keep their defaults.   python -m docs.constants

    photograph → changed by known amounts → pysift.sift on both, one constant varied → matched, and held to the truth

Three bundled photographs, each changed in 22 ways (GROUPS): 66 pairs.  What is counted is that of
benchmarks/invariance.py: places repeated within 1.5 px and a factor of √2 in scale, in the part that both pictures
show; matches that are each other's nearest with a ratio below 0.8, correct within 3 px.  Writes docs/constants.json,
from which docs/constants.md draws its figures.  Some four minutes on two cores.
"""
from __future__ import annotations

import datetime
import json
import os
import re
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.distortions import SEED, bent, blurred, exposed, noisy, rotated, tilted, zoomed
from benchmarks.invariance import CLOSE, CORRECT, RATIO, SCALE, aligned, orientation_errors, places, repeated
from benchmarks.record import machine
from pysift import SIFTParams, match, set_num_threads, sift, to_gray
from pysift.keypoints import Features
from pysift.matching import inliers
from pysift.photos import names, photo

PATH = Path(__file__).with_suffix(".json")


class Constant(NamedTuple):
    """A number of SIFT, the field that holds it, and the values it takes here."""

    field: str
    values: tuple[float, ...]
    shown: str                   # what is on the axis, with its unit
    times: float = 1.0           # what the field is multiplied by to give the number that is known
    logarithmic: bool = False


CONSTANTS = (
    Constant("sigma_in", (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), "blur assumed in the input [px]"),
    Constant("sigma", (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.4, 2.8), "blur of the first level, σ₀ [px]"),
    Constant("n_octave_layers", (1, 2, 3, 4, 5, 6, 8), "layers an octave, S"),
    Constant("contrast_threshold", (0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.12, 0.16),
             "contrast threshold, C [intensity range]"),
    Constant("edge_threshold", (1.5, 2, 3, 5, 7, 10, 15, 30, 100, 1000), "largest ratio of curvatures, r",
             logarithmic=True),
    Constant("ori_sigma", (0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4), "std of the orientation window, λ [σ]"),
    Constant("ori_reach", (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5), "half-width of the orientation window [σ]",
             times=SIFTParams().ori_sigma),
    Constant("ori_peak", (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1), "least share of the highest peak"),
    Constant("cell_width", (1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 8), "side of a cell of the descriptor [σ]"),
    Constant("desc_clip", (0.06, 0.09, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1), "largest share of the norm",
             logarithmic=True),
    Constant("desc_scale", (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192), "what 1 is rounded as",
             logarithmic=True),
)

GROUPS: dict[str, dict[str, tuple]] = {                      # steps in order, each a distortion and its level
    "moved": {
        "turned 30°": ((rotated, 30),),
        "turned 75°": ((rotated, 75),),
        "shrunk to 0.6": ((zoomed, 0.6),),
        "shrunk to 0.4": ((zoomed, 0.4),),
        "magnified to 1.6": ((zoomed, 1.6),),
        "magnified to 2.3": ((zoomed, 2.3),),
        "tilted 45°": ((tilted, 45),),
        "tilted 60°": ((tilted, 60),)},
    "blur and noise": {
        "blurred by 1.5 px": ((blurred, 1.5),),
        "blurred by 3 px": ((blurred, 3),),
        "noise of 10 levels": ((noisy, 10),),
        "noise of 25 levels": ((noisy, 25),)},
    "light": {
        "1.5 stops darker": ((exposed, -1.5),),
        "1.5 stops brighter": ((exposed, 1.5),),
        "gamma 0.5": ((bent, 0.5),),
        "gamma 2": ((bent, 2),)},
    "mixed": {
        "turned 40°, noise of 15 levels": ((rotated, 40), (noisy, 15)),
        "shrunk to 0.6, gamma 2": ((zoomed, 0.6), (bent, 2)),
        "tilted 50°, 1.5 stops darker": ((tilted, 50), (exposed, -1.5)),
        "tilted 40°, blurred by 1.5 px": ((tilted, 40), (blurred, 1.5)),
        "turned 60°, shrunk to 0.7, noise of 10 levels": ((rotated, 60), (zoomed, 0.7), (noisy, 10)),
        "magnified to 1.8, noise of 8 levels": ((zoomed, 1.8), (noisy, 8))},
}
CHANGES = {name: steps for group in GROUPS.values() for name, steps in group.items()}


@lru_cache(maxsize=None)
def pairs() -> tuple:
    """Every photograph with every change: ((photograph, change), picture, changed picture, homography)."""
    found = []
    for name in names():
        image = to_gray(photo(name))
        for change, steps in CHANGES.items():
            picture, homography = image, np.eye(3)
            for distort, level in steps:
                picture, step = distort(picture, level)
                homography = step @ homography
            found.append(((name, change), image, picture, homography))
    return tuple(found)


COUNTS = ("places", "repeated", "keypoints", "matches", "correct")


def measure(params: SIFTParams) -> dict:
    """Match all pairs with these constants.

    Returns
    -------
    dict of COUNTS, each a list with a number a pair; of medians over the repeated places of the pairs that are moved
    and nothing else, px, degrees and per cent of σ; of how much too large σ is found after each change, a median; of
    orientations a place, and shares of the entries of the descriptors that are 0, and that are the largest byte
    """
    originals = {name: sift(image, params) for (name, change), image, *_ in pairs() if change == next(iter(CHANGES))}
    rows = [pair(originals[name], sift(picture, params), homography, (image.shape, picture.shape))
            for (name, _), image, picture, homography in pairs()]
    moved = [row for row, ((_, change), *_) in zip(rows, pairs()) if change in GROUPS["moved"]]
    described = np.concatenate([f.descriptors for f in originals.values()])
    places_ = sum(len(places(f.keypoints)[0]) for f in originals.values())
    return {**{key: [row[key] for row in rows] for key in COUNTS},
            "off_px": median([row["px"] for row in moved]), "off_degrees": median([row["degrees"] for row in moved]),
            "off_percent": median([np.abs(row["larger"]) for row in moved]),
            "larger_percent": {change: median([row["larger"] for row in rows[i::len(CHANGES)]])
                               for i, change in enumerate(CHANGES)},
            "orientations": rounded(len(described) / places_), "zeros": rounded(np.mean(described == 0)),
            "saturated": rounded(np.mean(described == 255))}


def pair(here: Features, there: Features, homography: np.ndarray, shapes: tuple) -> dict:
    """Count what is found again, and measure how far off each repeated place is: px, σ in per cent, degrees."""
    here, there, expected, found = aligned(here, there, homography, shapes)
    (a, a_rows), (b, b_rows) = places(expected), places(found)
    same = repeated(a, b)
    matches = match(here.descriptors, there.descriptors, ratio=RATIO, mutual=True)
    wanted, got = a[same[:, 0]], b[same[:, 1]]
    return {"places": min(len(a), len(b)), "repeated": len(same), "keypoints": min(len(expected), len(found)),
            "matches": len(matches), "correct": int(inliers(matches, expected, found, np.eye(3), CORRECT).sum()),
            "px": np.hypot(*(got - wanted)[:, :2].T), "larger": 100 * (got[:, 2] / wanted[:, 2] - 1),
            "degrees": orientation_errors(expected.theta, a_rows, found.theta, b_rows, same)}


def median(parts: list[np.ndarray]) -> float | None:
    """Return the median of all values of some pairs, None where nothing was repeated."""
    values = np.concatenate(parts)
    return rounded(np.median(values)) if len(values) else None


def rounded(value) -> float:
    """Keep four digits."""
    return float(f"{value:.4g}")


def settings() -> list[dict]:
    """Return every constant with every value: the changes to SIFTParams, the default once, and no rounding at all."""
    varied = [{c.field: value} for c in CONSTANTS for value in c.values if value != getattr(SIFTParams(), c.field)]
    return [{}, {"descriptor": "float32"}, *varied]


def run(changes: dict) -> dict:
    """Measure one setting on one thread, and say so."""
    set_num_threads(1)
    result = measure(SIFTParams(**changes))
    print(f"{changes or 'defaults'}: {sum(result['correct'])} correct of {sum(result['matches'])} matches", flush=True)
    return result


def main() -> None:
    """Measure all settings, two at a time, and write them down."""
    wanted = settings()
    with ProcessPoolExecutor(2) as pool:
        measured = list(pool.map(run, wanted))
    of = {json.dumps(changes): result for changes, result in zip(wanted, measured)}
    constants = []
    for c in CONSTANTS:
        default = getattr(SIFTParams(), c.field)
        rows = [of["{}" if value == default else json.dumps({c.field: value})] for value in c.values]
        constants.append({**c._asdict(), "default": default, "rows": rows})
    write({"script": "python -m docs.constants", "date": datetime.date.today().isoformat(), "machine": machine(),
           "seed": SEED, "photographs": names(), "groups": {group: list(changes) for group, changes in GROUPS.items()},
           "tolerances": {"px": CLOSE, "scale": SCALE, "match px": CORRECT, "ratio": RATIO},
           "pairs": [key for key, *_ in pairs()], "unrounded": of[json.dumps({"descriptor": "float32"})],
           "constants": constants})


def write(record: dict, path: Path = PATH) -> None:
    """Write the record at once or not at all, a list of numbers a line."""
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers[0].split()), text)
    part = path.with_suffix(".part")
    part.write_text(text + "\n", encoding="utf-8")
    os.replace(part, path)
    print(f"written: docs/{path.name}")


if __name__ == "__main__":
    main()
