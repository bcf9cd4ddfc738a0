"""Register two crops by descending on descriptors, beside pixel-wise Lucas–Kanade.

    E(w) = Σ_k ‖d(I, W_w(x_k, y_k, σ_k, θ_k)) − d_k‖²,    W_w a similarity: turn, zoom and shift

d_k are the descriptors of the keypoints of the first crop; W_w carries their frames into the second, where the
smooth descriptor has derivatives in all four of x, y, σ and θ.  Levenberg–Marquardt on w = (shift x, shift y,
turn, log zoom): JᵀJ + λ·diag from one forward-mode derivative a parameter.

Lucas–Kanade, forward additive [Baker & Matthews 2004]: Σ_p (a·I(W_w(p)) + b − T(p))², the same w and the same damping,
on grey levels, from a blur of 4 px to one of 1; the gain a and the offset b that fit best are taken at every w.
"""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffsift.apps import picture, report
from diffsift.apps.options import count, number, require_keypoints
from diffsift.apps.saliency import UNIT
from diffsift.keypoints import SoftKeypoints
from diffsift.pipeline import describe_on, detect
from diffsift.planes import Planes, as_planes
from diffsift.relax import bspline
from diffsift.scalespace import blur, build_scalespace, gaussian_kernel
from diffsift.softness import Softness

EXAMPLE = "python -m diffsift align --image coffee --trials 5 -o results"
_DONE = 0.5                         # px: a trial that ends nearer than this counts as registered
_STEPS = 25


def add_arguments(parser) -> None:
    """Options of `python -m diffsift align`."""
    parser.add_argument("--size", type=count, default=128, help="side of the crops [px] (default %(default)s)")
    parser.add_argument("--keypoints", type=count, default=40, help="largest ones used (default %(default)s)")
    parser.add_argument("--trials", type=count, default=10, help="for each distance (default %(default)s)")
    parser.add_argument("--offsets", type=number, nargs="+", default=[1, 2, 4, 8, 12, 16, 24],
                        help="how far the start is off [px] (default 1 2 4 8 12 16 24)")
    parser.add_argument("--turn", type=number, default=8, help="largest turn of the truth [degrees]")


def run(args) -> dict:
    """From starts ever further off, how often does either method arrive, and how near?"""
    image = picture.read(args.image, args.size)
    rows = []
    for light in (False, True):
        for offset in args.offsets:
            ends = [_trial(image, offset, args, 1000 * int(offset) + trial, light) for trial in range(args.trials)]
            row = {"offset_px": offset, "light": light, "errors": {}}
            for name in ("descriptors", "pixels"):
                errors = np.array([end[name] for end in ends])
                good = errors < _DONE
                row["errors"][name] = errors.tolist()
                row[name] = {"arrived": float(good.mean()),
                             "median_px": float(np.median(errors[good])) if good.any() else None}
            rows.append(row)
            print(f"{'other light' if light else 'same light '} start {offset:g} px off: descriptors arrive "
                  f"{row['descriptors']['arrived']:.0%} (median error {row['descriptors']['median_px']}), "
                  f"pixels {row['pixels']['arrived']:.0%} ({row['pixels']['median_px']})")
    report.write("align", args, _figure(rows), rows=rows, arrived_within_px=_DONE)
    return {"rows": rows}


def descend(residuals, start: Tensor, steps: int = _STEPS) -> Tensor:
    """Minimise ‖residuals(w)‖² over w (P,) by Levenberg–Marquardt."""
    w, damping = start.clone(), 1e-2
    value = residuals(w)
    jacobian = torch.func.jacfwd(residuals)
    slopes = jacobian(w)
    for _ in range(steps):
        normal = slopes.T @ slopes
        step = torch.linalg.solve(normal + damping * torch.diag(normal.diagonal() + 1e-12), slopes.T @ value)
        trial = residuals(w - step)
        if trial.square().sum() < value.square().sum():
            w, value, damping = w - step, trial, max(damping / 5, 1e-6)
            if step[:2].abs().max() < 1e-4:
                break
            slopes = jacobian(w)
        else:
            damping *= 6
            if damping > 1e6:
                break
    return w


def by_descriptors(planes: Planes, keypoints: SoftKeypoints, targets: Tensor, middle: float):
    """Residuals of descriptors (K·128,) as a function of w."""
    def residuals(w: Tensor) -> Tensor:
        x, y = carry(w, keypoints.x, keypoints.y, middle)
        moved = keypoints._replace(x=x, y=y, sigma=keypoints.sigma * w[3].exp(), theta=keypoints.theta + w[2])
        return (describe_on(planes, moved, UNIT, Softness(), "smooth")[0] - targets).flatten()
    return residuals


def by_pixels(image: Tensor, template: Tensor, middle: float, margin: int):
    """Residuals of grey levels as a function of w, on all pixels but a margin."""
    inner = torch.arange(margin, template.shape[2] - margin, dtype=template.dtype)
    y, x = torch.meshgrid(inner, inner, indexing="ij")
    wanted = template[0, 0, margin:-margin, margin:-margin]
    wanted = wanted - wanted.mean()

    def residuals(w: Tensor) -> Tensor:
        seen = sample(image, *carry(w, x, y, middle))
        seen = seen - seen.mean()
        gain = (seen * wanted).sum() / seen.square().sum()
        return (gain * seen - wanted).flatten()
    return residuals


def lucas_kanade(image: Tensor, template: Tensor, start: Tensor, middle: float) -> Tensor:
    """Register from a strong blur to a weak one."""
    for sigma in (4.0, 2.0, 1.0):
        kernel = gaussian_kernel(sigma, like=image)
        start = descend(by_pixels(blur(image, kernel), blur(template, kernel), middle, 8), start)
    return start


def carry(w: Tensor, x: Tensor, y: Tensor, middle: float) -> tuple[Tensor, Tensor]:
    """The similarity: turn and zoom about the middle, then shift."""
    cos, sin = w[3].exp() * w[2].cos(), w[3].exp() * w[2].sin()
    u, v = x - middle, y - middle
    return cos * u - sin * v + middle + w[0], sin * u + cos * v + middle + w[1]


def sample(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Read an image at any points by a cubic B-spline, which blurs it by ⅓ px² more; outside, its nearest pixel."""
    height, width = image.shape[2:]
    left, top = x.detach().floor().long() - 1, y.detach().floor().long() - 1
    total = torch.zeros_like(x)
    for i in range(4):
        for j in range(4):
            row, col = (top + i).clamp(0, height - 1), (left + j).clamp(0, width - 1)
            total = total + image[0, 0].flatten()[row * width + col] * bspline(x - left - j) * bspline(y - top - i)
    return total


def _trial(image: Tensor, offset: float, args, seed: int, light: bool) -> dict:
    """A random truth and a start `offset` px from it: mean distance of the crop's points from where they belong."""
    generator = np.random.default_rng(args.seed + seed)
    turn, zoom, direction = generator.uniform([-args.turn, -0.06, 0], [args.turn, 0.06, 2 * np.pi])
    truth = torch.tensor([0.0, 0.0, np.radians(turn), zoom], dtype=image.dtype)
    middle = (args.size - 1) / 2
    grid = torch.arange(args.size, dtype=image.dtype)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    template = sample(image, *carry(truth, x, y, middle))[None, None]           # T(p) = I(W(p))
    template = template + torch.from_numpy(generator.normal(0, 1 / 255, template.shape))
    if light:                                                   # other exposure, and a shade across the crop
        template = 0.2 + 0.6 * template ** 0.7 * (0.6 + 0.4 * x / args.size)
    start = torch.tensor([offset * np.cos(direction), offset * np.sin(direction), 0, 0], dtype=image.dtype)
    keypoints = _largest(template, args.keypoints)
    require_keypoints(keypoints.x.shape[1], args)
    planes, own = (as_planes([octave.levels for octave in build_scalespace(view * 255, UNIT, least_side=11)])
                   for view in (image, template))
    targets = describe_on(own, keypoints, UNIT, Softness(), "smooth")[0]
    ends = {"descriptors": descend(by_descriptors(planes, keypoints, targets, middle), start),
            "pixels": lucas_kanade(image, template, start, middle)}
    right = torch.stack(carry(truth, x, y, middle))
    return {name: (torch.stack(carry(w, x, y, middle)) - right).norm(dim=0).mean().item() for name, w in ends.items()}


def _largest(image: Tensor, count: int) -> SoftKeypoints:
    """Keypoints with most of their square inside, the largest first: they see furthest."""
    found = detect(image, softness=Softness.hard(), max_keypoints=256, mode="smooth")
    side = image.shape[3]
    inside = torch.minimum(torch.minimum(found.x, side - 1 - found.x), torch.minimum(found.y, side - 1 - found.y))
    good = (found.weight > 0.5) & (inside > 5 * found.sigma)
    return found.take(torch.where(good, found.sigma, -1).argsort(1, descending=True)[:, :min(count, int(good.sum()))])


def _figure(rows: list[dict]):
    canvas, (axes,) = report.figure(2, width=11, height=4)
    for name, colour in (("descriptors", "tab:blue"), ("pixels", "tab:orange")):
        for light, style in ((False, "o-"), (True, "s--")):
            mine = [row for row in rows if row["light"] == light]
            offsets = [row["offset_px"] for row in mine]
            label = f"{name}, {'other' if light else 'same'} light"
            axes[0].plot(offsets, [100 * row[name]["arrived"] for row in mine], style, color=colour, label=label)
            axes[1].semilogy(offsets, [row[name]["median_px"] or np.nan for row in mine], style, color=colour,
                             label=label)
    axes[0].set(xlabel="start off by [px]", ylabel=f"ends within {_DONE} px [%]", title="basin of convergence")
    axes[1].set(xlabel="start off by [px]", ylabel="median error of those [px]", title="where it ends")
    axes[0].legend(fontsize=8)
    return canvas
