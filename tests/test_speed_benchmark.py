"""The rulers of `speed`, `cost`, `limit`: calls take turns, ratios point one way, counts are those of plain loops."""
import math
import platform
from functools import partial
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

import oracle
import pysift
from benchmarks import cost, counts, limit, speed, stages, timing
from benchmarks.ceilings import Ceilings
from benchmarks.peers import Peer
from pysift import SIFTParams, extrema, pipeline, scalespace
from pysift.image import grey_levels
from pysift.photos import photo
from pysift.scalespace import build_scalespace, gaussian_kernel

P = SIFTParams.opencv()
SMALL = pysift.to_gray(photo("coffee"))[100:196, 200:320].copy()             # 120 × 96


class Clock:
    """A clock that stands still but for those who advance it."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        for module in (timing, stages):
            monkeypatch.setattr(module, "perf_counter", lambda: self.now)

    def takes(self, seconds, *then):
        """Return a call that takes so many seconds and calls what follows."""
        def call(*args, **options):
            self.now += seconds
            return [f(*args, **options) for f in then][-1] if then else None
        return call


class Counted:
    """A number that counts what is done with it: products, sums, comparisons."""

    done = {"products": 0, "sums": 0, "comparisons": 0}

    def __init__(self, value):
        self.value = float(value)

    def _count(self, what, value):
        Counted.done[what] += 1
        return value

    def __mul__(self, other):
        return self._count("products", Counted(self.value * other.value))

    def __add__(self, other):
        return self._count("sums", Counted(self.value + other.value))

    def __gt__(self, other):
        return self._count("comparisons", self.value > other.value)

    def __lt__(self, other):
        return self._count("comparisons", self.value < other.value)

    __ge__, __le__ = __gt__, __lt__


def counted(work):
    """Return what `work` does with counted numbers, and what it returns."""
    Counted.done = dict.fromkeys(Counted.done, 0)
    result = work()
    return Counted.done, result


# how time is taken


def test_calls_take_turns_and_none_goes_twice_in_a_row():
    order = []
    timing.alternate({name: partial(order.append, name) for name in "abc"}, 3)
    assert order == list("abcabcabc")


def test_a_call_whose_rounds_are_over_is_left_out_of_the_turns_that_follow():
    order = []
    samples = timing.alternate({name: partial(order.append, name) for name in "abc"}, {"a": 3, "b": 1, "c": 2})
    assert order == list("abcaca")
    assert [len(samples[name].seconds) for name in "abc"] == [3, 1, 2]


def test_seconds_are_those_of_the_call_they_stand_under(monkeypatch):
    clock = Clock(monkeypatch)
    samples = timing.alternate({"quick": clock.takes(1), "slow": clock.takes(3)}, 4)
    assert samples["quick"].seconds == [1] * 4 and samples["slow"].seconds == [3] * 4


def test_a_ratio_is_the_first_over_the_second_and_its_interval_holds_the_true_one():
    rng = np.random.default_rng(1)
    above, below = (rng.normal(mean, 0.05, 15).tolist() for mean in (3, 1))
    value, (low, high) = timing.ratio(above, below)
    assert value == np.median(above) / np.median(below)
    assert low < value < high and low < 3 < high and high - low < 0.5
    assert timing.ratio([6] * 5, [2] * 5) == (3, (3, 3))


@pytest.mark.parametrize("planted", [-1.0, 0.5, 1.0, 1.3])
def test_a_planted_exponent_is_recovered(planted):
    x = [0.1, 0.4, 1.6, 6.4]
    exact = [[3 * v**planted] * 5 for v in x]
    assert timing.exponent(x, exact)[0] == pytest.approx(planted, abs=1e-9)
    assert timing.bend(x, exact) == pytest.approx(0, abs=1e-9)
    rng = np.random.default_rng(2)
    value, (low, high) = timing.exponent(x, [[s * rng.normal(1, 0.02) for s in rounds] for rounds in exact])
    assert low < planted < high and low <= value <= high and high - low < 0.05


def test_a_curve_that_bends_is_seen_off_its_line():
    """Of t = 1 + x at x = 1, 10, 100 the middle one lies off the line by what three logarithms give."""
    across, up = np.log([1, 10, 100]), np.log([2, 11, 101])
    slope = (up[2] - up[0]) / (across[2] - across[0])
    middle = up[1] - (up.mean() + slope * (across[1] - across.mean()))
    assert timing.bend([1, 10, 100], [[2], [11], [101]]) == pytest.approx(math.expm1(abs(middle)))


def test_the_exponent_of_the_time_beyond_a_constant_is_recovered_without_points_that_have_none():
    """cv2 takes 2 + 3·x^0.8, pysift x; where only one point is left there is no exponent."""
    points = [{"x": x, "seconds": {"cv2": [2 + 3 * x**0.8] * 3, "pysift": [float(x)] * 3}} for x in (1, 10, 100)]
    points.append({"x": 1000, "seconds": {"cv2": [900, 1.9, 900], "pysift": [1000.0] * 3}})
    curve = cost.fitted(points, "keypoints", {"cv2": 2.0, "pysift": 500.0})
    assert curve["exponents"]["cv2"][0] == pytest.approx(0.8) and curve["bends"]["cv2"] == pytest.approx(0, abs=1e-9)
    assert [x for x, _ in curve["fitted"]["cv2"]] == [1, 10, 100] and "pysift" not in curve["exponents"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the regimes are settings of glibc's allocator")
def test_only_the_kept_regimes_spare_a_second_call_its_fresh_pages():
    """64 MiB are above what glibc ever keeps by itself, and at least 32 pages, of 2 MiB at most."""
    for name, environment in timing.REGIMES.items():
        again = timing.in_fresh_process(environment, timing.alternate, {"ones": partial(np.ones, 1 << 26, np.uint8)}, 2)
        faults = again["ones"].faults[1]
        assert faults >= 32 if name == "as installed" else faults < 8, name


# speed


def test_cv2_comes_first_and_pysift_next_and_the_peers_that_are_present_follow():
    names = [peer.name for peer in speed.everybody()]
    assert names[:3] == ["cv2", "pysift", "pysift.SIFT_create"]
    assert set(names[3:]) <= set(speed._OTHERS)


def fake(name, seconds, called):
    """Return a peer whose calls say they take so many seconds, and note that they were made."""
    def prepare(grey):
        def call():
            called.append(name)
        call.seconds = seconds * grey.size
        return call
    return Peer(name, "math", prepare, lambda result: SimpleNamespace(keypoints=[1, 2]), lambda n: n)


def test_a_slow_peer_is_left_out_with_a_reason_and_not_even_tried_on_a_larger_image(monkeypatch):
    monkeypatch.setattr(speed, "once", lambda call: (call.seconds, 0))
    monkeypatch.setattr(speed, "_PATIENCE", 20.0)
    called = []
    peers = [fake("cv2", 1e-4, called), fake("pysift", 1e-4, called), fake("snail", 0.03, called)]
    expected = dict.fromkeys(("cv2", "pysift", "snail"), 0.0)
    rows = [speed.race(np.zeros((side, side), np.uint8), peers, expected, False) for side in (20, 30, 60)]
    assert set(rows[0]["seconds"]) == {"cv2", "pysift", "snail"} and not rows[0]["left_out"]
    assert rows[1]["left_out"] == {"snail": "a call would take 27 s by the pixels of the size before"}
    assert called.count("snail") == 1 + len(rows[0]["seconds"]["snail"]) == 4
    assert all(len(row["seconds"]["cv2"]) == len(row["seconds"]["pysift"]) >= 7 for row in rows)
    row = speed.race(np.zeros((60, 60), np.uint8), [peers[0], peers[1], fake("snail", 0.01, called)],
                     dict.fromkeys(expected, 0.0), False)
    assert row["left_out"] == {"snail": "a call takes 36 s"} and "snail" not in row["seconds"]


def pair(theirs, ours):
    return {"seconds": {"cv2": [theirs] * 3, "pysift": [ours] * 3}, "faults": {"cv2": [0] * 3, "pysift": [0] * 3}}


def a_row(beside_peers=5.0):
    """One size: as installed cv2 takes 4 and pysift 2, with memory kept 3 and 1, beside peers 5 and 2."""
    beside = pair(beside_peers, 2.0) | {"image": "3 × 2", "threads": 1, "found": {"cv2": 7, "pysift": 7},
                               "threads_used": {"cv2": 1, "pysift": 1}, "left_out": {}}
    steps = ("all", "detect", "describe")
    return speed.join(beside, {"as installed": dict.fromkeys(steps, pair(4.0, 2.0)),
                               "kept": dict.fromkeys(steps, pair(3.0, 1.0))})


def test_the_ratio_is_as_installed_and_the_conservative_one_takes_the_fastest_cv2():
    row = a_row()
    assert (row["image"], row["threads"], row["keypoints"], row["ratio"]) == ("3 × 2", 1, 7, 2.0)
    assert row["seconds"] == {"cv2": [4.0] * 3, "pysift": [2.0] * 3}
    assert (row["conservative"]["ratio"], row["conservative"]["cv2"]) == (1.5, "kept")
    assert row["regimes"]["kept"]["detect"]["ratio"] == 3.0
    assert row["peers"]["ratios"]["pysift"][0] == 2.5
    assert a_row(beside_peers=2.5)["conservative"]["ratio"] == 1.25


def test_the_picture_puts_pysift_where_its_time_over_that_of_cv2_is():
    from benchmarks.speed_figure import draw
    axes = draw([a_row()]).axes[0]
    (container,) = axes.containers
    assert container.lines[0].get_xdata().tolist() == [1 / 2.5]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["3 × 2"]


# stages


def test_each_stage_gets_its_own_time(monkeypatch):
    """Refinement takes 5 s an octave, selection 3 s, the first level 2 s, and nothing else takes any time."""
    octaves = sum(min(o.dog.shape[1:]) > 2 * P.border for o in build_scalespace(grey_levels(SMALL), P))
    clock = Clock(monkeypatch)
    monkeypatch.setattr(pipeline, "refine", clock.takes(5, pipeline.refine))
    monkeypatch.setattr(pipeline, "select", clock.takes(3, pipeline.select))
    monkeypatch.setattr(scalespace, "base_image", clock.takes(2, scalespace.base_image))
    taken = stages.stage_seconds(SMALL, P, 2)
    assert octaves > 2
    assert taken == {name: [0] * 2 for name in stages.STAGES} | {"refine": [5 * octaves] * 2, "selection": [3] * 2,
                                                                 stages.BASE: [2] * 2}


def test_the_stages_make_up_the_whole_and_the_pipeline_is_left_as_it_was():
    before = pysift.sift(SMALL, P)
    taken = stages.stage_seconds(SMALL, P, 3)
    assert all(seconds > 0 for name in stages.STAGES for seconds in taken[name])
    assert pipeline.find_extrema is extrema.find_extrema
    assert (pysift.sift(SMALL, P).descriptors == before.descriptors).all()


def test_the_work_of_an_image_is_that_of_its_keypoints():
    work, keypoints = stages.work_of(SMALL, P), pysift.sift(SMALL, P).keypoints
    assert work.input_shape == (96, 120) and work.shapes[:2] == [(192, 240), (96, 120)]
    assert [len(d) for d in work.described] == [(keypoints.octave == o - 1).sum() for o in range(len(work.shapes))]
    x = np.concatenate([d[:, 0] * 2.0 ** (o - 1) for o, d in enumerate(work.described)])
    assert sorted(x) == pytest.approx(sorted(keypoints.x))
    assert all(n >= len(r) for n, r in zip(work.candidates, work.refined)) and sum(work.candidates) > 50


# counts


@pytest.mark.parametrize("taps", [1, 3, 11, 27])
def test_the_operations_of_a_blur_are_those_of_plain_loops(taps):
    """Each sum of products fuses all its additions but the first product's; additions before products stay."""
    height, width, n = 5, 6, taps // 2
    image = [[Counted(x * y) for x in range(width)] for y in range(height)]
    kernel = [Counted(1 / taps)] * taps

    def fused_sum(products):
        total = products[0]
        for product_ in products[1:]:
            total = total + product_
        return total

    def loops():
        rows = [[fused_sum([row[oracle.reflect_101(x + j - n, width)] * kernel[j] for j in range(taps)])
                 for x in range(width)] for row in image]
        at = [[oracle.reflect_101(y + j, height) for j in range(-n, n + 1)] for y in range(height)]
        return [[fused_sum([rows[y][x] * kernel[n]] + [(rows[at[y][n + j]][x] + rows[at[y][n - j]][x]) * kernel[n + j]
                                                       for j in range(1, n + 1)])
                 for x in range(width)] for y in range(height)]

    done, blurred = counted(loops)
    sums = 2 * height * width                                        # along x and along y
    count = counts.blur(height * width, taps)
    assert count.multiply_adds == done["products"]
    assert count.additions == done["sums"] - (done["products"] - sums)
    values = np.array([[v.value for v in row] for row in image])
    assert np.allclose([[v.value for v in row] for row in blurred], oracle.blur(values, np.full(taps, 1 / taps)))


def test_the_operations_of_doubling_are_those_of_plain_loops():
    height, width = 4, 5
    image = [[Counted(x + y) for x in range(width)] for y in range(height)]
    near, far = Counted(0.75), Counted(0.25)

    def double(line):
        ends = [line[0], *line, line[-1]]
        return [v for a, b, c in zip(ends, ends[1:], ends[2:]) for v in (a * far + b * near, b * near + c * far)]

    done, _ = counted(lambda: list(zip(*(double(column) for column in zip(*(double(row) for row in image))))))
    alone = counts.base(height, width, P).multiply_adds - counts.blur(
        4 * height * width, len(gaussian_kernel(P.base_sigma(), P))).multiply_adds
    assert alone == done["products"]


def test_bytes_are_those_of_the_arrays_read_and_left():
    grey = grey_levels(SMALL)
    octaves = build_scalespace(grey, P)
    for octave in octaves:
        shape = octave.levels.shape[1:]
        assert counts.levels(shape, P).bytes == octave.levels.nbytes
        assert counts.extrema(shape, P).bytes == octave.levels.nbytes
    assert counts.base(*grey.shape, P).bytes == grey.nbytes + octaves[0].levels[0].nbytes


def test_the_operations_of_an_octave_are_those_of_its_blurs_and_differences():
    lengths = [len(oracle.gaussian_taps(math.sqrt((1.6 * 2 ** (i / 3)) ** 2 - (1.6 * 2 ** ((i - 1) / 3)) ** 2)))
               for i in range(1, 6)]
    total = counts.levels((7, 9), P)
    assert total.multiply_adds == 63 * sum(taps + taps // 2 + 1 for taps in lengths)
    assert total.additions == 63 * sum(taps // 2 for taps in lengths)
    assert counts.extrema((7, 9), P).additions == 63 * len(lengths)


def test_the_comparisons_of_the_search_are_those_of_plain_loops():
    rng, shape = np.random.default_rng(3), (14, 13)
    dog = [[[Counted(v) for v in row] for row in plane] for plane in rng.normal(size=(5, *shape))]
    low, high = Counted(-1), Counted(1)

    def loops():
        for z, y, x in product(range(1, 4), range(5, shape[0] - 5), range(5, shape[1] - 5)):
            six = [dog[z][y][x - 1], dog[z][y][x + 1], dog[z][y - 1][x], dog[z][y + 1][x],
                   dog[z - 1][y][x], dog[z + 1][y][x]]
            v, most, least = dog[z][y][x], max(six), min(six)
            _ = (v >= most) & (v > high) | (v <= least) & (v < low)

    assert counts.extrema(shape, P).comparisons == counted(loops)[0]["comparisons"] > 0
    assert counts.extrema((9, 300), P).comparisons == 0                 # nothing but border


KEYPOINTS = [(20.2, 25.0, 2.1, 0.3), (30.0, 20.0, 1.7, 5.0), (3.0, 46.0, 3.1, 2.0), (58.6, 1.2, 2.6, 1.1)]


def test_the_samples_of_a_window_are_those_of_plain_loops():
    shape = (50, 60)
    rows = np.array([(round(x), round(y), sigma) for x, y, sigma, _ in KEYPOINTS])
    looped = [oracle.orientation_votes(np.zeros(shape), int(y), int(x), sigma, P)[0].size for x, y, sigma in rows]
    singly = [counts.window_samples(rows[i:i + 1], shape, P) for i in range(4)]
    assert [n for n, _ in singly] == looped
    assert singly[0][0] == singly[0][1] and singly[2][0] < singly[2][1]       # whole, and cut by the border
    assert counts.window_samples(rows, shape, P)[0] == sum(looped)


def test_pysift_votes_with_as_many_samples_as_are_counted():
    """A ramp has a gradient of 2 everywhere, and a window wide and as far-reaching as before has weights of 1."""
    ramp = np.tile(np.arange(60, dtype=np.float32), (50, 1))
    flat = P.replace(ori_sigma=100, ori_reach=P.ori_reach * P.ori_sigma / 100)
    for x, y, sigma, _ in KEYPOINTS:
        histogram = pysift.orientation.angle_histogram(ramp, round(x), round(y), sigma, flat)
        n = counts.window_samples(np.array([(round(x), round(y), sigma)]), ramp.shape, P)[0]
        assert histogram.sum() / 2 == pytest.approx(n, rel=1e-3)


def test_the_samples_of_a_turned_square_are_those_of_plain_loops():
    shape, total = (50, 60), 0
    for keypoint in KEYPOINTS:
        x, y, sigma, theta = keypoint
        col, row, looped = round(x), round(y), 0
        for j, i in product(range(1 - col, shape[1] - 1 - col), range(1 - row, shape[0] - 1 - row)):
            u = (j * math.cos(theta) + i * math.sin(theta)) / (3 * sigma)
            v = (i * math.cos(theta) - j * math.sin(theta)) / (3 * sigma)
            looped += -1 < u + 1.5 < 4 and -1 < v + 1.5 < 4
        assert counts.square_samples(np.array([keypoint]), shape, P)[0] == looped
        total += looped
    assert counts.square_samples(np.array(KEYPOINTS), shape, P)[0] == total


@pytest.mark.parametrize("sigma", [1.7, 2.3, 3.3])
@pytest.mark.parametrize("theta", [0.1, 0.8, 4.0])
def test_a_square_that_nothing_cuts_has_as_many_samples_as_its_area(sigma, theta):
    """A convex region holds its area in pixels, give or take half its circumference and one."""
    inside, area = counts.square_samples(np.array([(100, 100, sigma, theta)]), (200, 200), P)
    assert area == pytest.approx(225 * sigma**2)
    assert abs(inside - area) < 2 * 15 * sigma + 1


def test_pysift_looks_at_as_many_pixels_as_are_counted():
    """A pixel matters if a bright one in its place shows: if one of its four neighbours is a sample."""
    x, y, sigma, theta = 20, 21, 1.7, 0.5
    level = np.zeros((1, 45, 44), np.float32)
    matters = 0
    frame = [np.float32([v]) for v in (x, y, sigma, math.degrees(theta))]
    for row, col in product(range(45), range(44)):
        level[0, row, col] = 1
        matters += bool(pysift.descriptor.describe_octave(level, np.int32([0]), *frame, P).any())
        level[0, row, col] = 0
    inside = counts.square_samples(np.array([(x, y, sigma, theta)]), level.shape[1:], P)[0]
    rim = 4 * 15 * sigma                                            # the circumference, a pixel wide
    assert inside - rim < matters < inside + rim and inside > 500


# limit


def test_the_bound_is_that_of_the_longest_resource_in_the_memory_that_holds_it():
    rates = Ceilings(2e9, 4e9, 1e9, 1e9, 5e8, {"L2": 8e9, "L3": 4e9, "RAM": 1e9}, {"L2": 10, "L3": 100})
    count = counts.Count(multiply_adds=4e9, additions=1e12, comparisons=4e9, cells=2e9,
                         moved=[(8 * 10**9, 10), (4 * 10**9, 11), (10**9, 101)])
    assert limit.bounds_of(count, rates) == {"multiply-adds": 2, "comparisons": 1, "cells": 4, "bytes": 3}


def test_every_stage_with_a_count_is_a_stage_that_is_timed():
    found, samples = counts.count_stages(stages.work_of(SMALL, P), P)
    assert set(found) <= set(stages.STAGES) and set(samples) == {"orientations", "descriptors"}
    assert found["descriptors"].cells == 4 * samples["descriptors"][0] > 0
    assert found["orientations"].bins == samples["orientations"][0] > 0
