"""How uncertain is each keypoint?  The predicted covariance beside the scatter under real noise.

    Σ = J Σ_I Jᵀ                                                         (uncertainty.py)

Fresh noise is added many times, the position in *the same cell* of the scale space is taken each time, and its
scatter is set beside Σ.  A cell always has a position, so no keypoint drops out of the statistics, not even those
whose extremum the noise has moved to a neighbour or wiped out.  cv2.SIFT is asked too, on the image rounded to
grey levels: there keypoints do get lost, and are counted.
"""
from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from diffsift.apps import judge, picture, report
from diffsift.apps.options import count, positive, require_keypoints
from diffsift.apps.uncertainty import cells_of, covariance, positions
from diffsift.keypoints import SoftFeatures
from diffsift.pipeline import sift
from diffsift.softness import Softness
from pysift.params import SIFTParams

EXAMPLE = "python -m diffsift covariance --image coffee --noise 0.5 1 -o results"
_INSIDE = 5.991                     # a Gaussian in two dimensions lies within this Mahalanobis² with 95 %


def add_arguments(parser) -> None:
    """Options of `python -m diffsift covariance`."""
    parser.add_argument("--size", type=count, default=128, help="side of the crop [px] (default %(default)s)")
    parser.add_argument("--draws", type=count, default=200, help="of noise, for each level (default %(default)s)")
    parser.add_argument("--noise", type=positive, nargs="+", default=[0.25, 0.5, 1, 2],
                        help="standard deviations [grey levels of 255] (default 0.25 0.5 1 2)")


def run(args) -> dict:
    """Set the scatter under real noise beside the prediction, for every keypoint."""
    image = picture.read(args.image, args.size)
    features = points(image)
    require_keypoints(features.x.shape[1], args)
    unit = covariance(image, features, 1 / 255)[0]
    rows = []
    for noise in args.noise:
        shifts, cv2_shifts = draw(image, features, noise, args.draws, args.seed)
        row = compare(shifts, unit * noise ** 2)
        judged = compare(cv2_shifts, unit * (noise ** 2 + 1 / 12))          # a file rounds: 1/12 of variance more
        rows.append({"noise": noise, "cell": row, "cv2": judged})
        print(f"noise {noise} of 255, {len(unit)} keypoints: std empirical / predicted {row['ratio_median']:.3f}, "
              f"inside the 95 % ellipse {row['coverage']:.1%}; cv2.SIFT {judged['ratio_median']:.3f}, "
              f"{judged['coverage']:.1%}, lost {judged['lost']:.1%}")
    report.write("covariance", args, _figure(image, features, unit, rows), rows=rows, keypoints=len(unit))
    return {"rows": rows}


def points(image: Tensor, params: SIFTParams = SIFTParams()) -> SoftFeatures:
    """Detect what the hard SIFT does, one slot for each place whatever its orientations."""
    found = sift(image, params, Softness.hard(), max_keypoints=512)
    octave, cells = cells_of(found, params)
    keys = torch.cat([octave[..., None], cells], -1)[0].numpy()
    slots = np.sort(np.unique(keys, axis=0, return_index=True)[1])
    slots = torch.tensor([slot for slot in slots.tolist() if found.weight[0, slot] > 0.5], dtype=torch.long)
    return SoftFeatures(*(column[:, slots] for column in found))


def draw(image: Tensor, features: SoftFeatures, noise: float, draws: int, seed: int) -> tuple[Tensor, Tensor]:
    """Shifts (draws, K, 2) [px] of each keypoint under noise: in its own cell, and of cv2's nearest (NaN: lost)."""
    generator = torch.Generator().manual_seed(seed)
    octave, cells = cells_of(features)
    before = torch.stack([features.x, features.y, features.sigma], -1)[0].numpy()
    ours, cv2s = [], []
    for _ in range(draws):
        noisy = image + noise / 255 * torch.randn(image.shape, generator=generator, dtype=image.dtype)
        places = torch.zeros(len(before), 2, dtype=image.dtype)
        for index in octave.unique().tolist():
            here = octave[0] == index
            places[here] = positions(noisy, octave, cells, index)[0, here]
        ours.append(places.numpy() - before[:, :2])
        cv2s.append(judge.shifts(before, judge.cv2_sift(picture.levels(noisy))[0]))
    return torch.from_numpy(np.stack(ours)), torch.from_numpy(np.stack(cv2s))


def compare(shifts: Tensor, predicted: Tensor) -> dict:
    """Empirical over predicted standard deviation of x and y, and how often Σ's 95 % ellipse holds the shift."""
    found = ~shifts[..., 0].isnan()
    count = found.sum(0)
    known = (shifts - shifts.nansum(0) / count[:, None]).square().nansum(0) / (count - 1)[:, None]
    ratio = (known.sqrt() / predicted.diagonal(dim1=-2, dim2=-1).sqrt())[count > 1]
    mahalanobis = torch.einsum("nki,kij,nkj->nk", shifts, torch.linalg.inv(predicted), shifts)
    inside = (mahalanobis < _INSIDE).sum() / found.sum()
    q05, median, q95 = ratio.flatten().quantile(torch.tensor([0.05, 0.5, 0.95], dtype=ratio.dtype)).tolist()
    return {"ratio_median": median, "ratio_q05": q05, "ratio_q95": q95, "ratio_max": ratio.max().item(),
            "coverage": inside.item(), "lost": 1 - found.double().mean().item(), "ratios": ratio.flatten().tolist(),
            "predicted_px": predicted.diagonal(dim1=-2, dim2=-1).sqrt().flatten().tolist()}


def _figure(image: Tensor, features: SoftFeatures, unit: Tensor, rows: list[dict]):
    from matplotlib.patches import Ellipse
    canvas, ((left, middle, right),) = report.figure(3, width=13, height=4.4)
    report.show(left, image[0, 0], "2σ ellipses at noise 1/255, 20 times enlarged")
    for x, y, sigma in zip(features.x[0].tolist(), features.y[0].tolist(), unit):
        spread, axes = torch.linalg.eigh(sigma)
        width, height = (80 * spread.sqrt()).tolist()
        left.add_patch(Ellipse((x, y), width, height, fill=False, color="tab:orange",
                               angle=math.degrees(math.atan2(axes[1, 0], axes[0, 0]))))
    left.set(xlim=(-0.5, image.shape[3] - 0.5), ylim=(image.shape[2] - 0.5, -0.5))
    for row in rows:
        cell = row["cell"]
        middle.loglog(cell["predicted_px"], np.multiply(cell["ratios"], cell["predicted_px"]), ".", ms=4,
                      label=f"noise {row['noise']:g}/255")
    middle.plot([1e-3, 1], [1e-3, 1], "k-", lw=0.8)
    middle.set(xlabel="predicted standard deviation [px]", ylabel="empirical [px]", xlim=(1e-3, 1),
               ylim=(1e-3, 10),
               title="x and y of every keypoint")
    middle.legend(fontsize=8)
    for key, label in (("cell", "in its own cell, none lost"), ("cv2", "cv2.SIFT, those found")):
        right.semilogx([row["noise"] for row in rows], [100 * row[key]["coverage"] for row in rows], "o-", label=label)
    right.axhspan(93, 97, color="tab:green", alpha=0.15, label="aim")
    right.set(xlabel="noise [grey levels of 255]", ylabel="inside the 95 % ellipse [%]", ylim=(60, 100),
              title="coverage", xticks=[row["noise"] for row in rows])
    right.set_xticklabels([f"{row['noise']:g}" for row in rows])
    right.minorticks_off()
    right.legend(fontsize=8, loc="lower left")
    return canvas
