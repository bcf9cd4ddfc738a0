"""Laws of step 3: refinement, contrast and edges (docs/laws.md, 3)."""
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import oracle
from pysift.extrema import find_extrema
from pysift.params import SIFTParams
from pysift.refine import REASONS, refine
from pysift.scalespace import build_scalespace
from strategies import levels_of, photo, powers, quadratic, seeds, texture

ANY = SIFTParams(contrast_threshold=0, edge_threshold=1e6)     # nothing is too weak or too long
SHAPE, CELL = (5, 21, 23), (2, 10, 11)                         # (S + 2, H, W) and its middle: layer, row, col
ULP = 2.0**-24
fraction = st.floats(-0.45, 0.45)                              # of a pixel; at ½ the neighbour is as good
offsets = st.tuples(fraction, fraction, fraction)              # x, y, layer
steps = st.tuples(st.integers(-4, 4), st.integers(-4, 4), st.integers(-1, 1))
signs = st.sampled_from([-1, 1])


def curved(seed):
    """Return a negative definite 3 × 3 Hessian of curvatures 2 … 12 grey levels a pixel², axes at random."""
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return -(axes * rng.uniform(2, 12, 3)) @ axes.T


def reasons(refined):
    """Name what became of each candidate as the oracle does."""
    short = dict(zip(REASONS, ("", "left", "left", "unsettled", "contrast", "edge"), strict=True))
    return [short[REASONS[s]] for s in refined.status]


def rounding(dog, layer, row, col):
    """Largest error of a float32 offset: 16 roundings of D or of H, as far as H⁻¹ carries them.

    D itself is rounded, and rounded again as a difference of levels; a level that is 0 next to it costs nothing.
    """
    cube = dog[layer - 1:layer + 2, row - 1:row + 2, col - 1:col + 2].astype(float) / 255
    _, hessian = oracle.derivatives(cube)
    inverse = np.linalg.norm(np.linalg.inv(hessian), 2)
    return 16 * ULP * inverse * (np.abs(cube).max() + np.linalg.norm(hessian, 2))


def one(dog, params, cell=CELL):
    """Refine a single candidate of levels with these differences and name its end."""
    return reasons(refine(levels_of(dog, cell[0]), np.int32([cell]), params))[0]


@given(seeds, offsets, steps, signs)
def test_newton_is_exact_on_a_quadratic(seed, offset, step, sign):
    """Law 3.1: from up to four pixels off, the extremum of a quadratic is found: cell, offset and value."""
    layer, row, col = CELL
    hessian = sign * curved(seed)
    dog = quadratic(SHAPE, np.add((col, row, layer), offset), hessian, 150 * sign)
    start = (layer + step[2], row + step[1], col + step[0])
    r = refine(levels_of(dog, layer), np.int32([start]), ANY)
    assert reasons(r) == [""] and (r.layer[0], r.row[0], r.col[0]) == CELL
    np.testing.assert_allclose((r.dx[0], r.dy[0], r.ds[0]), offset, atol=rounding(dog, *CELL))
    assert r.response[0] == pytest.approx(150 / 255, rel=16 * ULP)
    assert r.sigma[0] == pytest.approx(1.6 * 2 ** ((layer + r.ds[0].astype(float)) / 3), rel=16 * ULP)


@given(seeds, st.integers(1, 3), st.integers(1, 4))
def test_a_move_costs_a_step(seed, distance, max_steps):
    """Law 3.2: a candidate off by a pixel needs two steps, one to move, one to see that it need not."""
    dog = quadratic(SHAPE, (11, 10, 2), curved(seed), 150)
    start = (2, 10, 11 - distance)
    assert one(dog, ANY.replace(max_steps=max_steps), start) == ("unsettled" if max_steps == 1 else "")


@given(seeds, st.sampled_from([(0, 0, 3), (0, 0, -2), (0, -6, 0), (0, 6, 0), (-7, 0, 0), (7, 0, 0)]), signs)
def test_extrema_outside_are_dropped(seed, away, sign):
    """Law 3.3: a candidate whose extremum lies in the border, or past the last layer, has left the octave."""
    dog = quadratic(SHAPE, np.add((11, 10, 2), away), sign * curved(seed), 150 * sign)
    assert one(dog, ANY) == "left"


@given(st.integers(5, 15), st.integers(5, 17), st.integers(1, 3))
def test_extrema_on_the_rim_are_kept(row, col, layer):
    """Law 3.4: the legal pixels are those from the border on, both ends included, and layers 1 to S."""
    dog = quadratic(SHAPE, (col, row, layer), -np.eye(3) * 3, 150)
    assert one(dog, ANY, (layer, row, col)) == ""
    start = (2, int(np.clip(row, 6, 14)), int(np.clip(col, 6, 16)))           # and from the inside as well
    assert one(dog, ANY, start) == ""


@given(st.floats(1, 60), st.floats(2, 50), st.floats(0, np.pi), signs)
def test_edge_test_is_the_ratio_of_curvatures(ratio, r, turn, sign):
    """Law 3.5: an extremum is an edge if one curvature is r times the other, whatever its direction."""
    assume(abs(ratio / r - 1) > 1e-3)                                         # float32 decides within this
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    hessian = -np.eye(3)
    hessian[:2, :2] = -(axes * (ratio, 1)) @ axes.T
    dog = quadratic(SHAPE, (11, 10, 2), sign * hessian, 150 * sign)
    assert one(dog, ANY.replace(edge_threshold=r)) == ("" if ratio < r else "edge")


@given(st.floats(0.5, 20), st.floats(0, np.pi), signs)
def test_saddle_is_an_edge(bend, turn, sign):
    """Law 3.6: a point curved up one way and down the other is dropped as an edge, at any threshold."""
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    hessian = -np.eye(3)
    hessian[:2, :2] = (axes * (bend, -1)) @ axes.T
    assert one(quadratic(SHAPE, (11, 10, 2), sign * hessian, 150 * sign), ANY) == "edge"


def test_flat_volume_is_an_edge():
    """Law 3.7: where the Hessian is 0 the offset is 0, and the point is dropped as an edge, not as NaN."""
    r = refine(levels_of(np.full(SHAPE, 50, np.float32)), np.int32([CELL]), ANY)
    assert reasons(r) == ["edge"] and (r.dx[0], r.dy[0], r.ds[0]) == (0, 0, 0)


@given(offsets, st.floats(0.01, 0.2), st.integers(1, 6), st.floats(0.3, 3), signs)
def test_contrast_is_asked_of_the_refined_value(offset, contrast, layers, share, sign):
    """Law 3.8: S·D at the refined point, sign aside and as a fraction of the range, must reach C."""
    assume(abs(share - 1) > 1e-3)                                             # float32 decides within this
    p = SIFTParams(n_octave_layers=layers, contrast_threshold=contrast)
    value = share * contrast / layers * 255
    peak = np.add((11, 10, (layers + 1) // 2), offset)
    dog = quadratic((layers + 2, 21, 23), peak, -np.eye(3) * value / 2, value)
    cell = ((layers + 1) // 2, 10, 11)
    assert one(sign * dog, p, cell) == ("" if share > 1 else "contrast")


@given(seeds, st.floats(0, 0.1), st.floats(0, 0.1), st.floats(1.5, 40), st.floats(1.5, 40))
def test_stricter_thresholds_keep_a_subset(seed, c0, c1, r0, r1):
    """Law 3.9: a higher contrast threshold, or a lower edge threshold, keeps a subset."""
    levels = build_scalespace(texture(seed, (40, 40)))[0].levels
    candidates = find_extrema(levels)
    (low, high), (narrow, wide) = sorted((c0, c1)), sorted((r0, r1))
    loose = refine(levels, candidates, SIFTParams(contrast_threshold=low, edge_threshold=wide))
    strict = refine(levels, candidates, SIFTParams(contrast_threshold=high, edge_threshold=narrow))
    assert set(np.flatnonzero(strict.status == 0)) <= set(np.flatnonzero(loose.status == 0))


@given(seeds, powers, signs)
def test_gain_and_sign_change_no_offset_and_no_edge(seed, gain, sign):
    """Law 3.10: ±a·D has the offsets and the edges of D, and a times its response."""
    levels = build_scalespace(texture(seed, (40, 40)))[0].levels
    candidates, p = find_extrema(levels), SIFTParams(contrast_threshold=0)
    u, v = refine(levels, candidates, p), refine(np.float32(sign * gain) * levels, candidates, p)
    for name in ("status", "layer", "row", "col", "dx", "dy", "ds"):
        np.testing.assert_array_equal(getattr(v, name), getattr(u, name))
    np.testing.assert_array_equal(v.response, np.float32(gain) * u.response)


@pytest.mark.parametrize("name", ["camera", "grass", "page", "coins"])
def test_refinement_equals_the_oracle(name):
    """Law 3.11: on photographs each candidate ends as the oracle's does, in its cell, offset and response."""
    for octave in build_scalespace(photo(name, 90, 101).astype(np.float32)):
        candidates = find_extrema(octave.levels)
        r = refine(octave.levels, candidates)
        expected = [oracle.refine(octave.dog.astype(float), *c) for c in candidates.tolist()]
        assert reasons(r) == [e.why for e in expected]
        for i, e in enumerate(expected):
            if e.why in ("", "edge", "contrast"):
                assert (r.layer[i], r.row[i], r.col[i]) == (e.layer, e.row, e.col)
                bound = rounding(octave.dog, e.layer, e.row, e.col)
                np.testing.assert_allclose((r.dx[i], r.dy[i], r.ds[i]), e.offset, atol=bound)
                assert r.response[i] == pytest.approx(abs(e.contrast), abs=16 * ULP)


def test_dropped_candidates_tell_value_and_threshold():
    """Law 3.12: a dropped candidate says what was compared with what, and a kept one says nothing."""
    octave = build_scalespace(photo("camera", 128, 128).astype(np.float32))[0]
    r = refine(octave.levels, find_extrema(octave.levels))
    by_reason = {name: r.status == i for i, name in enumerate(REASONS)}
    assert (np.abs(r.value[by_reason["low contrast"]]) < r.threshold[by_reason["low contrast"]]).all()
    edges = by_reason["edge"]
    assert ((r.value[edges] >= r.threshold[edges]) | (r.value[edges] <= 0)).all()
    assert np.isnan(r.value[by_reason["kept"]]).all() and np.isnan(r.threshold[by_reason["kept"]]).all()
    assert min(by_reason[name].sum() for name in ("kept", "low contrast", "edge")) > 0


def test_no_candidates_give_an_empty_table():
    """Law 3.13: nothing to refine gives columns of length 0."""
    r = refine(levels_of(np.zeros(SHAPE, np.float32)), np.empty((0, 3), np.int32))
    assert all(column.shape == (0,) for column in r)
