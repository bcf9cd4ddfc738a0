"""Which pixels does a match rest on?  The gradient of its distance, put to the test by deletion.

    s(p) = |∂‖d(I) − d′‖² / ∂I(p)|,   d the descriptor of a keypoint, d′ that of its partner in another view
    s(p) = ‖∂d / ∂I(p)‖               for a descriptor alone: 128 backward passes, the norm of each column of J

Deletion: pixels about the keypoint are replaced by a blurred image, most salient first, and the distance to the
partner is taken again and again; a map that tells the truth makes it grow faster than a random order does.  The
frame of the keypoint stays where it was.  cv2.SIFT describes the same images in the same frames.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffsift.apps import judge, picture, report
from diffsift.apps.options import count, number, require_keypoints
from diffsift.keypoints import SoftKeypoints
from diffsift.pipeline import describe, detect
from diffsift.scalespace import blur, gaussian_kernel
from diffsift.softness import Softness
from pysift.params import SIFTParams

EXAMPLE = "python -m diffsift saliency --image chelsea --matches 10 -o results"
UNIT = SIFTParams(descriptor="float32")
_SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)        # of the pixels about the keypoint
_REACH = 7.5                                            # half-width of the descriptor's square and its votes [σ]
_BLUR = 6.0                                             # of what a deleted pixel becomes [px]


def add_arguments(parser) -> None:
    """Options of `python -m diffsift saliency`."""
    parser.add_argument("--size", type=count, default=128, help="side of the crop [px] (default %(default)s)")
    parser.add_argument("--matches", type=count, default=24, help="how many are tested (default %(default)s)")
    parser.add_argument("--turn", type=number, default=15, help="of the other view [degrees] (default %(default)s)")


def run(args) -> dict:
    """Test the saliency of matches with a turned view of the same picture."""
    image = picture.read(args.image, args.size)
    other, warp = turned(image, args.turn)
    keypoints, partners = matches(image, other, warp, args.matches, args.seed)
    require_keypoints(len(partners), args, "keypoint with a true match")
    generator = np.random.default_rng(args.seed)
    curves = {name: [] for name in ("gradient", "gradient × change", "random")}
    judged = {name: [] for name in curves}
    for k in range(len(partners)):
        one = keypoints.take(torch.tensor([[k]]))
        for name, order in orders(image, one, partners[k], generator).items():
            gone = deleted(image, order)
            curves[name].append((describe(gone, repeat(one, len(gone)), UNIT, mode="smooth")[:, 0]
                                 - partners[k]).norm(dim=-1).tolist())
            judged[name].append(cv2_distances(gone, one, other, warp))
    gains = {name: gain(curves, judged, name) for name in ("gradient", "gradient × change")}
    for name, row in gains.items():
        print(f"{name}: distance grows {row['ratio']:.2f} times as fast as at random, ahead for "
              f"{row['ahead']:.0%} of {len(partners)} matches; cv2.SIFT {row['cv2_ratio']:.2f}, {row['cv2_ahead']:.0%}")
    report.write("saliency", args, _figure(image, keypoints, partners, curves, judged), shares=_SHARES,
                 matches=len(partners), gains=gains, distance=curves, cv2_distance=judged)
    return gains


def match_saliency(image: Tensor, keypoint: SoftKeypoints, partner: Tensor) -> Tensor:
    """∂‖d − d′‖²/∂I of one keypoint (1, 1) and the partner's descriptor (128,): (H, W)."""
    image = image.detach().requires_grad_()
    distance = (describe(image, keypoint, UNIT, mode="smooth")[0, 0] - partner).square().sum()
    return torch.autograd.grad(distance, image)[0][0, 0]


def descriptor_saliency(image: Tensor, keypoint: SoftKeypoints) -> Tensor:
    """Norm of each pixel's column of ∂d/∂I: (H, W)."""
    image = image.detach().requires_grad_()
    entries = describe(image, keypoint, UNIT, mode="smooth")[0, 0]
    return sum(torch.autograd.grad(entry, image, retain_graph=True)[0].square() for entry in entries)[0, 0].sqrt()


def turned(image: Tensor, degrees: float) -> tuple[Tensor, np.ndarray]:
    """Turn an image about its middle, as cv2 does: the view and the (2, 3) map of its pixels."""
    import cv2
    side = image.shape[3]
    warp = cv2.getRotationMatrix2D(((side - 1) / 2,) * 2, degrees, 1.0)
    grey = cv2.warpAffine(picture.levels(image), warp, (side, image.shape[2]), flags=cv2.INTER_CUBIC,
                          borderMode=cv2.BORDER_REFLECT_101)
    return torch.from_numpy(grey).to(image.dtype)[None, None] / 255, warp


def matches(image: Tensor, other: Tensor, warp: np.ndarray, count: int, seed: int) -> tuple[SoftKeypoints, Tensor]:
    """Up to `count` keypoints (1, n) of `image` and the descriptors (n, 128) of their true partners in `other`."""
    from pysift.matching import match
    ours, theirs = (detect(view, softness=Softness.hard(), max_keypoints=256, mode="smooth") for view in (image, other))
    d0, d1 = (describe(view, k, UNIT, mode="smooth")[0] for view, k in ((image, ours), (other, theirs)))
    d0[ours.weight[0] <= 0.5], d1[theirs.weight[0] <= 0.5] = 9.0, -9.0                 # match nothing
    pairs = match(d0.numpy(), d1.numpy(), ratio=0.9, mutual=True)
    here, there = (torch.stack([k.x, k.y], -1)[0].numpy() for k in (ours, theirs))
    right = np.hypot(*(here[pairs.index0] @ warp[:, :2].T + warp[:, 2] - there[pairs.index1]).T) < 1.5
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(right))[:count]
    index0, index1 = (torch.from_numpy(i[chosen].astype(np.int64)) for i in (pairs.index0, pairs.index1))
    return ours.take(index0[None]), d1[index1]


def orders(image: Tensor, keypoint: SoftKeypoints, partner: Tensor, generator) -> dict:
    """Flat indices of the pixels about a keypoint, in each order of deletion."""
    h, w = image.shape[2:]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    far = torch.hypot(x - keypoint.x[0, 0], y - keypoint.y[0, 0])
    around = (far <= _REACH * keypoint.sigma[0, 0]).flatten().nonzero()[:, 0]
    slope = match_saliency(image, keypoint, partner)
    change = slope * (_blurred(image) - image)[0, 0]                # a rise of the distance comes first
    return {"gradient": around[slope.abs().flatten()[around].argsort(descending=True)],
            "gradient × change": around[change.flatten()[around].argsort(descending=True)],
            "random": around[torch.from_numpy(generator.permutation(len(around)))]}


def deleted(image: Tensor, order: Tensor) -> Tensor:
    """Images (len(_SHARES), 1, H, W) without the first shares of the pixels in `order`."""
    gone, replacement = image.repeat(len(_SHARES), 1, 1, 1), _blurred(image).flatten()
    for row, share in zip(gone.flatten(1), _SHARES):
        first = order[:round(share * len(order))]
        row[first] = replacement[first]
    return gone


def repeat(keypoint: SoftKeypoints, n: int) -> SoftKeypoints:
    """The same keypoints in each of n images."""
    return SoftKeypoints(*(column.expand(n, -1) for column in keypoint))


def cv2_distances(gone: Tensor, keypoint: SoftKeypoints, other: Tensor, warp: np.ndarray) -> list[float]:
    """Distances by cv2.SIFT of the descriptors of one frame to the one where it lies in the other view."""
    frame = np.array([float(c) for c in (keypoint.x, keypoint.y, keypoint.sigma, keypoint.theta)])
    there = np.array([*(warp[:, :2] @ frame[:2] + warp[:, 2]), frame[2],
                      frame[3] + np.arctan2(warp[1, 0], warp[0, 0])])
    partner = judge.cv2_describe(picture.levels(other), there[None])[0]
    return [float(np.linalg.norm(judge.cv2_describe(picture.levels(view[None]), frame[None])[0] - partner)) / 512
            for view in gone]


def gain(curves: dict, judged: dict, name: str) -> dict:
    """Mean growth of the distance over all shares, as a multiple of that at random, and how often it is larger."""
    found = {}
    for prefix, table in (("", curves), ("cv2_", judged)):
        growth, chance = ((np.array(table[key]) - np.array(table[key])[:, :1]).mean(1) for key in (name, "random"))
        found[prefix + "ratio"] = float(growth.mean() / chance.mean())
        found[prefix + "ahead"] = float((growth > chance).mean())
    return found


def _blurred(image: Tensor) -> Tensor:
    return blur(image, gaussian_kernel(_BLUR, like=image))


def _figure(image: Tensor, keypoints: SoftKeypoints, partners: Tensor, curves: dict, judged: dict):
    canvas, ((first, second, third, fourth),) = report.figure(4, width=15, height=3.9)
    side = image.shape[3] - 1
    inside = torch.stack([keypoints.x, side - keypoints.x, keypoints.y, side - keypoints.y]).amin(0)[0]
    k = int(torch.minimum(keypoints.sigma[0], inside / _REACH).argmax())               # large, and not cut off
    one = keypoints.take(torch.tensor([[k]]))
    x, y, reach = float(one.x), float(one.y), _REACH * float(one.sigma)
    maps = (image[0, 0], descriptor_saliency(image, one), match_saliency(image, one, partners[k]).abs())
    for ax, title, shown in zip((first, second, third), ("a keypoint", "‖∂d/∂I‖ of its descriptor",
                                                         "|∂‖d − d′‖²/∂I| of its match"), maps):
        report.show(ax, shown, title, cmap="gray" if ax is first else "magma")
        ax.plot(x, y, "c+")
        ax.set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach))
    for (name, rows), colour in zip(curves.items(), ("tab:blue", "tab:orange", "grey")):
        share = 100 * np.array(_SHARES)
        fourth.plot(share, np.mean(rows, 0), "o-", color=colour, label=name)
        fourth.plot(share, np.mean(judged[name], 0), "s--", color=colour, ms=3, alpha=0.6, label=f"{name}, by cv2")
    fourth.set(xlabel="pixels deleted [%]", ylabel="distance to the partner", title="deletion test",
               ylim=(0, 1.4 * max(np.mean(rows, 0).max() for rows in curves.values())))
    fourth.legend(fontsize=7, loc="upper left", ncols=2)
    return canvas
