"""Recover an image from the descriptors of its keypoints and their frames, by descent.

    min over I of  Σ_k ‖d(I, x_k, y_k, σ_k, θ_k) − d_k‖² + λ·TV(I)

Descriptors say nothing of brightness and contrast (offset and gain of I leave them alone), so these two are fitted
to the truth before PSNR and SSIM are taken, for our image and for the constant one that is the yardstick.
cv2.SIFT judges too: it describes both images in the same frames.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffsift.apps import judge, picture, report
from diffsift.apps.options import count, number, require_keypoints
from diffsift.apps.saliency import UNIT
from diffsift.keypoints import SoftKeypoints
from diffsift.pipeline import describe, detect
from diffsift.scalespace import blur, gaussian_kernel
from diffsift.softness import Softness

EXAMPLE = "python -m diffsift invert --image chelsea --counts 25 100 -o results"
_GENTLE = Softness(length=2.0)      # a start without contrast has gradients of less than a grey level


def add_arguments(parser) -> None:
    """Options of `python -m diffsift invert`."""
    parser.add_argument("--size", type=count, default=96, help="side of the crop [px] (default %(default)s)")
    parser.add_argument("--counts", type=count, nargs="+", default=[10, 25, 50, 100, 200],
                        help="keypoints, those of lower contrast last (default 10 25 50 100 200)")
    parser.add_argument("--steps", type=count, default=150, help="of L-BFGS (default %(default)s)")
    parser.add_argument("--smooth", type=number, default=1e-3, help="λ, weight of the total variation")


def run(args) -> dict:
    """Invert with ever more keypoints."""
    image = picture.read(args.image, args.size)
    found = detect(image, UNIT.replace(contrast_threshold=0.005), Softness.hard(), max_keypoints=max(args.counts),
                   mode="smooth")
    order = torch.where(found.weight > 0.5, found.response, -1).argsort(1, descending=True)
    alive = int((found.weight > 0.5).sum())
    require_keypoints(alive, args)
    rows, pictures = [], []
    for n in sorted({min(n, alive) for n in args.counts}):
        keypoints = found.take(order[:, :n])
        inverted = matched(invert(image.shape, keypoints, describe(image, keypoints, UNIT, mode="smooth"),
                                  args.steps, args.smooth, args.seed), image)
        rows.append(verdict(image, inverted, keypoints) | {"keypoints": n})
        pictures.append(inverted)
        print(f"{n} keypoints: PSNR {rows[-1]['psnr']:.2f} dB, SSIM {rows[-1]['ssim']:.3f}, descriptors off by "
              f"{rows[-1]['residual']:.3f}, by cv2.SIFT {rows[-1]['cv2_residual']:.3f} (a random pair: "
              f"{rows[-1]['cv2_random_pair']:.2f})")
    flat = image.mean().expand_as(image)
    floor = {"psnr": picture.psnr(image, flat), "ssim": ssim(image, flat)}
    report.write("invert", args, _figure(image, pictures, rows, floor), rows=rows, constant_image=floor)
    return {"rows": rows, "constant_image": floor}


def invert(shape, keypoints: SoftKeypoints, targets: Tensor, steps: int, smooth: float, seed: int) -> Tensor:
    """Descend from faint smooth noise; returns (1, 1, H, W), of unknown brightness and contrast."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(shape, generator=generator, dtype=targets.dtype)
    image = (0.5 + 0.3 * blur(noise, gaussian_kernel(2.0, like=noise))).requires_grad_()
    lbfgs = torch.optim.LBFGS([image], lr=1, max_iter=steps, history_size=20, line_search_fn="strong_wolfe",
                              tolerance_grad=1e-9, tolerance_change=1e-12)

    def loss() -> Tensor:
        lbfgs.zero_grad()
        off = describe(image, keypoints, UNIT, _GENTLE, mode="smooth") - targets
        value = off.square().sum() + smooth * total_variation(image) + 1e-3 * (image - 0.5).square().sum()
        value.backward()
        return value
    lbfgs.step(loss)
    return image.detach()


def total_variation(image: Tensor) -> Tensor:
    """Σ √(|∇I|² + ε²) − ε, ε = 1/255."""
    dx = image[..., :-1, 1:] - image[..., :-1, :-1]
    dy = image[..., 1:, :-1] - image[..., :-1, :-1]
    return (torch.sqrt(dx * dx + dy * dy + 255.0 ** -2) - 1 / 255).sum()


def matched(image: Tensor, truth: Tensor) -> Tensor:
    """Gain and offset that bring an image nearest to the truth, by least squares."""
    centred = image - image.mean()
    gain = (centred * (truth - truth.mean())).sum() / centred.square().sum().clamp(min=1e-12)
    return (gain * centred + truth.mean()).clamp(0, 1)


def verdict(image: Tensor, inverted: Tensor, keypoints: SoftKeypoints) -> dict:
    """How near the image and its descriptors are, by our descriptor and by cv2's."""
    ours = [describe(view, keypoints, UNIT, mode="smooth")[0] for view in (image, inverted)]
    frames = torch.stack([c[0] for c in (keypoints.x, keypoints.y, keypoints.sigma, keypoints.theta)], -1).numpy()
    cv2s = [judge.cv2_describe(picture.levels(view), frames) / 512 for view in (image, inverted)]
    return {"psnr": picture.psnr(image, inverted), "ssim": ssim(image, inverted),
            "residual": (ours[0] - ours[1]).norm(dim=-1).mean().item(),
            "cv2_residual": float(np.linalg.norm(cv2s[0] - cv2s[1], axis=1).mean()),
            "cv2_random_pair": float(np.linalg.norm(cv2s[0] - np.roll(cv2s[0], len(frames) // 2, 0), axis=1).mean())}


def ssim(a: Tensor, b: Tensor) -> float:
    """Mean structural similarity, Gaussian window of 1.5 px.          [Wang, Bovik, Sheikh & Simoncelli 2004]

    >>> image = torch.rand(1, 1, 16, 16)
    >>> round(ssim(image, image), 6)
    1.0
    """
    kernel = gaussian_kernel(1.5, like=a)
    mean_a, mean_b = blur(a, kernel), blur(b, kernel)
    var_a, var_b = blur(a * a, kernel) - mean_a ** 2, blur(b * b, kernel) - mean_b ** 2
    both = blur(a * b, kernel) - mean_a * mean_b
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    return ((2 * mean_a * mean_b + c1) * (2 * both + c2)
            / ((mean_a ** 2 + mean_b ** 2 + c1) * (var_a + var_b + c2))).mean().item()


def _figure(image: Tensor, pictures: list[Tensor], rows: list[dict], floor: dict):
    canvas, (axes,) = report.figure(len(rows) + 2, width=2.4 * (len(rows) + 3), height=2.9)
    report.show(axes[0], image[0, 0], "truth", vmin=0, vmax=1)
    for ax, inverted, row in zip(axes[1:], pictures, rows):
        report.show(ax, inverted[0, 0], f"{row['keypoints']} keypoints\n{row['psnr']:.1f} dB, {row['ssim']:.2f}",
                    vmin=0, vmax=1)
    counts = [row["keypoints"] for row in rows]
    axes[-1].semilogx(counts, [row["psnr"] for row in rows], "o-", color="tab:blue")
    axes[-1].axhline(floor["psnr"], color="tab:blue", ls=":", lw=1)
    axes[-1].set(xlabel="keypoints", title="PSNR [dB] (dotted: flat),\nSSIM (orange)")
    right = axes[-1].twinx()
    right.semilogx(counts, [row["ssim"] for row in rows], "s-", color="tab:orange")
    right.set(ylim=(0, 1))
    return canvas
