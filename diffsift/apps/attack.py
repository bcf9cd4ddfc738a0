"""Erase or move keypoints with the least change of the image, judged by cv2.SIFT.

    erase   min over δ of  Σ_k softplus((log w_k − log w*)/τ) + λ·‖δ‖²       w_k the weight of each keypoint
    move    min over δ of  Σ_k ‖(x, y)_k(I + δ) − (x, y)_k(I) − shift‖² + λ·‖δ‖²

Nothing is dropped in the soft pipeline, so a keypoint has a gradient on its way out and none is lost sight of.  λ
sets the price: each λ is a point on the curve of keypoints removed against PSNR.  δ is rounded to grey levels before
cv2 looks.  The yardstick is Gaussian blur of the whole image, which also removes keypoints.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffsift.apps import judge, picture, report
from diffsift.apps.covariance import points
from diffsift.apps.options import count, number, positive, require_keypoints
from diffsift.apps.uncertainty import cells_of, positions
from diffsift.pipeline import detect
from diffsift.scalespace import blur, gaussian_kernel
from diffsift.softness import Softness

EXAMPLE = "python -m diffsift attack --image coffee --steps 60 -o results"
GOAL = Softness(contrast=3.0, settle=10.0, edge=10.0, extremum=2.0)    # gentle: a gradient far from the threshold


def add_arguments(parser) -> None:
    """Options of `python -m diffsift attack`."""
    parser.add_argument("--size", type=count, default=128, help="side of the crop [px] (default %(default)s)")
    parser.add_argument("--steps", type=count, default=120, help="of Adam for each price (default %(default)s)")
    parser.add_argument("--prices", type=positive, nargs="+", default=[3e3, 1e3, 300, 100, 30, 10],
                        help="of a change, λ (default 3000 1000 300 100 30 10)")
    parser.add_argument("--shift", type=number, default=0.3, help="asked of every keypoint, to the right [px]")


def run(args) -> dict:
    """Erase at several prices, blur for comparison, then move."""
    image = picture.read(args.image, args.size)
    before = judge.places(judge.cv2_sift(picture.levels(image))[0])
    require_keypoints(len(before), args)
    erased = [verdict(image, erase(image, price, args.steps), before) | {"price": price} for price in args.prices]
    kernels = (gaussian_kernel(sigma, like=image) for sigma in (0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0))
    blurred = [verdict(image, blur(image, kernel), before) for kernel in kernels]
    for row in erased:
        print(f"erase, price {row['price']:g}: {row['removed']} of {len(before)} keypoints of cv2.SIFT gone, "
              f"{row['added']} new, PSNR {row['psnr']:.1f} dB")
    moved_image = move(image, args.shift, args.steps)
    moved = moves(image, moved_image, args.shift)
    print(f"move by {args.shift} px: cv2.SIFT sees {moved['seen']} of {moved['keypoints']}, moved by "
          f"{moved['median_px']:.3f} px in the median, PSNR {moved['psnr']:.1f} dB")
    pictures = (image, erase(image, args.prices[-1], args.steps), moved_image)
    report.write("attack", args, _figure(pictures, before, erased, blurred), keypoints=len(before), erased=erased,
                 blurred=blurred, moved=moved)
    return {"erased": erased, "blurred": blurred, "moved": moved}


def erase(image: Tensor, price: float, steps: int) -> Tensor:
    """Lower the weight of every keypoint, also of those that appear on the way; the result is in grey levels."""
    slots = 4 * int((detect(image, softness=Softness.hard(), max_keypoints=512).weight > 0.5).sum()) + 8

    def loss(changed: Tensor) -> Tensor:
        found = detect(changed, softness=GOAL, max_keypoints=slots)
        sure = found.log_weight.clamp(min=-1e3)
        return torch.nn.functional.softplus(sure + 3).sum() + price * (changed - image).square().sum()
    return _minimise(loss, image, steps)


def move(image: Tensor, shift: float, steps: int, price: float = 1e-2) -> Tensor:
    """Shift every keypoint to the right within its cell."""
    features = points(image)
    octave, cells = cells_of(features)
    here = torch.stack([features.x, features.y], -1)
    goal = here + torch.tensor([shift, 0.0], dtype=image.dtype)
    scale = features.sigma[0, :, None]

    def loss(changed: Tensor) -> Tensor:
        total = price * (changed - image).square().sum()
        for index in octave.unique().tolist():
            mine = octave[0] == index
            off = (positions(changed, octave, cells, index) - goal)[0, mine] / scale[mine]
            total = total + torch.nn.functional.huber_loss(off, torch.zeros_like(off), reduction="sum", delta=0.1)
        return total
    return _minimise(loss, image, steps)


def verdict(image: Tensor, changed: Tensor, before: np.ndarray) -> dict:
    """What cv2.SIFT finds after the change."""
    after = judge.places(judge.cv2_sift(picture.levels(changed))[0])
    gone, new = judge.missing(before, after), judge.missing(after, before)
    return {"psnr": picture.psnr(image, rounded(changed)), "left": len(after), "removed": int(gone.sum()),
            "added": int(new.sum()), "largest_change": float((rounded(changed) - image).abs().max() * 255)}


def moves(image: Tensor, changed: Tensor, shift: float) -> dict:
    """By how much cv2.SIFT sees its keypoints moved."""
    before, after = (judge.places(judge.cv2_sift(picture.levels(view))[0]) for view in (image, changed))
    steps = judge.shifts(before, after)
    seen = ~np.isnan(steps[:, 0])
    return {"asked_px": shift, "keypoints": len(before), "seen": int(seen.sum()), "shifts_px": steps[seen].tolist(),
            "median_px": float(np.median(steps[seen, 0])) if seen.any() else float("nan"),
            "psnr": picture.psnr(image, rounded(changed))}


def rounded(image: Tensor) -> Tensor:
    """To grey levels, as a file would hold it."""
    return torch.from_numpy(picture.levels(image)).to(image.dtype)[None, None] / 255


def _minimise(loss, image: Tensor, steps: int) -> Tensor:
    changed = image.clone().requires_grad_()
    adam = torch.optim.Adam([changed], lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps, 1e-4)
    for _ in range(steps):
        adam.zero_grad()
        loss(changed).backward()
        adam.step()
        schedule.step()
        with torch.no_grad():
            changed.clamp_(0, 1)
    return changed.detach()


def _figure(pictures: tuple, before: np.ndarray, erased: list[dict], blurred: list[dict]):
    canvas, ((first, second, third, fourth),) = report.figure(4, width=15, height=3.9)
    image, clean, _ = pictures
    report.show(first, image[0, 0], f"{len(before)} keypoints of cv2.SIFT")
    first.plot(before[:, 0], before[:, 1], "o", ms=4, mfc="none", mec="tab:orange")
    after = judge.places(judge.cv2_sift(picture.levels(clean))[0])
    report.show(second, clean[0, 0], f"after erasing: {len(after)}, {erased[-1]['psnr']:.1f} dB")
    second.plot(after[:, 0], after[:, 1], "o", ms=4, mfc="none", mec="tab:orange")
    change = (clean - image)[0, 0] * 255
    limit = float(change.abs().max())
    report.show(third, change, f"the change, ±{limit:.0f} grey levels", cmap="RdBu_r", vmin=-limit, vmax=limit)
    for rows, label in ((erased, "gradient attack"), (blurred, "Gaussian blur")):
        fourth.plot([row["psnr"] for row in rows], [100 * row["left"] / len(before) for row in rows], "o-", label=label)
    fourth.set(xlabel="PSNR [dB]", ylabel="keypoints left or new [% of before]", title="judged by cv2.SIFT",
               ylim=(0, None))
    fourth.legend(fontsize=8)
    return canvas
