"""The trace: it ends where `sift` ends, and what it says of each candidate is what the slow formulas say."""
import functools

import numpy as np
import pytest

import oracle
from pysift.orientation import assign_orientations
from pysift.params import SIFTParams
from pysift.pipeline import sift
from pysift.tracing import STEPS, trace
from strategies import blob, photo, texture

P, ULP = SIFTParams(), 2.0**-24
IMAGE = photo("camera", 200, 230)
MASK = texture(5, IMAGE.shape, 8.0) > 127
MODES = {"default": {}, "opencv": {"params": SIFTParams.opencv()},
         "nfeatures and mask": {"params": SIFTParams(nfeatures=60, descriptor="float32"), "mask": MASK},
         "undoubled": {"params": SIFTParams(first_octave=0, n_octave_layers=5, descriptor="root")}}
modes = pytest.mark.parametrize("mode", MODES)
refusals = pytest.mark.parametrize("step", ["left the octave", "did not settle", "low contrast", "edge", "kept"])


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
    c, kept = t.candidates, ended_in(t, "kept")
    assert len(ended_in(t, "duplicate")) > 0
    for i in ended_in(t, "duplicate"):
        near = kept[(c.octave[kept] == c.octave[i]) & (np.hypot(c.row[kept] - c.row[i], c.col[kept] - c.col[i]) < 9)]
        assert refined(t, i)[1] in [refined(t, j)[1] for j in near]


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
    for width in np.arange(2, 7, 0.5):
        t = trace(blob((65, 65), 32, 32, width), p, intensity_range=(0, 255))
        assert t.counts()["no orientation"] + t.counts()["kept"] == 1
        for i in ended_in(t, "no orientation"):
            r, (layer, row, col), _ = refined(t, i)
            cell = np.int32([[layer], [row], [col]])
            sigma = np.float32([p.sigma * 2 ** ((layer + r.offset[2]) / p.n_octave_layers)])
            assert len(assign_orientations(octave_of(t, t.candidates.octave[i]).levels, *cell, sigma, p)[0]) == 0
            found += 1
    assert found > 0


@pytest.mark.parametrize("shape", [(64, 80), (3, 200), (1, 1)])
def test_blank_image_has_no_candidates_and_the_arrays_say_so(shape):
    t = trace(np.full(shape, 99, np.uint8))
    assert sum(t.counts().values()) == 0 and tuple(t.counts()) == STEPS
    assert {column.shape for column in t.candidates} == {(0,)} and t.source.shape == (0,)
    assert len(t.keypoints) == 0 and t.descriptors.shape == (0, 128) and t.descriptors.dtype == np.uint8
    np.testing.assert_array_equal(t.grey, np.full(shape, 99, np.float32))
    assert len(t.octaves) == P.n_octaves(*shape)


def test_trace_refuses_what_sift_refuses():
    for bad, error in ((np.zeros((4, 4), complex), TypeError), (np.zeros((4, 4, 2), np.uint8), ValueError)):
        with pytest.raises(error, match="^image has"):
            trace(bad)
    with pytest.raises(ValueError, match="^mask has shape"):
        trace(IMAGE, mask=MASK[1:])
    with pytest.raises(TypeError, match="^params is a dict"):
        trace(IMAGE, {})
