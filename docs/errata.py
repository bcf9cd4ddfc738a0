"""Measure what is wrong in the notebook's formulas: python docs/errata.py.

Prints the numbers of errata.md, writes docs/errata.json and draws docs/images/errata_soft_clip.png.  Statistics over
keypoints are those of one photograph (errata_scene.py).
"""
from __future__ import annotations

import datetime
import json
import math
import os
import platform
from pathlib import Path

import matplotlib
import numpy as np
import torch
from errata_scene import HARD, PHOTO, UNIT, Scene, turn, unit

from diffsift import descriptor, orientation, refine, relax, scalespace
from diffsift.softness import Softness
from diffsift.vjp.scalespace import dog_vjp
from pysift.params import SIFTParams
from pysift.pipeline import sift

HERE = Path(__file__).parent
SEED = 0

def soft_clip(s: Scene) -> dict:
    """1: the soft clip against the hard one, on unit descriptors."""
    x, t = unit(s.descriptors()), 0.2
    clip = {"hard": lambda v: unit(v.clamp(max=t)), "notebook": lambda v: unit(relax.soft_clip_notebook(v, t)),
            "wide": lambda v: unit(relax.soft_clip(v, t, 0.05)), "narrow": lambda v: unit(relax.soft_clip(v, t, 1e-3))}
    d = {name: f(x) for name, f in clip.items()}
    other = torch.randperm(len(x), generator=torch.Generator().manual_seed(SEED))
    ends = relax.soft_clip_notebook(torch.tensor([0.0, t], dtype=torch.float64), t)
    return {"clip.notebook_at_0": ends[0], "clip.notebook_at_threshold": ends[1],
            "clip.ours_at_0": relax.soft_clip(torch.zeros(1), t, 0.05),
            "clip.notebook_cosine_to_hard": (d["hard"] * d["notebook"]).sum(-1).median(),
            "clip.unrelated_distance_hard": (d["hard"] - d["hard"][other]).norm(dim=-1).median(),
            "clip.unrelated_distance_notebook": (d["notebook"] - d["notebook"][other]).norm(dim=-1).median(),
            "clip.notebook_of_an_empty_histogram": clip["notebook"](torch.zeros(1, 128))[0, 0],
            "clip.ours_to_hard_tau_0.05": (d["hard"] - d["wide"]).norm(dim=-1).median(),
            "clip.ours_to_hard_tau_0.001": (d["hard"] - d["narrow"]).norm(dim=-1).median()}


def contrast(s: Scene) -> dict:
    """2: a minimum of D = −0.05 at the gate of T = 0.03, α = 1000."""
    low = torch.tensor(-0.05, dtype=torch.float64)
    return {"gate.notebook_of_a_minimum": torch.sigmoid(1000 * (low - 0.03)),
            "gate.ours_of_a_minimum": relax.log_gate(low.abs() - 0.03, 1000.0).exp(),
            "gate.share_of_minima": (s.sign < 0).double().mean()}


def edges(s: Scene) -> dict:
    """3: the saddle diag(3, −1), and the candidates of the photograph."""
    _, hessian = refine.derivatives(255 * s.cubes)
    xx, yy, _, xy, _, _ = hessian.unbind(-1)
    trace, det = xx + yy, xx * yy - xy * xy
    notebook = trace ** 2 / det < 12.1
    return {"edge.notebook_ratio_of_saddle": (3.0 - 1) ** 2 / (3 * -1.0),
            "edge.limit": 11 ** 2 / 10,
            "edge.ours_of_saddle": 11 ** 2 * (3 * -1.0) - 10 * (3.0 - 1) ** 2,
            "edge.saddles_kept_by_notebook": (notebook & (det < 0)).sum(),
            "edge.candidates": len(det)}


def softmax_weights(s: Scene) -> dict:
    """4: weight of the true extremum among its 27, D in units of the range."""
    flat = s.cubes.flatten(1)
    signed = s.sign[:, None] * flat
    others = torch.cat([signed[:, :13], signed[:, 14:]], 1)
    gap = signed[:, 13] - others.amax(1)
    maxima, minima = flat[s.sign > 0], flat[s.sign < 0]
    weight = {f"softmax.weight_beta_1e{p}": torch.softmax(10.0 ** p * maxima, 1)[:, 13].median() for p in (0, 3, 4, 5)}
    return {"softmax.gap_median": gap.median(), "softmax.gap_1_percent": gap.quantile(0.01), **weight,
            "softmax.weight_of_a_minimum_beta_1e4": torch.softmax(1e4 * minima, 1)[:, 13].median()}


def soft_argmax(s: Scene) -> dict:
    """5: distance of the soft-argmax from the quadratic offset, px."""
    places = torch.stack(torch.meshgrid(*3 * [torch.arange(-1.0, 2.0)], indexing="ij"), -1).view(27, 3).double().flip(1)
    gradient, hessian = refine.derivatives(255 * s.cubes)
    offset = refine.newton_offset(gradient, hessian)
    inside = offset.abs().amax(1) < 0.5
    signed = s.sign[:, None] * s.cubes.flatten(1)
    return {f"argmax.distance_beta_1e{p}": (relax.soft_argmax(signed, places, 10.0 ** p) - offset)[inside]
            .norm(dim=1).median() for p in (3, 4, 5)}


def eigenvectors(s: Scene) -> dict:
    """6: derivatives at the perfect blob, H = 1."""
    round_blob = torch.eye(2, dtype=torch.float64, requires_grad=True)
    torch.linalg.eigh(round_blob)[1][0, 0].backward()
    six = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64, requires_grad=True)
    refine.edge_test(six, 10.0).backward()
    return {"eigh.finite_entries_of_the_gradient_at_a_blob": round_blob.grad.isfinite().sum(),
            "eigh.ours_at_a_blob": refine.edge_test(six.detach(), 10.0), "eigh.norm_of_our_gradient": six.grad.norm()}


def blur_widths(s: Scene) -> dict:
    """7: std of a camera's blur after the first level, octave px."""
    j = torch.arange(-30.0, 31.0, dtype=torch.float64)
    blob = torch.exp(-j * j / 2)[None, None, None].expand(1, 1, 61, 61)             # camera blur ½ px, doubled

    def width(sigma):
        row = scalespace.blur(blob, scalespace.gaussian_kernel(sigma))[0, 0, 30]
        return ((row * j * j).sum() / row.sum()).sqrt()

    base = SIFTParams().base_sigma()
    steps = [1.6 * 2 ** ((i - 1) / 3) * math.sqrt(2 ** (2 / 3) - 1) for i in range(1, 6)]
    return {"blur.of_the_notebook": width(1.6), "blur.of_ours": width(base), "blur.missing": base,
            **{f"blur.step_{i}": step for i, step in enumerate(steps, 1)}}


def adjoint(s: Scene) -> dict:
    """8: the matrix of a blur of σ = 1.6 over 40 pixels."""
    eye = torch.eye(40, dtype=torch.float64)
    matrix = scalespace.blur(eye[:, None, None], scalespace.gaussian_kernel(1.6))[:, 0, 0].T
    inside = (matrix - matrix.T)[8:-8, 8:-8]
    sums = matrix.sum(0)
    return {"adjoint.asymmetry_at_the_border": (matrix - matrix.T).abs().max(),
            "adjoint.asymmetry_inside": inside.abs().max(), **{f"adjoint.column_sum_{i}": sums[i] for i in range(4)}}


def both_differences(s: Scene) -> dict:
    """9: share of the cotangent of the inner levels that is lost."""
    bar = torch.randn(1, 5, 30, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(SEED))
    full, alone = dog_vjp(bar)[:, 1:-1], -bar[:, 1:]
    return {"dog.relative_error_of_one_difference_alone": (full - alone).norm() / full.norm()}


def threshold(s: Scene) -> dict:
    """10: responses that pass, and points strong between pixels only."""
    loose, strict = (sift(s.image, SIFTParams(contrast_threshold=c)).keypoints for c in (0.04, 0.09))
    f = s.found
    pixel = s.planes.cubes(f.layer, f.row, f.col)[..., 1, 1, 1].abs() / 255
    return {"contrast.keypoints_cv2_0.04": len(loose), "contrast.least_response_0.04": loose.response.min(),
            "contrast.keypoints_cv2_0.09": len(strict), "contrast.least_response_0.09": strict.response.min(),
            "contrast.kept_but_too_weak_at_the_pixel": (pixel < 0.04 / 3).sum()}


def bins(s: Scene) -> dict:
    """11: one vote, two votes, the centre of the highest bin."""
    angle, histogram = s.angles()
    two, _ = s.angles(softness=HARD.replace(ori_bin=1.0))
    raw_histogram = s.angles(smoothed=False)[1]
    centre = 360 - 10.0 * raw_histogram.argmax(-1)
    high = raw_histogram > 0.8 * raw_histogram.amax(-1, keepdim=True)
    peaks = orientation.peak_angles(histogram, SIFTParams(), HARD)[1] == 0
    off = turn(angle, two)
    return {"bins.one_vote_or_two_median": off.median(), "bins.one_vote_or_two_over_10": (off > 10).double().mean(),
            "bins.centre_or_parabola_median": turn(centre, angle).median(),
            "bins.orientations_of_the_notebook": high.sum(-1).double().mean(),
            "bins.orientations_of_ours": peaks.sum(-1).double().mean()}


def window(s: Scene) -> dict:
    """12: weight of the Gaussian outside the radius, and what it turns."""
    off = turn(s.angles()[0], s.angles(SIFTParams(ori_reach=2.0))[0])
    return {"window.lost_beyond_3_sigma": math.exp(-2.0), "window.lost_beyond_4.5_sigma": math.exp(-4.5),
            "window.turn_median": off.median(), "window.turn_over_10": (off > 10).double().mean()}


def trilinear(s: Scene) -> dict:
    """13: the slope of a vote's share on either side of the centre of its bin, and what the window does."""
    near = torch.tensor([-1e-6, 1e-6], dtype=torch.float64)
    spline = relax.bspline_slope(near)
    full, flat = unit(s.descriptors()), unit(s.descriptors(desc_sigma=100.0))
    return {"trilinear.jump_of_the_slope": abs(-1.0 - 1.0), "trilinear.jump_of_a_spline": (spline[1] - spline[0]).abs(),
            "trilinear.moved_by_dropping_the_window": (full - flat).norm(dim=-1).median()}


def rotation(s: Scene) -> dict:
    """14: how fast a descriptor changes with what the notebook holds fixed."""
    layer, x, y, sigma = s.at[1:]
    angle = s.angles()[0]

    def described(dx, dangle, dscale):
        raw = descriptor.describe_octave(s.planes, layer, x + sigma * dx, y, sigma * torch.exp(dscale),
                                         angle + dangle * 180 / math.pi, UNIT, Softness(), mode="smooth")
        return descriptor.normalise(raw, UNIT, Softness())[0]

    zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    names = "rotation.per_sigma_of_position", "rotation.per_radian", "rotation.per_e_fold_of_scale"
    return {name: torch.func.jvp(described, 3 * (zero,), tuple(one if i == k else zero for i in range(3)))[1]
            .norm(dim=-1).median() for k, name in enumerate(names)}


def draw() -> None:
    """The notebook's soft clip, the hard one, and ours at two widths."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x = torch.linspace(0, 0.6, 400, dtype=torch.float64)
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    axes.plot(x, x.clamp(max=0.2), color="black", linewidth=2.5, label="hard: min(x, 0.2)")
    for tau, colour in ((0.05, "#7fb3d5"), (0.01, "#1f618d")):
        axes.plot(x, relax.soft_clip(x, 0.2, tau), color=colour, linestyle="--", label=f"ours, τ = {tau}")
    axes.plot(x, relax.soft_clip_notebook(x, 0.2), color="#c0392b", label="notebook: (t·tanh(x/t) + t)/2")
    axes.annotate("0 becomes 0.1", (0, 0.1), (0.01, 0.19), arrowprops={"arrowstyle": "->", "color": "#c0392b"},
                  color="#c0392b")
    axes.set(xlabel="entry of the unit descriptor, x", ylabel="clipped", xlim=(0, 0.6), ylim=(0, 0.23))
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(HERE / "images/errata_soft_clip.png", dpi=100, pil_kwargs={"optimize": True})


PARTS = (soft_clip, contrast, edges, softmax_weights, soft_argmax, eigenvectors, blur_widths, adjoint,
         both_differences, threshold, bins, window, trilinear, rotation)


def main() -> None:
    """Measure, print, write, draw."""
    torch.set_num_threads(1)
    scene = Scene()
    numbers = {key: float(value) for part in PARTS for key, value in part(scene).items()}
    numbers["scene.keypoints"] = scene.found.row.shape[1]
    for key, value in numbers.items():
        print(f"{key:48} {value:.4g}")
    record = {"photograph": PHOTO, "seed": SEED, "date": datetime.date.today().isoformat(),
              "versions": {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__},
              "numbers": numbers}
    part = HERE / "errata.part"
    part.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(part, HERE / "errata.json")
    (HERE / "images").mkdir(exist_ok=True)
    draw()


if __name__ == "__main__":
    main()
