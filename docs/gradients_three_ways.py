"""Differentiate a step of SIFT three ways, and measure how far each is from the truth.

    python -m docs.gradients_three_ways

Prints the table of gradients_three_ways.md, writes gradients_three_ways.json and images/gradients_three_ways.png.
The truth is the same formula in mpmath (which torch installs) with 100 digits, by differences of 10⁻²⁰.
"""
from __future__ import annotations

import datetime
import json
import os
from functools import partial
from pathlib import Path

import mpmath
import numpy as np
import torch

from benchmarks import record
from benchmarks.timing import once
from cnn.tape import Tensor, grad, no_grad
from cnn.tape.elementwise import absolute, exp, log, minimum, sqrt
from diffsift import descriptor, scalespace
from diffsift.softness import Softness
from pysift.image import to_gray
from pysift.params import SIFTParams
from pysift.photos import photo

HERE = Path(__file__).parent
PHOTO, PLACE, BESIDE = "coffee", (100.0, 48.0), (103.0, 49.0)       # x, y [px]: a point, and one to compare it with
UNIT = SIFTParams(descriptor="float32")
CLIP = UNIT.desc_clip
SOFTNESS = {"soft": Softness(), "hard": Softness.hard()}
STEPS = 10.0 ** np.arange(-9, 2.26, 0.25)                           # grey levels
SEED = 0


def histograms() -> tuple[np.ndarray, np.ndarray]:
    """Return the histogram of gradients about PLACE and the descriptor of BESIDE, (128,) each."""
    grey = torch.from_numpy(to_gray(photo(PHOTO))[60:260, 160:360].astype(float))
    levels = scalespace.build_scalespace(grey[None, None], least_side=11)[1].levels
    x, y = torch.tensor([PLACE, BESIDE], dtype=torch.float64).T[:, None]
    raw = descriptor.describe_octave(levels, torch.tensor([[2, 2]]), x, y, torch.full_like(x, 2.5),
                                     torch.zeros_like(x), UNIT)[0]
    return raw[0].numpy(), descriptor.normalise(raw[1], UNIT, SOFTNESS["soft"]).numpy()


def on_tape(raw: Tensor, other: np.ndarray, softness: Softness) -> Tensor:
    """Return ⟨other, normalise(raw)⟩, as diffsift.descriptor.normalise has it, in operations of the tape."""
    square = (raw * raw).sum() + softness.norm ** 2
    u = raw / sqrt(square)
    clipped = soft_clip(u, softness.clip) if softness.clip else minimum(u, CLIP)
    second = (clipped * clipped).sum() + softness.norm ** 2 / square
    return (clipped / sqrt(second) * other).sum()


def soft_clip(u: Tensor, tau: float) -> Tensor:
    """τ·(log σ((u − t)/τ) − log σ(−t/τ)), t = CLIP; see diffsift.relax."""
    return (log_sigmoid((u - CLIP) / tau) - log_sigmoid(Tensor(-CLIP / tau))) * tau


def log_sigmoid(z: Tensor) -> Tensor:
    """Log σ(z) = min(z, 0) − log(1 + e^−|z|), which does not overflow."""
    return minimum(z, 0.0) - log(1.0 + exp(-absolute(z)))


def in_torch(raw: torch.Tensor, other: np.ndarray, softness: Softness) -> torch.Tensor:
    """Return the same by diffsift's own function."""
    return (descriptor.normalise(raw, UNIT, softness) * torch.as_tensor(other)).sum()


def exactly(raw: list, other: list, softness: Softness):
    """Return the same in numbers of mpmath."""
    tau, floor = mpmath.mpf(softness.clip), mpmath.mpf(softness.norm) ** 2
    square = mpmath.fdot(raw, raw) + floor
    u = [r / mpmath.sqrt(square) for r in raw]
    t = mpmath.mpf(CLIP)
    clipped = [tau * (mpmath.log1p(mpmath.exp(t / tau)) - mpmath.log1p(mpmath.exp((t - v) / tau))) for v in u] \
        if tau else [min(v, t) for v in u]
    return mpmath.fdot(clipped, other) / mpmath.sqrt(mpmath.fdot(clipped, clipped) + floor / square)


def truth(raw: np.ndarray, other: np.ndarray, direction: np.ndarray, softness: Softness) -> tuple[np.ndarray, ...]:
    """Return gradient and Hessian·direction, (128,) each, by differences in 100 digits."""
    mpmath.mp.dps = 100
    h = mpmath.mpf(10) ** -20
    x, c, d = ([mpmath.mpf(float(v)) for v in array] for array in (raw, other, direction))

    def slope(at: list, i: int):
        ends = [exactly([*at[:i], at[i] + sign * h, *at[i + 1:]], c, softness) for sign in (1, -1)]
        return (ends[0] - ends[1]) / (2 * h)

    ahead, behind = ([v + sign * h * e for v, e in zip(x, d)] for sign in (1, -1))
    gradient = [float(slope(x, i)) for i in range(len(x))]
    bend = [float((slope(ahead, i) - slope(behind, i)) / (2 * h)) for i in range(len(x))]
    return np.array(gradient), np.array(bend)


def value(raw: np.ndarray, other: np.ndarray, softness: Softness) -> float:
    """Return the value alone: all that differences need."""
    with no_grad():
        return on_tape(Tensor(raw), other, softness).item()


def by_differences(raw: np.ndarray, other: np.ndarray, softness: Softness, step: float, central: bool) -> np.ndarray:
    """(f(x + h eᵢ) − f(x − h eᵢ))/2h, or (f(x + h eᵢ) − f(x))/h, for each i."""
    moves = step * np.eye(len(raw))
    ahead = np.array([value(raw + move, other, softness) for move in moves])
    if central:
        return (ahead - [value(raw - move, other, softness) for move in moves]) / (2 * step)
    return (ahead - value(raw, other, softness)) / step


def by_tape(raw, other, softness, direction=None) -> tuple[np.ndarray, ...]:
    """Return the gradient, and the Hessian times a direction if there is one."""
    x = Tensor(raw, requires_grad=True)
    first, = grad(on_tape(x, other, softness), x, create_graph=direction is not None)
    return (first.data,) if direction is None else (first.data, grad(first, x, direction)[0].data)


def by_torch(raw, other, softness, direction=None) -> tuple[np.ndarray, ...]:
    """Return the same by torch."""
    x = torch.tensor(raw, requires_grad=True)
    first, = torch.autograd.grad(in_torch(x, other, softness), x, create_graph=direction is not None)
    if direction is None:
        return (first.numpy(),)
    return first.detach().numpy(), torch.autograd.grad(first, x, torch.tensor(direction))[0].numpy()


def error(found: np.ndarray, true: np.ndarray) -> float:
    """‖found − true‖ / ‖true‖."""
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def measure() -> dict:
    """Return the errors of each way: of differences by their step, of the tape and torch once."""
    raw, other = histograms()
    direction = np.random.default_rng(SEED).normal(size=raw.shape)
    found = {"norm": float(np.linalg.norm(raw)), "clipped": int((raw > CLIP * np.linalg.norm(raw)).sum()),
             "nearest": float(np.abs(raw - CLIP * np.linalg.norm(raw)).min())}
    for name, softness in SOFTNESS.items():
        gradient, bend = truth(raw, other, direction, softness)
        tape, torched = (way(raw, other, softness, direction) for way in (by_tape, by_torch))
        bent = {f"{h:.0e}": error((by_tape(raw + h * direction, other, softness)[0]
                                   - by_tape(raw - h * direction, other, softness)[0]) / (2 * h), bend)
                for h in 10.0 ** np.arange(-7, 1)}
        found[name] = {
            "forward": [error(by_differences(raw, other, softness, h, False), gradient) for h in STEPS],
            "central": [error(by_differences(raw, other, softness, h, True), gradient) for h in STEPS],
            "tape": error(tape[0], gradient), "torch": error(torched[0], gradient),
            "tape to torch": error(tape[0], torched[0]),
            "second": {"differences of gradients": min(bent.values()), "tape": error(tape[1], bend),
                       "torch": error(torched[1], bend)}}
    return found | {"cost": cost(raw, other)}


def cost(raw: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Return the time of a whole gradient, in times of the value by the same library; medians of 30."""
    soft = SOFTNESS["soft"]
    with torch.no_grad():
        x = torch.tensor(raw)
        values = {"tape": partial(value, raw, other, soft), "torch": partial(in_torch, x, other, soft)}
        base = {name: np.median([once(call)[0] for _ in range(30)]) for name, call in values.items()}
    calls = {"tape": partial(by_tape, raw, other, soft), "torch": partial(by_torch, raw, other, soft)}
    return {name: float(np.median([once(call)[0] for _ in range(30)]) / base[name]) for name, call in calls.items()}


def table(found: dict) -> str:
    """Return the table of the page."""
    lines = ["| way | values of f | soft clip: error | hard clip: error | soft clip, H·u: error |",
             "|---|---|---|---|---|"]
    soft, hard = found["soft"], found["hard"]
    for name, count in (("forward", 129), ("central", 256)):
        best = int(np.argmin(soft[name]))
        second = f"{soft['second']['differences of gradients']:.0e}" if name == "central" else ""
        lines.append(f"| {name} differences, best step {STEPS[best]:.0e} | {count} | {soft[name][best]:.0e} | "
                     f"{min(hard[name]):.0e} | {second} |")
    for name in ("tape", "torch"):
        lines.append(f"| {name} | {found['cost'][name]:.0f}, by its time | {soft[name]:.0e} | {hard[name]:.0e} | "
                     f"{soft['second'][name]:.0e} |")
    return "\n".join(lines)


def draw(found: dict):
    """Error against step, a panel for each clip; returns the Figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, 2, sharey=True),
                                   (("soft", "soft clip, τ = 2·10⁻⁴"), ("hard", "hard clip, min(u, 0.2)"))):
        for way, colour in (("forward", "#ff7f0e"), ("central", "#1f77b4")):
            axes.loglog(STEPS, found[name][way], ".-", color=colour, linewidth=1, label=f"{way} differences")
        axes.axhline(found[name]["tape"], color="#d62728", label="tape")
        axes.axhline(found[name]["torch"], color="black", linestyle="--", label="torch")
        axes.set_title(title)
        axes.set_xlabel("step h [grey levels]")
        axes.grid(alpha=0.3)
    axes.set_ylim(1e-16, 1e2)
    axes.axvline(found["nearest"], color="grey", linestyle=":", label="the nearest kink")
    axes.figure.axes[0].set_ylabel("relative error of the gradient")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def main() -> None:
    """Measure, print, write, draw."""
    torch.set_num_threads(1)
    found = measure()
    print(table(found))
    content = {"date": datetime.date.today().isoformat(), "machine": record.machine(), "seed": SEED, "threads": 1,
               "photograph": PHOTO, "place": PLACE, "beside": BESIDE, "steps": list(STEPS), **found}
    part = HERE / "gradients_three_ways.part"
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(part, HERE / "gradients_three_ways.json")
    draw(found).savefig(HERE / "images/gradients_three_ways.png", dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
