"""What a trace tells: why there is no keypoint at a place, and how one came about."""
import functools
import re

import numpy as np
import pytest

import oracle
from pysift.orientation import peak_angles
from pysift.params import SIFTParams
from pysift.pipeline import describe
from pysift.tracing import trace
from strategies import photo, texture

IMAGE = photo("camera", 200, 230)
HEIGHT, WIDTH = IMAGE.shape
MASK = texture(5, IMAGE.shape, 8.0) > 127
NUMBER = r"([+-]?[\d.]+(?:e[+-]?\d+)?|inf|-inf)"
MODES = {"all": {}, "nfeatures and mask": {"params": SIFTParams(nfeatures=60), "mask": MASK},
         "undoubled": {"params": SIFTParams(first_octave=0, n_octave_layers=4)}}


@functools.cache
def traced(mode="all"):
    return trace(IMAGE, **MODES[mode])


def ended_in(t, step):
    return np.flatnonzero(t.candidates.step == step)


def octave_of(t, index):
    return next(o for o in t.octaves if o.index == index)


@pytest.mark.parametrize("step", ["left the octave", "did not settle", "low contrast", "edge",
                                  "not among the strongest", "masked"])
def test_why_names_the_step_with_value_and_threshold(step):
    t = traced("nfeatures and mask")
    c = t.candidates
    for i in ended_in(t, step)[:40]:
        line = next(line for line in t.why(c.x[i], c.y[i]).splitlines() if line.startswith(
            f"candidate at ({c.x[i]:g}, {c.y[i]:g}), octave {c.octave[i]}, layer {c.layer[i]}: "))
        verdict = line.split(": ", 1)[1]
        assert verdict.startswith(step)
        numbers = [float(n) for n in re.findall(rf" {NUMBER}", verdict) if n != "0"]
        if not np.isnan(c.value[i]):
            assert numbers[:2] == pytest.approx([c.value[i], c.threshold[i]], rel=5e-3)


def test_why_tells_the_keypoints_of_a_kept_candidate():
    """However far refinement took them: the place of a candidate that was kept is never called empty."""
    t = traced()
    c, k = t.candidates, t.keypoints
    for i in ended_in(t, "kept"):
        text = t.why(c.x[i], c.y[i])
        for j in np.flatnonzero(t.source == i):
            assert f"keypoint {j} at ({k.x[j]:.2f}, {k.y[j]:.2f}), σ {k.sigma[j]:.2f}" in text
        assert "no extremum" not in text


def test_why_lists_what_lies_within_the_radius_nearest_first():
    t, radius = traced(), 15.0
    x, y = t.keypoints.xy[50] + 0.25
    lines = t.why(x, y, radius).splitlines()
    points = [line for line in lines if line.startswith("keypoint")]
    distance = np.hypot(t.keypoints.x - x, t.keypoints.y - y)
    wanted = sorted(np.flatnonzero(distance <= radius), key=lambda i: distance[i])
    assert len(wanted) > 4 and [int(line.split()[1]) for line in points][:len(wanted)] == wanted
    fates = [tuple(map(float, re.findall(r"\(([\d.]+), ([\d.]+)\)", line)[0])) for line in lines[len(points):]]
    away = [np.hypot(px - x, py - y) for px, py in fates]
    assert len(away) > 5 and away == sorted(away)


def test_why_names_a_neighbour_that_is_further_from_zero():
    """Where nothing was found, each octave says |D| is too small, or which neighbour beats it."""
    t, told = traced(), 0
    for x, y in ((3 * i % 230, 7 * i % 200) for i in range(400)):
        text = t.why(x, y)
        if text.startswith("no candidate"):
            for o, layer, value, rival, dx, dy, level in re.findall(
                    rf"octave (\S+), layer (\d): D = {NUMBER} grey levels, but {NUMBER} at its neighbour "
                    r"\((\S+), (\S+)\) of layer (\d)", text):
                octave = octave_of(t, int(o))
                col, row = (round(v / 2.0**octave.index) for v in (x, y))
                near = octave.dog[int(level), row + int(dy), col + int(dx)]
                assert octave.dog[int(layer), row, col] == pytest.approx(float(value), rel=6e-3)
                assert near == pytest.approx(float(rival), rel=6e-3)
                assert abs(near) > abs(octave.dog[int(layer), row, col]) and near * float(value) > 0
                told += 1
    assert told > 50


def test_why_says_what_a_blank_image_lacks():
    t = trace(np.full((64, 80), 99, np.uint8))
    lines = t.why(40, 30).splitlines()
    assert lines[0] == "no candidate within 3 px of (40, 30):" and len(lines) == 1 + len(t.octaves)
    assert all(re.search(r"D = -?[\d.e-]+ grey levels, asked \|D\| > 1$|within 5 pixels of its border", line)
               for line in lines[1:])
    assert trace(np.zeros((1, 1), np.uint8)).why(0, 0).startswith("no candidate within 3 px of (0, 0):")


@pytest.mark.parametrize("x, y", [(-0.6, 5), (5, -0.6), (WIDTH - 0.5, 5), (5, HEIGHT - 0.5), (np.nan, 5), (5, np.inf)])
def test_why_refuses_a_place_outside_the_image(x, y):
    with pytest.raises(ValueError, match=rf"lies outside the image: x runs from 0 to {WIDTH - 1}, y from 0 to 199"):
        traced().why(x, y)


def test_why_answers_at_every_corner():
    for x in (-0.5, WIDTH - 0.51):
        for y in (-0.5, HEIGHT - 0.51):
            assert "octave" in traced().why(x, y)


@pytest.mark.parametrize("radius", [0, -1.5, np.nan])
def test_why_refuses_a_radius_that_is_not_positive(radius):
    with pytest.raises(ValueError, match=rf"^radius={radius} must be positive, in input pixels"):
        traced().why(5, 5, radius)


@pytest.mark.parametrize("mode", MODES)
def test_story_agrees_with_describe_and_with_the_oracle(mode):
    """Descriptor to the bit; histogram's peaks, offset and response as the slow formulas have them."""
    t = traced(mode)
    k, p = t.keypoints, t.params
    floats = describe(IMAGE, k, p.replace(descriptor="float32"))
    for i in range(len(k)):
        story, pixel = t.story(i), 2.0 ** k.octave[i]
        assert story.keypoint == k[i]
        np.testing.assert_array_equal(story.descriptor, floats[i].reshape(4, 4, 8))
        turn = oracle.peak_angles(story.histogram.astype(float), p) - np.degrees(k.theta[i])
        assert np.abs((turn + 180) % 360 - 180).min() < 1e-3
        gradient, hessian = oracle.derivatives(story.cube.astype(float) / 255)
        offset = -np.linalg.solve(hessian, gradient)
        cell = np.rint(k.xy[i] / pixel - offset[:2])
        np.testing.assert_allclose(k.xy[i] / pixel, cell + offset[:2], atol=1e-3)
        assert k.offset[i] == pytest.approx(offset[2], abs=1e-3)
        assert k.response[i] == pytest.approx(abs(story.cube[1, 1, 1] / 255 + gradient @ offset / 2), abs=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_patch_is_the_level_where_its_extent_says(mode):
    """It holds the whole descriptor window, but for what lies outside the level."""
    t = traced(mode)
    for i in range(len(t.keypoints)):
        story, octave = t.story(i), octave_of(t, t.keypoints.octave[i])
        level, pixel = octave.levels[t.keypoints.layer[i]], 2.0**octave.index
        edges = np.array(story.extent) / pixel + 0.5                    # the outer edges of pixels: whole numbers
        left, right, top, bottom = edges.astype(int)
        assert edges.tolist() == [left, right, top, bottom]
        np.testing.assert_array_equal(story.patch, level[top:bottom, left:right])
        reach = 3 * t.keypoints.sigma[i] / pixel * 2.5 * np.sqrt(2)     # of a turned grid of 4 cells and a margin
        x, y = t.keypoints.xy[i] / pixel
        assert left <= max(x - reach + 0.5, 0) and right >= min(x + reach + 0.5, level.shape[1])
        assert top <= max(y - reach + 0.5, 0) and bottom >= min(y + reach + 0.5, level.shape[0])


def test_story_looks_at_the_pixel_the_refinement_ended_in():
    """With offsets of more than half a pixel accepted, that is not the pixel nearest to the keypoint."""
    p = SIFTParams(accept_offset=0.8)
    t = trace(IMAGE, p)
    for i, theta in enumerate(t.keypoints.theta):
        assert theta in np.deg2rad(peak_angles(t.story(i).histogram, p).astype(float))


def test_story_of_no_keypoint_is_an_index_error():
    n = len(traced().keypoints)
    for i in (-1, n, 10**6):
        with pytest.raises(IndexError, match=rf"^keypoint {i} does not exist: there are {n}, counted from 0"):
            traced().story(i)
