"""How the time of detectAndCompute grows with pixels, keypoints and threads: pysift and cv2 in turn in one process.

    pixels      mosaics of photographs from 0.1 to 12 megapixels, one thread; once as installed, once with memory
                that is never given back (benchmarks.timing.REGIMES), which tells the cost of fresh pages; and each
                with a contrast threshold that lets nothing through, since mosaics differ in keypoints a megapixel
    keypoints   one picture, the contrast threshold lowered step by step, one thread, memory kept.  The exponent is
                that of the time beyond what the same call takes when nothing is let through
    threads     as many as the machine has, by powers of two, memory kept

Each curve has the exponent p of t ~ x^p with its interval, and its bend, the farthest that a point lies off the line.
Beside them stands what a bend may come from: stages in ns a pixel, pages a call, keypoints a megapixel, the time of
an image of 16 × 16, of handing nothing to the threads, and what threads add to the bandwidth of a copy.
"""
from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

import cv2
import numpy as np

import pysift
from benchmarks import record
from benchmarks.photographs import sized
from benchmarks.stages import STAGES, stage_seconds
from benchmarks.timing import REGIMES, alternate, bend, exponent, in_fresh_process, processors
from pysift.cv import native_lanes
from pysift.threads import over

MEGAPIXELS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12)
THRESHOLDS = (0.16, 0.08, 0.06, 0.04, 0.03, 0.02)
_NOTHING = 1e6                                          # a contrast threshold that no keypoint passes
_NAMES = ("cv2", "pysift")


def run(*, quick: bool = False, data: str | None = None) -> dict[str, dict]:
    """Measure the three curves; returns {curve: {"cv2" | "pysift": (exponent, interval)}}."""
    # here, so that no process that is timed loads matplotlib
    from benchmarks.cost_figure import draw

    kept = REGIMES["kept, huge pages"] if platform.libc_ver()[0] == "glibc" else {}
    curves = {}
    for regime, environment in (("as installed", {}), ("kept, huge pages", kept)):
        whole, bare = in_fresh_process(environment, by_pixels, quick)
        curves |= {f"pixels, {regime}": whole, f"no keypoints, {regime}": bare}
    curves["keypoints"] = in_fresh_process(kept, by_keypoints, quick)
    curves |= {f"threads, {curve['image']}": curve for curve in in_fresh_process(kept, by_threads, quick)}
    for name, curve in curves.items():
        _print_curve(name, curve)
    reasons = in_fresh_process({}, overheads)
    _print_reasons(curves, reasons)
    record.write("cost", quick, ipp=bool(cv2.ipp.useIPP()), curves=curves, overheads=reasons)
    record.save_figure(draw(curves), "cost", quick)
    return {name: curve["exponents"] for name, curve in curves.items()}


def by_pixels(quick: bool) -> tuple[dict, dict]:
    """Time mosaics of 4 : 3, one thread, as they are and without keypoints."""
    _use_threads(1)
    sizes = [(4 * round((m * 1e6 / 12) ** 0.5), 3 * round((m * 1e6 / 12) ** 0.5)) for m in MEGAPIXELS]
    whole, bare = [], []
    for width, height in sizes[:5:2] if quick else sizes:
        grey = sized(height, width)
        for points, threshold in ((whole, 0.04), (bare, _NOTHING)):
            calls, found = _calls(grey, threshold)
            points.append({"x": grey.size, "keypoints": found, **_time(calls, quick)})
        whole[-1]["stages"] = stage_seconds(grey, _params(), 3 if quick else 7)
    return fitted(whole, "pixels"), fitted(bare, "pixels, no keypoints")


def by_keypoints(quick: bool) -> dict:
    """Time one picture at falling contrast thresholds, one thread; x is the number of keypoints."""
    _use_threads(1)
    grey = sized(512, 512) if quick else sized(854, 1280)
    none = _time(_calls(grey, _NOTHING)[0], quick)
    points = []
    for threshold in THRESHOLDS[::2] if quick else THRESHOLDS:
        calls, found = _calls(grey, threshold)
        points.append({"x": found, "contrast_threshold": threshold, "keypoints": found, **_time(calls, quick)})
    return {"image": f"{grey.shape[1]} × {grey.shape[0]}", "without_keypoints": none} | fitted(
        points, "keypoints", {name: median(none["seconds"][name]) for name in _NAMES})


def by_threads(quick: bool) -> list[dict]:
    """Time three sizes with 1, 2, 4, … threads, as many as there are processors; a curve for each size."""
    numbers = [2**k for k in range(processors().bit_length())]
    curves = []
    for width, height in ((512, 512), (1280, 854), (4000, 3000))[:1 if quick else None]:
        grey, points = sized(height, width), []
        for n in numbers:
            _use_threads(n)
            calls, found = _calls(grey)
            points.append({"x": n, "keypoints": found, **_time(calls, quick),
                           "stages": stage_seconds(grey, _params(), 3 if quick else 7)})
        curves.append({"image": f"{width} × {height}"} | fitted(points, "threads"))
    return curves


def overheads() -> dict[str, float]:
    """What does not grow with the image, and how copies scale, in seconds and bytes/s."""
    threads = processors()
    _use_threads(1)
    tiny = alternate(_calls(sized(512, 512)[:16, :16].copy())[0], 51)
    _use_threads(threads)
    handing = alternate({"over": partial(over, threads, lambda first, last: None)}, 201)["over"]
    arrays = [np.ones(1 << 27, np.uint8) for _ in range(2 * threads)]
    with ThreadPoolExecutor(threads) as pool:
        def copies(n: int) -> None:
            list(pool.map(np.copyto, arrays[:n], arrays[threads:threads + n]))
        copied = alternate({"one": partial(copies, 1), "all": partial(copies, threads)}, 7)
    return {"tiny_cv2": tiny["cv2"].median, "tiny_pysift": tiny["pysift"].median, "threads": threads,
            "handing_nothing_to_threads": handing.median, "copy_of_one_thread": (1 << 28) / copied["one"].median,
            "copy_of_all_threads": (1 << 28) * threads / copied["all"].median}


def _use_threads(n: int) -> None:
    cv2.setNumThreads(n)
    pysift.set_num_threads(n)


def _params(threshold: float = 0.04) -> pysift.SIFTParams:
    return pysift.SIFTParams.opencv(contrast_threshold=threshold, simd_lanes=native_lanes())


def _calls(grey: np.ndarray, threshold: float = 0.04) -> tuple[dict, int]:
    """Return both calls, warm, and how many keypoints they find."""
    calls = {"cv2": partial(cv2.SIFT_create(contrastThreshold=threshold).detectAndCompute, grey, None),
             "pysift": partial(pysift.sift, grey, _params(threshold))}
    calls["cv2"]()
    return calls, len(calls["pysift"]().keypoints)


def _time(calls: dict, quick: bool) -> dict:
    seconds = max(s.median for s in alternate(calls, 1).values())
    samples = alternate(calls, 5 if quick else max(7, min(15, int(5 / seconds))))
    return {"seconds": {name: s.seconds for name, s in samples.items()},
            "faults": {name: s.faults for name, s in samples.items()}}


def fitted(points: list[dict], what: str, without: dict[str, float] | None = None) -> dict:
    """Add exponent and bend of each implementation, of the time beyond `without` if that is given.

    Points that noise leaves without such a time in one of their rounds are left out of the fit.
    """
    curve = {"x": what, "points": points, "fitted": {}, "exponents": {}, "bends": {}}
    for name in _NAMES:
        base = (without or {}).get(name, 0.0)
        beyond = [(p["x"], [s - base for s in p["seconds"][name]]) for p in points]
        usable = [(x, seconds) for x, seconds in beyond if x > 0 and min(seconds) > 0]
        curve["fitted"][name] = [(x, median(seconds)) for x, seconds in usable]
        if len(usable) > 1:
            x, seconds = zip(*usable)
            curve["exponents"][name], curve["bends"][name] = exponent(x, seconds), bend(x, seconds)
    return curve


def _print_curve(name: str, curve: dict) -> None:
    print(f"\n{name:<34}{'keypoints':>10}{'cv2 ms':>10}{'pages':>9}{'pysift ms':>11}{'pages':>9}{'ratio':>7}")
    for p in curve["points"]:
        theirs, ours = (median(p["seconds"][who]) for who in _NAMES)
        pages = [median(p["faults"][who]) for who in _NAMES]
        print(f"{p['x']:<34}{p['keypoints']:>10}{1e3 * theirs:>10.1f}{pages[0]:>9.0f}{1e3 * ours:>11.1f}"
              f"{pages[1]:>9.0f}{theirs / ours:>7.2f}")
    for who, (value, (low, high)) in curve["exponents"].items():
        print(f"{who}: exponent {value:.3f}, 95 % {low:.3f} … {high:.3f}; farthest off the line "
              f"{curve['bends'][who]:.0%}", flush=True)


def _print_reasons(curves: dict, reasons: dict[str, float]) -> None:
    """Print what bends come from: stages by size and by threads, and what does not grow at all."""
    for name, curve in curves.items():
        if "stages" not in curve["points"][0]:
            continue
        unit, each = ("ns/pixel", 1e9) if curve["x"] == "pixels" else ("ms", 1e3)
        print(f"\n{name}: pysift's stages, {unit}")
        print(f"{curve['x']:<22}" + "".join(f"{p['x']:>10}" for p in curve["points"]))
        for stage in STAGES:
            values = [each * median(p["stages"][stage]) / (p["x"] if curve["x"] == "pixels" else 1)
                      for p in curve["points"]]
            print(f"{stage:<22}" + "".join(f"{v:>10.2f}" for v in values))
        if curve["x"] == "pixels":
            print(f"{'keypoints/megapixel':<22}" + "".join(f"{1e6 * p['keypoints'] / p['x']:>10.0f}"
                                                          for p in curve["points"]))
    print(f"\n16 × 16 pixels: cv2 {1e6 * reasons['tiny_cv2']:.0f} µs, pysift {1e6 * reasons['tiny_pysift']:.0f} µs; "
          f"handing nothing to {reasons['threads']} threads: {1e6 * reasons['handing_nothing_to_threads']:.0f} µs; "
          f"copy in RAM: {reasons['copy_of_one_thread'] / 1e9:.0f} GB/s by one thread, "
          f"{reasons['copy_of_all_threads'] / 1e9:.0f} GB/s by {reasons['threads']}")
