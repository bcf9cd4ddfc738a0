"""Learn constants of SIFT on pairs of photographs, test them on sequences left out.

    loss = −Σ_i log softmax_j(−‖d_i − d_j‖²/T) at the true partner of i

i runs over keypoints of the first image that the known homography carries to within 3 px of one of the second; j
over all keypoints of the second.  Each sequence is left out in turn; the others give random pairs (1, k).  The
learned constants go to the hard SIFT (pysift), which matches whole images of the sequence left out:

    average precision   Σ precision at each correct match, ranked by the ratio of distances, over the keypoints that
                        have a partner at all

Data: FOLDER/<sequence>/img1.* … img6.* and H1to2p … H1to6p.             [Mikolajczyk & Schmid 2005]
"""
from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffsift.module import SIFT
from pysift.params import SIFTParams

LEARN = ("ori_sigma", "cell_width", "desc_sigma", "desc_clip")       # not sigma: the places stay those of the defaults
_TRAIN, _TEST = 160, 400            # longest side [px]
_SLOTS, _NEAR, _TEMPERATURE = 64, 3.0, 0.1
_STEPS, _RATE = 40, 0.01            # at most; of Adam, relative to the value it began with
_STUDENT = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


def study(args) -> dict:
    """Train for every seed and sequence left out, until the time is over; compare with the defaults."""
    folder = Path(args.data)
    names = sorted(path.name for path in folder.iterdir() if (path / "H1to2p").exists())
    if len(names) < 2:
        raise ValueError(f"{folder} holds {len(names)} sequences: --data needs two or more, each with img1 and H1to2p")
    base = {name: score(folder / name, SIFTParams()) for name in names}
    budget = 60 * args.minutes / (args.seeds * len(names))
    rows = []
    for seed in range(args.seed, args.seed + args.seeds):
        for left_out in names:
            constants, steps = train([folder / name for name in names if name != left_out], seed, budget)
            result = score(folder / left_out, SIFTParams(**constants))
            rows.append({"seed": seed, "left_out": left_out, "constants": constants, "steps": steps, **result})
            print(f"seed {seed}, {left_out} left out: average precision {base[left_out]['ap']:.4f} → "
                  f"{result['ap']:.4f}, correct {base[left_out]['correct']} → {result['correct']}, {steps} steps")
    summary = {key: gain(rows, base, key) for key in ("ap", "correct")}
    print("; ".join(f"{key}: {s['mean']:+.4g} ± {s['half_width']:.2g} (95 %, {args.seeds} seeds)"
                    for key, s in summary.items()))
    return {"sequences": names, "default": base, "rows": rows, "gain": summary}


def train(folders: list[Path], seed: int, seconds: float) -> tuple[dict, int]:
    """Learned constants, and the number of steps there was time for."""
    generator = np.random.default_rng(seed)
    model = SIFT(SIFTParams(descriptor="float32"), learn=LEARN, max_keypoints=_SLOTS)
    adam = torch.optim.Adam([{"params": [p], "lr": _RATE * p.item()} for p in model.parameters()])
    end, steps = time.monotonic() + seconds, 0
    while steps < _STEPS and time.monotonic() < end:
        first, second, homography = pair(folders[generator.integers(len(folders))], int(generator.integers(2, 5)),
                                         _TRAIN)
        value = loss(model, *(torch.from_numpy(view)[None, None].float() / 255 for view in (first, second)),
                     torch.from_numpy(homography).float())
        if value is not None:
            adam.zero_grad()
            value.backward()
            adam.step()
        steps += 1
    return {name: getattr(model, name).item() for name in LEARN}, steps


def loss(model: SIFT, first: Tensor, second: Tensor, homography: Tensor) -> Tensor | None:
    """Cross entropy of finding the true partner; None where no keypoint has one."""
    one, two = model(first), model(second)
    here = torch.stack([one.x, one.y, torch.ones_like(one.x)], -1)[0].detach() @ homography.T
    there = torch.stack([two.x, two.y], -1)[0].detach()
    far = torch.cdist(here[:, :2] / here[:, 2:], there)
    far = torch.where(one.weight[0, :, None].minimum(two.weight[0]) > 0.5, far, torch.inf)
    nearest, partner = far.min(1)
    known = (nearest < _NEAR).nonzero()[:, 0]
    if not len(known):
        return None
    distance = torch.cdist(one.descriptors[0, known], two.descriptors[0]).square()
    logits = torch.where(two.weight[0] > 0.5, -distance / _TEMPERATURE, -1e4)
    return torch.nn.functional.cross_entropy(logits, partner[known])


def pair(folder: Path, k: int, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey images 1 and k of a sequence, scaled to `longest` [px], and the homography between them."""
    from pysift.image import load_image, resize_keep_aspect, to_gray
    views, frames = [], []
    for number in (1, k):
        grey = to_gray(load_image(next(folder.glob(f"img{number}.*"))))
        view = resize_keep_aspect(grey, longest)
        scale = view.shape[1] / grey.shape[1], view.shape[0] / grey.shape[0]
        frames.append(np.array([[scale[0], 0, (scale[0] - 1) / 2], [0, scale[1], (scale[1] - 1) / 2], [0, 0, 1]]))
        views.append(view)
    homography = np.loadtxt(folder / f"H1to{k}p")
    return *views, frames[1] @ homography @ np.linalg.inv(frames[0])


def score(folder: Path, params: SIFTParams) -> dict:
    """Average precision, and correct matches of the ratio test at 0.8, over pairs (1, 2) to (1, 6)."""
    from pysift.matching import apply_homography, inliers, match
    from pysift.pipeline import sift
    precisions, correct = [], 0
    for k in range(2, 7):
        first, second, homography = pair(folder, k, _TEST)
        (k0, d0), (k1, d1) = sift(first, params), sift(second, params)
        goes = apply_homography(homography, k0.xy)
        possible = sum(bool((np.hypot(*(k1.xy - place).T) <= _NEAR).any()) for place in goes)
        pairs = match(d0, d1, ratio=None)
        right = inliers(pairs, k0, k1, homography, _NEAR)
        correct += int((right & (pairs.ratio < 0.8)).sum())
        ranked = right[np.argsort(pairs.ratio, kind="stable")]
        precisions.append(float((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked].sum() / max(possible, 1)))
    return {"ap": float(np.mean(precisions)), "correct": correct}


def gain(rows: list[dict], base: dict, key: str) -> dict:
    """Mean gain over the sequences left out, for each seed, and its 95 % interval over seeds (Student's t)."""
    seeds = sorted({row["seed"] for row in rows})
    each = [float(np.mean([row[key] - base[row["left_out"]][key] for row in rows if row["seed"] == seed]))
            for seed in seeds]
    spread = np.std(each, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
    return {"mean": float(np.mean(each)), "half_width": float(_STUDENT.get(len(each), 2.0) * spread), "seeds": each}


def draw(ax, trained: dict) -> None:
    """Average precision on each sequence left out, beside that of the defaults."""
    for i, name in enumerate(trained["sequences"]):
        values = [row["ap"] for row in trained["rows"] if row["left_out"] == name]
        ax.plot([i - 0.15], [trained["default"][name]["ap"]], "s", color="grey", label=None if i else "defaults")
        ax.plot(np.full(len(values), i + 0.15), values, ".", color="tab:blue", label=None if i else "learned")
    mean, half = (trained["gain"]["ap"][key] for key in ("mean", "half_width"))
    ax.set(xticks=range(len(trained["sequences"])), xticklabels=trained["sequences"], ylabel="average precision",
           title=f"left out: gain {mean:+.4f} ± {half:.4f}")
    ax.legend(fontsize=8)
