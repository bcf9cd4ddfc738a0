"""Time of convolution on the tape and in torch, forward and backward, in float32 at equal threads.

    for 1 and 2 threads     tape, torch, torch, tape, tape, torch: a fresh process each, whose rounds are put together
      each shape              once each way, unmeasured; then rounds forward, then backward

A process each, because the idle threads of one library spin for a while and would slow the other; in this order,
because the machine drifts; three each, because now and then one is slower by a third from its start to its end.
Forward is y = conv2d(x, w), recorded for differentiation; backward is both gradients, x̄ and w̄, from a given ȳ.
A ratio is the tape's median over torch's: below 1 is faster than torch.  torch has oneDNN's kernels; the tape has
NumPy's matrix product, and copies in and out of columns on one thread.  The aim, 5, is for the shapes of LeNet and
ResNet.  That both compute the same is held by tests/test_tape_conv.py.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np

from benchmarks import record
from benchmarks.timing import in_fresh_process, once, processors, ratio

# net and layer: images, channels, side, filters, kernel, stride, padding, groups
SHAPES = {
    "LeNet conv1":         (64, 1, 28, 6, 5, 1, 0, 1),
    "LeNet conv2":         (64, 6, 12, 16, 5, 1, 0, 1),
    "ResNet stem, 7 × 7":  (4, 3, 224, 64, 7, 2, 3, 1),
    "ResNet 56², 3 × 3":   (4, 64, 56, 64, 3, 1, 1, 1),
    "ResNet 28², 3 × 3":   (4, 128, 28, 128, 3, 1, 1, 1),
    "ResNet 14², 3 × 3":   (4, 256, 14, 256, 3, 1, 1, 1),
    "ResNet 7², 3 × 3":    (4, 512, 7, 512, 3, 1, 1, 1),
    "ResNet 56², 3 × 3 / 2": (4, 128, 56, 128, 3, 2, 1, 1),
    "ResNet 56², 1 × 1 up": (4, 64, 56, 256, 1, 1, 0, 1),
    "ResNet 56², 1 × 1 down": (4, 256, 56, 64, 1, 1, 0, 1),
    "ResNet 56², 1 × 1 / 2": (4, 256, 56, 512, 1, 2, 0, 1),
    "ResNet 7², 1 × 1 up": (4, 512, 7, 2048, 1, 1, 0, 1),
    "CIFAR ResNet 32², 3 × 3": (32, 16, 32, 16, 3, 1, 1, 1),
    "MobileNet 28², depthwise": (4, 128, 28, 128, 3, 1, 1, 128),
    "MobileNet 7², depthwise": (4, 512, 7, 512, 3, 1, 1, 512),
}
ORDER = ("tape", "torch", "torch", "tape", "tape", "torch")
AIM = 5.0
SEED = 0


def run(*, quick: bool = False, data: str | None = None) -> dict[str, dict[int, tuple[float, float]]]:
    """Time all shapes; returns {shape: {threads: (forward, backward)}}, the ratios."""
    from benchmarks.tape_figure import draw

    names = list(SHAPES)[:2] if quick else list(SHAPES)
    print(f"{'shape':<26}{'threads':>8}   {'tape, torch [ms]':<18}{'ratio':>6}  95 %           "
          f"{'backward [ms]':<18}{'ratio':>6}  95 %")
    rows = [row for threads in (1, 2) for row in race(threads, names, quick)]
    rows.sort(key=lambda row: names.index(row["shape"]))
    record.write("tape", quick, seed=SEED, aim=AIM, blas=_blas(), rows=rows)
    record.save_figure(draw(rows), "tape", quick)
    return {name: {row["threads"]: (row["forward"]["ratio"], row["backward"]["ratio"])
                   for row in rows if row["shape"] == name} for name in names}


def race(threads: int, names: list[str], quick: bool) -> list[dict]:
    """Time the shapes in six processes of `threads` threads; a row for each."""
    variables = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    runs = [(who, in_fresh_process(variables, times, who, threads, names, quick)) for who in ORDER]
    rows = []
    for name in names:
        row = {"shape": name, "sizes": SHAPES[name], "threads": threads, "processors": processors()}
        for step in ("forward", "backward"):
            seconds = {who: [s for other, run in runs if other == who for s in run[name][step]] for who in ORDER}
            value, interval = ratio(seconds["tape"], seconds["torch"])
            row[step] = {"ratio": value, "interval": interval,
                         "rounds": {who: len(rounds) for who, rounds in seconds.items()},
                         "ms": {who: 1e3 * median(rounds) for who, rounds in seconds.items()}}
        rows.append(row)
        _print(row)
    return rows


def times(who: str, threads: int, names: list[str], quick: bool) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of the rounds, shape → step → list, of one library in this process."""
    found = {}
    for name in names:
        found[name] = {}
        for step, call in (on_tape if who == "tape" else on_torch)(SHAPES[name], threads).items():
            call()
            rounds = 5 if quick else max(9, min(51, int(0.3 / once(call)[0])))
            found[name][step] = [once(call)[0] for _ in range(rounds)]
    return found


def on_tape(sizes: tuple, threads: int) -> dict[str, Callable]:
    """Return the tape's calls; its threads are those of the BLAS, which the environment has set."""
    from cnn.tape import Tensor, grad
    from cnn.tape.conv import conv2d

    x, w, how = drawn(sizes)
    x, w = Tensor(x, requires_grad=True), Tensor(w, requires_grad=True)
    y = conv2d(x, w, **how)
    seed = np.random.default_rng(SEED).standard_normal(y.shape, np.float32)
    return {"forward": partial(conv2d, x, w, **how), "backward": partial(grad, y, (x, w), seed)}


def on_torch(sizes: tuple, threads: int) -> dict[str, Callable]:
    """Return torch's calls."""
    import torch
    from torch.nn.functional import conv2d

    torch.set_num_threads(threads)
    x, w, how = drawn(sizes)
    x, w = torch.tensor(x, requires_grad=True), torch.tensor(w, requires_grad=True)
    y = conv2d(x, w, **how)
    seed = torch.tensor(np.random.default_rng(SEED).standard_normal(y.shape, np.float32))
    return {"forward": partial(conv2d, x, w, **how),
            "backward": partial(torch.autograd.grad, y, (x, w), seed, retain_graph=True)}


def drawn(sizes: tuple) -> tuple[np.ndarray, np.ndarray, dict]:
    """Draw images and filters; returns them, and how to convolve."""
    images, channels, side, filters, kernel, stride, padding, groups = sizes
    rng = np.random.default_rng(SEED)
    return (rng.standard_normal((images, channels, side, side), np.float32),
            rng.standard_normal((filters, channels // groups, kernel, kernel), np.float32),
            {"stride": stride, "padding": padding, "groups": groups})


def _print(row: dict) -> None:
    cells = ""
    for step in ("forward", "backward"):
        part = row[step]
        times = f"{part['ms']['tape']:.2f}, {part['ms']['torch']:.2f}"
        cells += f"{times:<18}{part['ratio']:>6.2f}  {part['interval'][0]:.2f} … {part['interval'][1]:<7.2f}"
    print(f"{row['shape']:<26}{row['threads']:>8}   {cells}", flush=True)


def _blas() -> str:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']}"
