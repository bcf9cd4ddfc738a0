"""Time of detectAndCompute: pysift and its peers against cv2.SIFT, at equal threads, in turn in one process.

    for 1 and 2 threads     a fresh process, since some fix their threads at the first call
      beside peers            each size: everybody once, unmeasured; then cv2, pysift, peers, cv2, pysift, peers, …
      as installed,           cv2, pysift, cv2, pysift, …, of all, of detection, and of description alone; a process
      kept, huge pages        for each size and each way to hand out memory (benchmarks.timing.REGIMES)

A ratio is cv2's median over another's: above 1 is faster than cv2.  `ratio` is that of a process which has nothing
but cv2 and pysift in it, as installed, and has seen no other size: what a larger image leaves to the allocator
serves cv2 in a later, smaller one; `conservative` holds the same pysift against the fastest cv2 of all
processes, so that no part of it is cv2 waiting for fresh pages.  cv2 runs with IPP as the wheel sets it.  Everybody
runs with the defaults of benchmarks.peers, pysift as SIFTParams.opencv(), which finds cv2's keypoints.  A peer has
at least 3 rounds; where one call takes more than 5 s, or would by the pixels of the size before, it is left out,
and the row says so.
"""
from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

import cv2

import pysift
from benchmarks import record
from benchmarks.peers import PEERS, Peer, absent
from benchmarks.photographs import sized
from benchmarks.timing import REGIMES, Samples, alternate, in_fresh_process, once, processors, ratio

SIZES = ((512, 512), (640, 427), (1280, 854), (1600, 1200), (4000, 3000))           # width, height
_OTHERS = ("kornia-rs", "pycolmap", "scikit-image", "kornia pyramid", "kornia patch")
_PATIENCE = 5.0                                                                 # seconds of one call


def run(*, quick: bool = False, data: str | None = None) -> dict[str, dict[int, float]]:
    """Time all sizes at one and two threads; returns {image: {threads: ratio}}."""
    # here, so that no process that is timed loads matplotlib
    from benchmarks.speed_figure import draw

    sizes = SIZES[:1] if quick else SIZES
    regimes = REGIMES if platform.libc_ver()[0] == "glibc" else {"as installed": {}}
    print(f"{'image':<13}{'threads':>8}  {'beside peers':<20}{'its threads':>12}{'keypoints':>10}{'rounds':>7}"
          f"{'ms':>10}{'cv2/it':>8}    95 % interval pages/call")
    rows = []
    for threads in (1, 2):
        peers = in_fresh_process({}, race_of_all, threads, sizes, quick)
        pairs = {name: [in_fresh_process(environment, race_of_two, threads, size, quick) for size in sizes]
                 for name, environment in regimes.items()}
        rows += [join(peers[i], {name: of_size[i] for name, of_size in pairs.items()}) for i in range(len(sizes))]
    rows.sort(key=lambda row: SIZES.index(tuple(map(int, row["image"].split(" × ")))))
    _print_summary(rows)
    allocator = {name: value for name, value in os.environ.items()
                 if name.startswith(("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD"))}
    record.write("speed", quick, ipp=bool(cv2.ipp.useIPP()), ipp_version=cv2.ipp.getIppVersion(),
                 huge_pages=_huge_pages(), allocator=allocator, regimes=regimes, absent=absent(), rows=rows)
    record.save_figure(draw(rows), "speed", quick)
    return {row["image"]: {r["threads"]: r["ratio"] for r in rows if r["image"] == row["image"]} for row in rows}


def pair() -> list[Peer]:
    """cv2, and pysift in cv2's mode; imports nobody else."""
    by_name = {peer.name: peer for peer in PEERS}
    return [by_name["cv2"], replace(by_name["pysift opencv()"], name="pysift")]


def everybody() -> list[Peer]:
    """The pair, the drop-in that makes cv2.KeyPoint objects, and the peers that can be imported."""
    theirs, ours = pair()
    drop_in = replace(theirs, name="pysift.SIFT_create", threads=ours.threads,
                      prepare=lambda grey: partial(pysift.SIFT_create().detectAndCompute, grey, None))
    return [theirs, ours, drop_in, *(peer for peer in PEERS if peer.name in _OTHERS and peer.available())]


def race_of_all(threads: int, sizes: tuple, quick: bool) -> list[dict]:
    """Time cv2, pysift and the peers on each size; a row for each."""
    peers = everybody()
    used = {peer.name: peer.set_threads(threads) for peer in peers}
    expected = dict.fromkeys(used, 0.0)                                         # seconds a pixel
    rows = []
    for width, height in sizes:
        row = {"image": f"{width} × {height}", "threads": threads, "threads_used": used}
        rows.append(row | race(sized(height, width), peers, expected, quick))
        _print_row(rows[-1])
    return rows


def race_of_two(threads: int, size: tuple[int, int], quick: bool) -> dict[str, dict]:
    """Time cv2 and pysift on a picture of (width, height): {"all", "detect", "describe"} → seconds and faults."""
    peers, grey, row = pair(), sized(*reversed(size)), {}
    for peer in peers:
        peer.set_threads(threads)
    for name in ("all", "detect", "describe"):
        calls = {peer.name: (peer.prepare if name == "all" else getattr(peer, name))(grey) for peer in peers}
        first = [once(call)[0] for call in calls.values()]                      # compiled and warm
        row[name] = _raw(alternate(calls, _rounds(max(first), quick, 7)))
        row[name]["processors"] = processors()
    return row


def race(grey, peers: list[Peer], expected: dict[str, float], quick: bool) -> dict:
    """Warm everybody up, leave out the slow, time the rest in turn; `expected` is brought up to date."""
    calls: dict[str, Callable[[], object]] = {}
    found, first_call, left_out = {}, {}, {}
    for peer in peers:
        forecast = expected[peer.name] * grey.size
        if forecast > _PATIENCE:
            left_out[peer.name] = f"a call would take {forecast:.0f} s by the pixels of the size before"
            continue
        call = peer.prepare(grey)
        found[peer.name] = len(peer.read(call()).keypoints)                     # compiled and warm
        first_call[peer.name] = once(call)[0]
        expected[peer.name] = first_call[peer.name] / grey.size
        if first_call[peer.name] > _PATIENCE:
            left_out[peer.name] = f"a call takes {first_call[peer.name]:.0f} s"
        else:
            calls[peer.name] = call
    least = {name: 7 if name in ("cv2", "pysift", "pysift.SIFT_create") else 3 for name in calls}
    rounds = {name: _rounds(first_call[name], quick, least[name]) for name in calls}
    for name in set(rounds) & {"pysift", "pysift.SIFT_create"}:
        rounds[name] = rounds["cv2"]
    return {"found": found, "first_call": first_call, "left_out": left_out, **_raw(alternate(calls, rounds)),
            "processors": processors()}


def _rounds(seconds: float, quick: bool, least: int) -> int:
    """As many as fit into five seconds, 15 at most."""
    return min(least, 5) if quick else max(least, min(15, int(5 / seconds)))


def _raw(samples: dict[str, Samples]) -> dict:
    return {"seconds": {name: s.seconds for name, s in samples.items()},
            "faults": {name: s.faults for name, s in samples.items()}}


def join(beside_peers: dict, pairs: dict[str, dict]) -> dict:
    """Make the row of one size and number of threads of what its processes gave."""
    by_process = {"beside peers": beside_peers, **{name: pair["all"] for name, pair in pairs.items()}}
    ours = pairs["as installed"]["all"]["seconds"]["pysift"]
    fastest = min(by_process, key=lambda name: median(by_process[name]["seconds"]["cv2"]))
    return {"image": beside_peers["image"], "threads": beside_peers["threads"],
            "keypoints": beside_peers["found"]["pysift"],
            **_with_ratio(pairs["as installed"]["all"]),
            "conservative": _with_ratio({"seconds": {"cv2": by_process[fastest]["seconds"]["cv2"], "pysift": ours}})
            | {"cv2": fastest},
            "regimes": {name: {step: _with_ratio(pair[step]) for step in pair} for name, pair in pairs.items()},
            "peers": beside_peers | {"ratios": {name: ratio(beside_peers["seconds"]["cv2"], seconds)
                                                for name, seconds in beside_peers["seconds"].items()}}}


def _with_ratio(pair: dict) -> dict:
    value, interval = ratio(pair["seconds"]["cv2"], pair["seconds"]["pysift"])
    return {"ratio": value, "interval": interval, **pair}


def _print_row(row: dict) -> None:
    place = f"{row['image']:<13}{row['threads']:>8}  "
    for name, seconds in row["seconds"].items():
        value, (low, high) = ratio(row["seconds"]["cv2"], seconds)
        print(f"{place}{name:<20}{row['threads_used'][name]:>12}{row['found'][name]:>10}{len(seconds):>7}"
              f"{1e3 * median(seconds):>10.1f}{value:>8.2f}{low:>9.2f} … {high:5.2f}"
              f"{median(row['faults'][name]):>10.0f}", flush=True)
    for name, reason in row["left_out"].items():
        print(f"{place}{name:<20}left out: {reason}", flush=True)


def _print_summary(rows: list[dict]) -> None:
    """Print the ratios to cv2 of all, of detection and of description, a line for each process."""
    print(f"\n{'image':<13}{'threads':>8}  {'time of cv2 / time of pysift':<34}{'all':>6}{'95 %':>8}"
          f"{'detect':>14}{'95 %':>8}{'describe':>16}{'95 %':>8}{'cv2 ms':>15}{'its pages':>10}")
    for row in rows:
        place = f"{row['image']:<13}{row['threads']:>8}  "
        for name, steps in row["regimes"].items():
            cells = "   ".join(f"{s['ratio']:>6.2f} {s['interval'][0]:>5.2f} … {s['interval'][1]:<5.2f}"
                               for s in steps.values())
            print(f"{place}{name:<34}{cells}{1e3 * median(steps['all']['seconds']['cv2']):>9.1f}"
                  f"{median(steps['all']['faults']['cv2']):>10.0f}")
        least, few = row["conservative"], min(p["processors"] for p in (row, row["peers"]))
        print(f"{place}{'conservative: cv2 ' + least['cv2']:<34}{least['ratio']:>6.2f} {least['interval'][0]:>5.2f}"
              f" … {least['interval'][1]:<5.2f}", flush=True)
        if few < row["threads"]:
            print(f"{place}worthless: the process was pinned to {few} processor{'s' * (few > 1)}")


def _huge_pages() -> str:
    """Return the system's setting for transparent huge pages, 'unknown' where it has none."""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled") as file:
            return file.read().strip()
    except OSError:
        return "unknown"
