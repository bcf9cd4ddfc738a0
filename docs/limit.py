"""Measure how soft SIFT becomes the hard one: python docs/limit.py.

Prints the numbers of limit.md, writes docs/limit.json and draws docs/images/diffsift_limit.png.  Three parts: the
limit itself beside pysift and cv2, the certificate of the extremum gate over every cell, and the way there.
"""
from __future__ import annotations

import datetime
import json
import math
import os
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage import data

import diffsift
import pysift
from benchmarks.record import machine
from diffsift import Softness
from diffsift.extrema import is_extremum
from diffsift.scalespace import build_scalespace
from pysift.params import SIFTParams

HERE = Path(__file__).parent
# all that the wheel of scikit-image holds of cameras, scanners and telescopes
PHOTOGRAPHS = ("astronaut", "brick", "camera", "cat", "cell", "clock", "coffee", "coins", "grass", "gravel",
               "hubble_deep_field", "immunohistochemistry", "microaneurysms", "moon", "page", "retina", "rocket",
               "text")
SIDE = 128                          # px of the squares cut from their middles
BETAS = [10.0 ** p for p in range(1, 8)]                                     # 1/range
FACTORS = [10.0 ** p for p in range(-3, 4)]                                  # six decades about the default softness
BEYOND_ROUNDING = 2.0 ** -50


def middle(name: str) -> np.ndarray:
    """The middle of a photograph, grey, (SIDE, SIDE) uint8 or less."""
    image = pysift.to_gray(getattr(data, name)())
    top, left = (max(side - SIDE, 0) // 2 for side in image.shape)
    return image[top:top + SIDE, left:left + SIDE].copy()


def soft(image: np.ndarray, params: SIFTParams, softness: Softness, slots: int) -> tuple[np.ndarray, ...]:
    """Table (n, 5) of x, y, σ, cos θ, sin θ, the weights and the descriptors of the slots of `diffsift.sift`."""
    images = torch.from_numpy(image / 255.0)[None, None]
    with torch.no_grad():
        out = diffsift.sift(images, params, softness, max_keypoints=slots)
    columns = [column[0].numpy() for column in out]
    return table(*columns[:4]), columns[4], columns[5]


def table(x, y, sigma, theta) -> np.ndarray:
    """Stack the columns, an angle as a point of the circle."""
    return np.stack([x, y, sigma, np.cos(theta), np.sin(theta)], 1).astype(float)


def opencv(image: np.ndarray, precise: bool) -> tuple[np.ndarray, np.ndarray]:
    """Table and descriptors of cv2.SIFT, without IPP, on one thread."""
    cv2.ipp.setUseIPP(False)
    cv2.setNumThreads(1)
    keypoints, descriptors = cv2.SIFT_create(enable_precise_upscale=precise).detectAndCompute(image, None)
    columns = np.array([(*k.pt, k.size / 2, np.deg2rad(k.angle)) for k in keypoints]).reshape(-1, 4).T
    return table(*columns), np.zeros((0, 128)) if descriptors is None else descriptors


def ours_and_theirs(name: str, params: SIFTParams) -> list[dict]:
    """Counts and largest distances of the hard limit from pysift and from cv2, on one photograph."""
    image = middle(name)
    keypoints, descriptors = pysift.sift(image, params)
    hard = table(keypoints.x, keypoints.y, keypoints.sigma, keypoints.theta), descriptors
    ours, weight, described = soft(image, params, Softness.hard(), len(keypoints) + 8)
    kept = weight > 0.5
    rows = []
    for peer, (theirs, numbers) in (("pysift", hard), ("cv2", opencv(image, params.precise_upscale))):
        i, j = linear_sum_assignment(cdist(ours[kept], theirs))
        apart = np.abs(ours[kept][i] - theirs[j])
        levels = np.abs(described[kept][i] - numbers[j].astype(float))
        rows.append({"photograph": name, "precise": params.precise_upscale, "peer": peer, "theirs": len(theirs),
                     "ours": int(kept.sum()), "pixels": float(np.hypot(*apart[:, :2].T).max(initial=0)),
                     "scale": float(apart[:, 2].max(initial=0)), "angle": float(apart[:, 3:].max(initial=0)),
                     "levels": float(levels.max(initial=0)), "entries_off": int((levels > 0.5).sum())})
    return rows


def cells(name: str):
    """Yield every inner cell of every octave of a photograph, some rows at a time: cubes (n, 3, 3, 3), grey levels."""
    grey = torch.from_numpy(middle(name).astype(float))[None, None]
    for octave in build_scalespace(grey, least_side=3):
        dog = octave.dog[0]
        for top in range(0, dog.shape[1] - 2, 32):
            rows = dog[:, top:top + 34]
            yield rows.unfold(0, 3, 1).unfold(1, 3, 1).unfold(2, 3, 1).reshape(-1, 3, 3, 3)


def certificate(name: str) -> tuple[dict, np.ndarray]:
    """Count where 1 − a ≤ 26·exp(−β·gap) or a ≤ exp(−β·|gap|) fails; also (β·gap, 1 − a) of every extremum."""
    params, count, drawn = SIFTParams(contrast_threshold=0.0), dict.fromkeys(("cells", "extrema", "violations"), 0), []
    for cubes in cells(name):
        flat = cubes.flatten(1) / 255
        others = torch.cat([flat[:, :13], flat[:, 14:]], 1)
        gap = (flat[:, 13:14].sign() * (flat[:, 13:14] - others)).amin(1)
        judged = flat[:, 13] != 0                                           # the gate has no sign to go by at D = 0
        is_one = judged & (gap > 0)
        count["cells"] += int(judged.sum())
        count["extrema"] += int(is_one.sum())
        for beta in BETAS:
            log_a = is_extremum(cubes, params, Softness(extremum=beta, gap=1.0, prefilter=math.inf))
            lost, bound = -torch.expm1(log_a), 26 * torch.exp(-beta * gap)
            count["violations"] += int((lost > bound + BEYOND_ROUNDING)[is_one].sum())
            count["violations"] += int((log_a > beta * gap * (1 - 1e-12))[judged & (gap <= 0)].sum())
            drawn.append(torch.stack([beta * gap, lost], 1)[is_one])
    return {"photograph": name, **count}, torch.cat(drawn).numpy()


def gaps(name: str) -> torch.Tensor:
    """Least |D − neighbour| of each extremum that cv2 would refine, [range]."""
    found = []
    for cubes in cells(name):
        flat = cubes.flatten(1) / 255
        others = torch.cat([flat[:, :13], flat[:, 14:]], 1)
        gap = (flat[:, 13:14].sign() * (flat[:, 13:14] - others)).amin(1)
        found.append(gap[(gap > 0) & (flat[:, 13].abs() > SIFTParams().candidate_threshold() / 255)])
    return torch.cat(found)


def approach(name: str) -> list[dict]:
    """How far the weights are from the limit at every softness, over the keypoints of the limit."""
    image = middle(name)
    keypoints, rows = pysift.detect(image), []
    hard, n = table(keypoints.x, keypoints.y, keypoints.sigma, keypoints.theta), len(keypoints)
    for factor in FACTORS if n else ():
        with torch.no_grad():
            found = diffsift.detect(torch.from_numpy(image / 255.0)[None, None], softness=Softness(
                rounding=True).sharper(factor), max_keypoints=2 * n + 20)
        ours, weight = table(*(column[0].numpy() for column in found[:4])), found.weight[0].numpy()
        i, j = linear_sum_assignment(cdist(hard, ours))
        near = np.abs(hard[i] - ours[j]).max(1) < 0.01
        lost = np.where(near, 1 - weight[j], 1.0)
        rows.append({"photograph": name, "factor": factor, "keypoints": n, "found": int(near.sum()),
                     "lost_weight": float(lost.sum()), "extra_weight": float(np.delete(weight, j).sum()),
                     "wrong": int((lost >= 0.5).sum() + (np.delete(weight, j) > 0.5).sum())})
    return rows


def numbers(parity: list[dict], proved: list[dict], gap: torch.Tensor, way: list[dict]) -> dict:
    """The numbers of limit.md."""
    out = {"limit.photographs": len(PHOTOGRAPHS),
           "limit.with_keypoints": len({r["photograph"] for r in parity if r["theirs"]})}
    for peer in ("pysift", "cv2"):
        rows = [r for r in parity if r["peer"] == peer]
        out |= {f"limit.{peer}_keypoints": sum(r["theirs"] for r in rows),
                f"limit.{peer}_missing_or_extra": sum(abs(r["ours"] - r["theirs"]) for r in rows)}
        out |= {f"limit.{peer}_{key}": max(r[key] for r in rows) for key in ("pixels", "scale", "angle", "levels")}
        out[f"limit.{peer}_entries_off"] = sum(r["entries_off"] for r in rows)
    out |= {f"gate.{key}": sum(r[key] for r in proved) for key in ("cells", "extrema", "violations")}
    out |= {"gate.tests": out["gate.cells"] * len(BETAS), "gate.gap_median": float(gap.median()),
            "gate.gap_1_percent": float(gap.quantile(0.01))}
    for factor in (FACTORS[0], 1.0, FACTORS[-1]):
        rows = [r for r in way if r["factor"] == factor]
        total, name = sum(r["keypoints"] for r in rows), f"way.beta_gap_{14 * factor:g}"
        out |= {f"{name}_lost_weight": sum(r["lost_weight"] for r in rows) / total,
                f"{name}_wrong": sum(r["wrong"] for r in rows) / total}
    return out


def draw(way: list[dict], drawn: np.ndarray) -> None:
    """Left: weights on the way to the limit.  Right: 1 − a of every extremum over β·gap, under its bound."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    beta = 14 * np.array(FACTORS)
    total = sum(r["keypoints"] for r in way if r["factor"] == 1.0)
    for key, label, style in (("lost_weight", "weight lost by keypoints", "o-"),
                              ("wrong", "keypoints wrong at ½", "s--"),
                              ("extra_weight", "weight of what is none", "^:")):
        share = np.array([sum(r[key] for r in way if r["factor"] == f) / total for f in FACTORS])
        left.loglog(beta[share > 0], share[share > 0], style, markersize=4, label=label)
    left.axvline(14, color="grey", linewidth=0.8)
    left.text(15, 3e-7, "default", color="grey", rotation=90, va="bottom")
    left.set(xlabel="β · median gap", ylabel="share of the keypoints", ylim=(1e-7, 30), title="The way to the limit")
    left.legend(frameon=False, fontsize=8)
    x, lost = drawn[(drawn[:, 1] > 1e-16) & (drawn[:, 0] > 1e-3)].T
    right.hexbin(x, lost, xscale="log", yscale="log", gridsize=90, bins="log", cmap="Blues", mincnt=1, linewidths=0.1)
    line = np.geomspace(1e-3, 1e3, 400)
    right.loglog(line, 26 * np.exp(-line), color="#c0392b", label="bound 26·exp(−β·gap)")
    right.loglog(line, np.exp(-line) / (1 + np.exp(-line)), color="black", linewidth=0.8, linestyle="--",
                 label="one neighbour alone, 1/(1 + exp(β·gap))")
    right.set(xlabel="β · gap of each extremum", ylabel="1 − a", xlim=(1e-3, 1e3), ylim=(1e-16, 99),
              title="The gate of the extremum")
    right.legend(frameon=False, fontsize=8, loc="lower left")
    figure.savefig(HERE / "images/diffsift_limit.png", dpi=100, pil_kwargs={"optimize": True})


def main() -> None:
    """Measure, print, write, draw."""
    torch.set_num_threads(1)
    parity = [row for params in (SIFTParams(), SIFTParams.opencv()) for name in PHOTOGRAPHS
              for row in ours_and_theirs(name, params)]
    print("limit measured", flush=True)
    proved, drawn = zip(*(certificate(name) for name in PHOTOGRAPHS))
    print("gate measured", flush=True)
    way = [row for name in PHOTOGRAPHS for row in approach(name)]
    gap = torch.cat([gaps(name) for name in PHOTOGRAPHS])
    record = {"photographs": "scikit-image, the middle 128 × 128", "date": datetime.date.today().isoformat(),
              "machine": machine(), "threads": 1, "numbers": numbers(parity, list(proved), gap, way),
              "parity": parity, "certificate": list(proved), "way": way}
    for key, value in record["numbers"].items():
        print(f"{key:40} {value:.4g}")
    part = HERE / "limit.part"
    part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(part, HERE / "limit.json")
    draw(way, np.concatenate(drawn))


if __name__ == "__main__":
    main()
