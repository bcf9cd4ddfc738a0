"""What the deviations between SIFTs change: pysift with one rule of another system.  python -m docs.deviations_measured

The same 66 pairs of pictures, and the same counts, as docs/constants.py; a setting each for every difference that
SIFTParams can express.  Writes docs/deviations.json, from which docs/deviations.md makes its table.  A minute or two.
"""
from __future__ import annotations

import datetime
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.distortions import SEED
from benchmarks.record import machine
from docs.constants import GROUPS, pairs, run, write
from pysift.photos import names

PATH = Path(__file__).with_name("deviations.json")
SETTINGS: dict[str, dict] = {                                # what differs, and whose rule it is
    "pysift, as cv2 with precise upscaling": {},
    "1: the quarter pixel (cv2's default, scikit-image)": {"precise_upscale": False},
    "the image is not doubled (CudaSift, ezSIFT)": {"first_octave": 0},
    "kernels reach 3σ, not 4σ (ezSIFT)": {"kernel_reach": 3.0},
    "3: no threshold before the refinement (Lowe)": {"prefilter": 0.0},
    "3: 0.8 of the threshold before it (Anatomy, VLFeat, scikit-image)": {"prefilter": 0.8, "prefilter_floor": False},
    "keypoints up to 1 px from the border (VLFeat)": {"border": 1},
    "5: one step of refinement, offsets below 1 (SiftGPU)": {"max_steps": 1, "accept_offset": 1.0},
    "5: offsets up to 0.6 accepted (Anatomy, scikit-image)": {"accept_offset": 0.6},
    "5: offsets up to 1 accepted (VLFeat: 1.5)": {"accept_offset": 1.0},
    "no contrast threshold (VLFeat's default)": {"contrast_threshold": 0.0},
    "half the contrast threshold (COLMAP)": {"contrast_threshold": 0.02},
    "neither contrast nor edge test (kornia)": {"contrast_threshold": 0.0, "edge_threshold": 1e6},
    "6: one orientation a place (kornia)": {"ori_peak": 1.0},
    "7: square roots of the shares (COLMAP, PopSift)": {"descriptor": "root"},
}


def main() -> None:
    """Measure all settings, two at a time, and write them down."""
    with ProcessPoolExecutor(2) as pool:
        rows = list(pool.map(run, SETTINGS.values()))
    write({"script": "python -m docs.deviations_measured", "date": datetime.date.today().isoformat(),
           "machine": machine(), "seed": SEED, "photographs": names(),
           "groups": {group: list(changes) for group, changes in GROUPS.items()}, "pairs": [key for key, *_ in pairs()],
           "rows": [{"what": what, "changes": changes, **row}
                    for (what, changes), row in zip(SETTINGS.items(), rows)]}, PATH)


def table(record: dict) -> str:
    """Return a Markdown table: keypoints, what is found again, what is matched right, and how far off."""
    lines = ["| rule | keypoints | places found again | matched right | of the matches, right | off by |",
             "|---|" + "--:|" * 5]
    for row in record["rows"]:
        total = {key: int(np.sum(row[key])) for key in ("places", "repeated", "keypoints", "matches", "correct")}
        lines.append(f"| {row['what']} | {total['keypoints']:,} | {total['repeated'] / total['places']:.1%} "
                     f"| {total['correct']:,} | {total['correct'] / total['matches']:.1%} | {row['off_px']:.3f} px |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
