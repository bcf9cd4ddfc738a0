"""The trace: it ends where `sift` ends, and what it says of each candidate is what the slow formulas say."""
import functools
import re

import numpy as np
import pytest

import oracle
from pysift.orientation import assign_orientations
from pysift.params import SIFTParams
from pysift.pipeline import describe, sift
from pysift.refine import REASONS
from pysift.tracing import STEPS, trace
from strategies import blob, photo, texture

P, ULP = SIFTParams(), 2.0**-24
NOTHING = np.zeros((64, 80), np.uint8)
IMAGE = photo("camera", 200, 230)
MASK = texture(5, IMAGE.shape, 8.0) > 127
MODES = {"default": {}, "opencv": {"params": SIFTParams.opencv()},
         "nfeatures and mask": {"params": SIFTParams(nfeatures=60, descriptor="float32"), "mask": MASK},
         "undoubled": {"params": SIFTParams(first_octave=0, n_octave_layers=5, descriptor="root")}}
modes = pytest.mark.parametrize("mode", MODES)
refusals = pytest.mark.parametrize("step", ["left the octave", "did not settle", "low contrast", "edge", "kept"])
NUMBER = r"([+-]?[\d.]+(?:e[+-]?\d+)?|inf|-inf)"


@functools.cache
def traced(mode="default"):
    return trace(IMAGE, **MODES[mode])


def ended_in(t, step):
    return np.flatnonzero(t.candidates.step == step)


def octave_of(t, index):
    return next(o for o in t.octaves if o.index == index)


def refined(t, i):
    """Let the oracle refine candidate i; return its verdict, the cell it ended in and what it had of D there."""
    c = t.candidates
    dog = octave_of(t, c.octave[i]).dog.astype(float)
    r = oracle.refine(dog, c.layer[i], c.row[i], c.col[i], t.params)
    cell = np.array([r.layer, r.row, r.col])
    if r.why in ("left", "unsettled"):                           # the oracle has moved once more
        cell -= np.rint(r.offset[::-1]).astype(int)
    layer, row, col = cell
    cube = dog[layer - 1:layer + 2, row - 1:row + 2, col - 1:col + 2] / 255
    return r, tuple(cell), cube


@modes
def test_trace_ends_in_what_sift_returns_to_the_bit(mode):
    t, f = traced(mode), sift(IMAGE, **MODES[mode])
    assert len(f.keypoints) > 20 and t.keypoints == f.keypoints
    assert t.descriptors.dtype == f.descriptors.dtype
    np.testing.assert_array_equal(t.descriptors, f.descriptors)


@modes
def test_counts_of_the_steps_sum_to_the_candidates(mode):
    t = traced(mode)
    counts = t.counts()
    assert tuple(counts) == STEPS and set(t.candidates.step) <= set(STEPS)
    assert sum(counts.values()) == len(t.candidates.x) and {len(column) for column in t.candidates} == {
        len(t.candidates.x)}
    assert counts["kept"] == len(set(t.source.tolist())) <= len(t.keypoints) == len(t.source)


@modes
def test_candidates_are_the_extrema_of_every_octave_in_input_pixels(mode):
    t, c = traced(mode), traced(mode).candidates
    cells = np.stack([c.layer, c.row, c.col], axis=1)
    for o in t.octaves:
        here = c.octave == o.index
        if len(o.dog[0]) < 60:                                    # the slow search takes its time on the larger ones
            assert [tuple(cell) for cell in cells[here].tolist()] == oracle.find_extrema(o.dog, t.params)
        np.testing.assert_array_equal(c.x[here], c.col[here] * 2.0**o.index)
        np.testing.assert_array_equal(c.y[here], c.row[here] * 2.0**o.index)


@refusals
def test_verdict_is_the_oracle_s(step):
    t = traced()
    names = {"left": "left the octave", "unsettled": "did not settle", "contrast": "low contrast", "edge": "edge",
             "": "kept"}
    some = ended_in(t, step)[:150]
    assert len(some) > 20
    assert {names[refined(t, i)[0].why] for i in some} == {step}


@pytest.mark.parametrize("step", ["left the octave", "did not settle"])
def test_value_of_a_candidate_that_found_no_place_is_its_largest_offset(step):
    t = traced()
    for i in ended_in(t, step)[:150]:
        r, _, cube = refined(t, i)
        _, hessian = oracle.derivatives(cube)
        largest, value = np.abs(r.offset).max(), t.candidates.value[i]
        # 16 roundings of D or of H, as far as H⁻¹ carries them
        error = 16 * ULP * np.linalg.norm(np.linalg.inv(hessian), 2) * (
            np.abs(cube).max() + np.linalg.norm(hessian, 2) * (1 + largest))
        assert value == pytest.approx(largest, abs=error)
        assert value >= t.candidates.threshold[i] == 0.5


def test_value_of_a_weak_candidate_is_its_contrast_at_the_refined_point():
    t = traced()
    for i in ended_in(t, "low contrast"):
        r, _, _ = refined(t, i)
        assert t.candidates.value[i] == pytest.approx(abs(r.contrast) * P.n_octave_layers, abs=1e-6)
        assert t.candidates.value[i] < t.candidates.threshold[i] == np.float32(P.contrast_threshold)


def test_value_of_an_edge_is_its_ratio_of_curvatures():
    t = traced()
    limit = (P.edge_threshold + 1) ** 2 / P.edge_threshold
    for i in ended_in(t, "edge"):
        hessian = oracle.derivatives(refined(t, i)[2])[1][:2, :2]
        value, ratio = t.candidates.value[i], np.trace(hessian) ** 2 / np.linalg.det(hessian)
        # the determinant is a difference, which its rounding may be large against
        error = 16 * ULP * np.abs(hessian).max() ** 2 / abs(np.linalg.det(hessian))
        assert value == pytest.approx(ratio, rel=error + 16 * ULP)
        assert t.candidates.threshold[i] == np.float32(limit) and not 0 < value < limit


def test_kept_candidate_becomes_the_keypoints_at_its_refined_point():
    t, c = traced(), traced().candidates
    for i in ended_in(t, "kept"):
        r, cell, _ = refined(t, i)
        own = t.keypoints[t.source == i]
        x, y = (np.add(cell[:0:-1], r.offset[:2])) * 2.0 ** c.octave[i]
        np.testing.assert_allclose(own.xy, len(own) * [[x, y]], atol=1e-3 * 2.0 ** c.octave[i])
        np.testing.assert_allclose(own.response, abs(r.contrast), atol=1e-6)
        assert (own.octave == c.octave[i]).all() and (own.layer == cell[0]).all()
        assert np.isnan(c.value[i]) and np.isnan(c.threshold[i])


def test_duplicate_ended_in_the_cell_of_another_that_is_kept():
    t = trace(photo("camera"))
    kept = {(t.candidates.octave[i], refined(t, i)[1]) for i in ended_in(t, "kept")}
    duplicates = ended_in(t, "duplicate")
    assert len(duplicates) > 0 and len(kept) == t.counts()["kept"]
    assert all((t.candidates.octave[i], refined(t, i)[1]) in kept for i in duplicates)


def test_budget_drops_the_weakest_and_says_how_weak():
    """The threshold is the response of the last one kept; the mask is looked at only afterwards."""
    t = trace(IMAGE, SIFTParams(nfeatures=60))
    weak, c = ended_in(t, "not among the strongest"), t.candidates
    least = t.keypoints.response.min()
    assert len(weak) > 20 and (c.threshold[weak] == least).all() and (c.value[weak] < least).all()
    for i in weak:
        assert c.value[i] == pytest.approx(abs(refined(t, i)[0].contrast), abs=1e-6)
    masked = traced("nfeatures and mask")
    np.testing.assert_array_equal(ended_in(masked, "not among the strongest"), weak)
    np.testing.assert_array_equal(masked.candidates.threshold, c.threshold)


def test_masked_candidates_are_those_kept_without_the_mask_and_hidden_by_it():
    t, free = traced("nfeatures and mask"), trace(IMAGE, SIFTParams(nfeatures=60))
    col, row = np.floor(free.keypoints.xy.T + 0.5).astype(int)
    hidden = free.source[~MASK[row, col]]
    assert len(hidden) > 5 and set(ended_in(t, "masked")) == set(hidden)
    assert np.isnan(t.candidates.value[ended_in(t, "masked")]).all()


def test_round_blob_has_no_orientation_where_no_angle_beats_its_neighbours():
    """By symmetry eight bins hold the same votes; which of them rounding leaves equal differs from blob to blob."""
    p, found = SIFTParams(n_ori_bins=8), 0
    for sigma in np.arange(2, 7, 0.5):
        t = trace(blob((65, 65), 32, 32, sigma), p, intensity_range=(0, 255))
        assert t.counts()["no orientation"] + t.counts()["kept"] == 1
        for i in ended_in(t, "no orientation"):
            r, (layer, row, col), _ = refined(t, i)
            cell = np.int32([[layer], [row], [col]])
            sigma = np.float32([p.sigma * 2 ** ((layer + r.offset[2]) / p.n_octave_layers)])
            assert len(assign_orientations(octave_of(t, t.candidates.octave[i]).levels, *cell, sigma, p)[0]) == 0
            assert "no orientation" in t.why(32, 32)
            found += 1
    assert found > 0


def test_every_step_is_named_once_and_those_of_refinement_come_first():
    assert len(set(STEPS)) == len(STEPS) and STEPS[:len(REASONS)] == REASONS


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
    t, (x, y), radius = traced(), (100.5, 90.25), 12.0
    lines = t.why(x, y, radius).splitlines()
    points = [line for line in lines if line.startswith("keypoint")]
    distance = np.hypot(t.keypoints.x - x, t.keypoints.y - y)
    wanted = sorted(np.flatnonzero(distance <= radius), key=lambda i: distance[i])
    assert len(wanted) > 2 and [int(line.split()[1]) for line in points][:len(wanted)] == wanted
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
