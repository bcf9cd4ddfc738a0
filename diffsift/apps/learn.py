"""Learn SIFT's own constants: first planted ones, to see that they are found, then on pairs of photographs.

Planted: the hard SIFT (pysift, which is cv2's to the bit) runs with constants that nobody tells.  From its keypoints
and descriptors alone are recovered

    σ₀, clip    min Σ_k ‖d_k(σ₀, clip) − d_k‖², the soft descriptor in the frames given; Levenberg–Marquardt
    C           min Σ_k |w_k(C) − [the list has it]|; Adam, ever sharper; bounded, for a few keypoints are in one
                list and not in the other for reasons of their own

The shape of the kernels is fixed while σ₀ moves, so everything is begun anew from where it ended, three times.  C is
known no better than the gap between the weakest keypoint kept and the strongest dropped.

Photographs: with --data, see oxford.py.
"""
from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffsift.apps import picture, report
from diffsift.apps.align import descend
from diffsift.apps.options import count, positive
from diffsift.keypoints import SoftKeypoints
from diffsift.learned import with_tensors
from diffsift.pipeline import describe, detect
from diffsift.relax import log_gate
from diffsift.softness import Softness
from pysift.params import SIFTParams

EXAMPLE = "python -m diffsift learn --plants 5 -o results"
FIELDS = ("sigma", "contrast_threshold", "desc_clip")
_LOW, _HIGH = (1.4, 0.025, 0.14), (1.9, 0.07, 0.3)
_ROUNDS = 3
_FEW = 30                           # keypoints of each image whose descriptors are compared


def add_arguments(parser) -> None:
    """Options of `python -m diffsift learn`."""
    parser.add_argument("--size", type=count, default=160, help="side of the crops [px] (default %(default)s)")
    parser.add_argument("--plants", type=count, default=5, help="planted constants to recover (default %(default)s)")
    parser.add_argument("--data", metavar="FOLDER", help="Oxford sequences: FOLDER/graf/img1.ppm, H1to2p …")
    parser.add_argument("--seeds", type=count, default=5, help="of the training on --data (default %(default)s)")
    parser.add_argument("--minutes", type=positive, default=40, help="budget of that training (default %(default)s)")


def run(args) -> dict:
    """Recover planted constants; with --data, train on sequences and test on those left out."""
    if args.data and not Path(args.data).is_dir():
        raise ValueError(f"--data {args.data} is no folder: give the one that holds graf/, wall/ and so on")
    generator = np.random.default_rng(args.seed)
    images = [picture.read(name, args.size) for name in dict.fromkeys((args.image, "coffee", "chelsea"))]
    plants = [dict(zip(FIELDS, generator.uniform(_LOW, _HIGH).round(4).tolist())) for _ in range(args.plants)]
    rows = []
    for planted in plants:
        found = recover(images, [plant(image, planted) for image in images])
        errors = {name: found[name] / planted[name] - 1 for name in FIELDS}
        rows.append({"planted": planted, "found": found, "relative_error": errors})
        print("; ".join(f"{name} {planted[name]:g} found as {found[name]:.4f} ({errors[name]:+.2%})"
                        for name in FIELDS))
    trained = None
    if args.data:
        from diffsift.apps import oxford
        trained = oxford.study(args)
    report.write("learn", args, _figure(rows, trained), planted=rows, oxford=trained)
    return {"planted": rows, "oxford": trained}


def plant(image: Tensor, constants: dict) -> tuple[SoftKeypoints, Tensor]:
    """Keypoints (1, N) and descriptors (N, 128) of the hard SIFT with these constants."""
    from pysift.pipeline import sift
    keypoints, descriptors = sift(picture.levels(image), SIFTParams(**constants))
    x, y, sigma, theta, response = (torch.from_numpy(getattr(keypoints, name).astype(float))[None]
                                    for name in ("x", "y", "sigma", "theta", "response"))
    octave, layer = (torch.from_numpy(column.astype(np.int64))[None] for column in (keypoints.octave, keypoints.layer))
    return (SoftKeypoints(x, y, sigma, theta, torch.zeros_like(x), response, octave, layer),
            torch.from_numpy(descriptors.astype(float)))


def recover(images: list[Tensor], seen: list[tuple[SoftKeypoints, Tensor]]) -> dict:
    """Constants from what the hard SIFT has found in images, beginning at the defaults."""
    known = [i for i, (keypoints, _) in enumerate(seen) if keypoints.x.shape[1]]
    if not known:
        raise ValueError("no image has a keypoint to learn from: choose a larger --size or another --image")
    images, seen, params = [images[i] for i in known], [seen[i] for i in known], SIFTParams()
    few = [(keypoints.take(torch.arange(0, keypoints.x.shape[1], max(1, keypoints.x.shape[1] // _FEW))[None]),
            descriptors[::max(1, len(descriptors) // _FEW)]) for keypoints, descriptors in seen]
    for _ in range(_ROUNDS):
        start = torch.tensor([params.sigma, params.desc_clip], dtype=torch.float64).log()
        sigma, clip = descend(descriptor_residuals(images, few, params), start, 5).exp().tolist()
        params = params.replace(sigma=sigma, desc_clip=clip)
    for sharpness in (10, 100, 1000, 1e4):
        params = params.replace(contrast_threshold=threshold(images, seen, params, sharpness))
    return {name: getattr(params, name) for name in FIELDS}


def descriptor_residuals(images: list[Tensor], seen: list, params: SIFTParams):
    """Soft minus given descriptors, in units of the norm, as a function of (log σ₀, log clip)."""
    def residuals(w: Tensor) -> Tensor:
        trial = with_tensors(params, sigma=w[0].exp(), desc_clip=w[1].exp())
        return torch.cat([(describe(image, keypoints, trial, Softness())[0] - descriptors).flatten()
                          for image, (keypoints, descriptors) in zip(images, seen)]) / params.desc_scale
    return residuals


def threshold(images: list[Tensor], seen: list, params: SIFTParams, sharpness: float, steps: int = 150) -> float:
    """The contrast threshold under which weights agree best with which keypoints the list holds."""
    lenient = params.replace(contrast_threshold=params.contrast_threshold / 2)
    responses, labels = [], []
    for image, (keypoints, _) in zip(images, seen):
        found = detect(image, lenient, Softness.hard(), max_keypoints=2 * keypoints.x.shape[1] + 64)
        alive = found.weight[0] > 0.5
        responses.append(found.response[0, alive])
        labels.append(is_among(found, keypoints)[alive])
    margin = params.n_octave_layers * torch.cat(responses)
    label = torch.cat(labels).to(margin.dtype)
    log_c = torch.tensor(math.log(params.contrast_threshold), dtype=margin.dtype, requires_grad=True)
    adam = torch.optim.Adam([log_c], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps, 1e-5)
    for _ in range(steps):
        adam.zero_grad()
        weight = log_gate(margin - log_c.exp(), 100 * sharpness).exp()
        (weight - label).abs().mean().backward()
        adam.step()
        schedule.step()
    return log_c.exp().item()


def is_among(found: SoftKeypoints, listed: SoftKeypoints) -> Tensor:
    """Which of `found` (1, K) the list (1, N) has, (K,): same place to ¼ px of its octave, and same scale."""
    pixel = torch.exp2(found.octave[0].to(found.x.dtype))[:, None]
    near = torch.hypot(found.x[0, :, None] - listed.x[0], found.y[0, :, None] - listed.y[0]) < pixel / 4
    return (near & ((found.sigma[0, :, None] / listed.sigma[0]).log2().abs() < 0.08)).any(1)


def _figure(rows: list[dict], trained: dict | None):
    canvas, (axes,) = report.figure(4 if trained else 3, width=15 if trained else 11)
    for ax, name in zip(axes, FIELDS):
        planted, found = ([row[kind][name] for row in rows] for kind in ("planted", "found"))
        ends = [min(planted), max(planted)]
        ax.plot(ends, ends, "k-", lw=0.8)
        ax.plot(planted, found, "o", color="tab:blue")
        worst = max(abs(row["relative_error"][name]) for row in rows)
        ax.axhline(getattr(SIFTParams(), name), color="grey", ls=":", lw=1)
        ax.set(xlabel="planted", ylabel="recovered", title=f"{name}, worst off by {worst:.2%}")
    if trained:
        from diffsift.apps.oxford import draw
        draw(axes[3], trained)
    return canvas
