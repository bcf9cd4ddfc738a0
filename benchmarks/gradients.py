"""Derivatives of SIFT: time and memory of forward and backward, parity, torch.func; diffsift beside kornia and cv2.

    for 1 and 2 threads     a fresh process for each way to hand out memory (benchmarks.timing.REGIMES)
      each size               everybody twice, unmeasured; then in turn: inference, forward, backward of each

Everybody has the same number of slots K: 128 and 320 for 256 × 256 pixels, where cv2 finds 337 keypoints, and 512
for 512 × 512.  The first is the main case.  `inference` is without a
graph, `forward` with one, `backward` the derivative of the sum of all outputs to every pixel.  A ratio is
forward + backward of kornia's pyramid over another's: above 1 is faster.  cv2 has no derivative; its time is that
of detectAndCompute for the K strongest, with its precise upscaling.
"""
from __future__ import annotations

import platform
from statistics import median

import cv2
import numpy as np
import torch

from benchmarks import gradients_parity, gradients_transforms, memory, record
from benchmarks.differentiable import Passes, absent, by_name, present
from benchmarks.photographs import sized
from benchmarks.timing import REGIMES, Samples, alternate, in_fresh_process, processors, ratio

CASES = ((256, 128), (256, 320), (512, 512))            # side of the image [px], K
WANTED = 2.0                                            # times as fast as BASE, forward + backward, first case
BASE = "kornia pyramid"
PASSES = ("inference", "forward", "backward")
_ROUNDS = {256: 9, 512: 4}
_CHILD = """
import cv2, torch
torch.set_num_threads(1)
cv2.setNumThreads(1)
from benchmarks import gradients
def call(image): return gradients.once({name!r}, image, {count} if len(image) > 64 else 4)
"""


def run(*, quick: bool = False, data: str | None = None) -> dict[str, dict]:
    """Measure everything; returns {contestant: {threads: ratio}} of the first case, memory as installed."""
    # here, so that no process that is timed loads matplotlib
    from benchmarks.gradients_figure import draw

    cases = CASES[:1] if quick else CASES
    regimes = {"as installed": {}} if quick or platform.libc_ver()[0] != "glibc" else {
        name: REGIMES[name] for name in ("as installed", "kept")}
    rows = [row for threads in (1, 2) for regime, environment in regimes.items()
            for row in in_fresh_process(environment, race, threads, cases, quick, regime)]
    for row in rows:
        _print_row(row)
    peaks = [measure_memory(name, *case) for case in cases for name in (*(c.name for c in present()), "cv2")]
    parity = gradients_parity.compare()
    transforms = gradients_transforms.table()
    record.write("gradients", quick, cases=CASES, base=BASE, wanted=WANTED, ipp=bool(cv2.ipp.useIPP()),
                 regimes=regimes, absent=absent(), rows=rows, memory=peaks, parity=parity, transforms=transforms)
    record.save_figure(draw(rows), "gradients", quick)
    main = [row for row in rows if (row["side"], row["slots"]) == CASES[0] and row["regime"] == "as installed"]
    return {name: {row["threads"]: row["ratios"][name] for row in main} for name in main[0]["ratios"]}


def picture(side: int) -> np.ndarray:
    """The middle of a photograph of 512 × 512, (side, side) uint8."""
    start = (512 - side) // 2
    return np.ascontiguousarray(sized(512, 512)[start:start + side, start:start + side])


def as_images(grey: np.ndarray) -> torch.Tensor:
    """(H, W) uint8 → (1, 1, H, W) float32 in [0, 1]."""
    return torch.from_numpy(grey.astype(np.float32) / 255)[None, None]


def race(threads: int, cases: tuple[tuple[int, int], ...], quick: bool, regime: str) -> list[dict]:
    """Time everybody on each case; a row for each."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    rows = []
    for side, count in cases:
        calls, found = _calls(picture(side), count)
        for _ in range(2):
            for call in calls.values():
                call()
        samples = alternate(calls, 3 if quick else _ROUNDS[side])
        rows.append({"side": side, "slots": count, "threads": threads, "processors": processors(),
                     "regime": regime, "found": found, **summary(samples)})
    return rows


def _calls(grey: np.ndarray, count: int) -> tuple[dict, dict[str, int]]:
    """Everybody's passes, "name, pass" → call, and how many of the slots each fills."""
    images = as_images(grey)
    calls, found = {}, {}
    for contestant in present():
        detect = contestant.build(count, "cpu")
        found[contestant.name] = len(contestant.places(detect(images))[0])
        passes = Passes(detect, images)
        calls |= {f"{contestant.name}, {kind}": getattr(passes, kind) for kind in PASSES}
    sift = _cv2(count)
    found["cv2"] = len(sift.detect(grey, None))
    calls["cv2, inference"] = lambda: sift.detectAndCompute(grey, None)
    return calls, found


def _cv2(count: int):
    return cv2.SIFT_create(nfeatures=count, enable_precise_upscale=True)


def summary(samples: dict[str, Samples]) -> dict:
    """Seconds and page faults of every pass, and the ratios of BASE to each, forward + backward, with 95 % intervals.

    >>> taken = {"kornia pyramid": 2, "mine": 1}
    >>> samples = {f"{n}, {p}": Samples([t] * 3, [0] * 3) for n, t in taken.items() for p in PASSES}
    >>> summary(samples)["ratios"]["mine"]
    2.0
    """
    seconds = {name: s.seconds for name, s in samples.items()}
    whole = {name: [a + b for a, b in zip(seconds[f"{name}, forward"], seconds[f"{name}, backward"])]
             for name in dict.fromkeys(key.split(", ")[0] for key in seconds) if f"{name}, backward" in seconds}
    pairs = {name: ratio(whole[BASE], taken) for name, taken in whole.items()} if BASE in whole else {}
    return {"ratios": {name: value for name, (value, _) in pairs.items()},
            "intervals": {name: interval for name, (_, interval) in pairs.items()},
            "seconds": seconds, "faults": {name: s.faults for name, s in samples.items()}}


def once(name: str, grey: np.ndarray, count: int) -> int:
    """Run forward and backward once, of cv2 the call; returns how many slots there were.  For `measure_memory`."""
    if name == "cv2":
        return len(_cv2(count).detectAndCompute(grey, None)[0])
    passes = Passes(by_name(name).build(count, "cpu"), as_images(grey))
    passes.forward()
    used = passes.outputs[0].shape[1]
    passes.backward()
    return used


def measure_memory(name: str, side: int, count: int) -> dict:
    """Peak of forward and backward above that of the same process on 64 × 64 pixels with 4 slots; one thread."""
    measured = memory.net(_CHILD.format(name=name, count=count), picture(side))
    row = {"contestant": name, "side": side, "slots": count, "idle": measured["idle"],
           "busy": measured["busy"], "net": measured["net"]}
    print(f"{name:<18}{side:>5}²{count:>5} slots  peak of forward + backward {row['net'] / 2**20:8.0f} MiB", flush=True)
    return row


def _print_row(row: dict) -> None:
    print(f"\n{row['side']} × {row['side']}, {row['slots']} slots, {row['threads']} thread(s), memory "
          f"{row['regime']}\n{'':<18}{'found':>6}" + "".join(f"{kind + ' ms':>14}" for kind in PASSES)
          + f"{'sum ms':>10}{BASE + ' / it':>22}    95 % interval")
    for name, found in row["found"].items():
        cells = [1e3 * median(row["seconds"][f"{name}, {kind}"]) if f"{name}, {kind}" in row["seconds"] else None
                 for kind in PASSES]
        line = f"{name:<18}{found:>6}" + "".join("             -" if c is None else f"{c:14.1f}" for c in cells)
        if name in row["ratios"]:
            low, high = row["intervals"][name]
            line += f"{cells[1] + cells[2]:10.1f}{row['ratios'][name]:22.2f}    {low:.2f} … {high:.2f}"
        print(line, flush=True)
    if row["processors"] < row["threads"]:
        print(f"worthless: the process was pinned to {row['processors']} processor(s)")
