"""Laws of step 4: the histogram of angles and its peaks (docs/laws.md, 4)."""
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import oracle
from pysift.kernels.orientation import vote_each
from pysift.orientation import _vote, _window, angle_histogram, assign_orientations, peak_angles
from pysift.params import SIFTParams
from strategies import angles, noise, plane, powers, seeds, shapes, texture

P = SIFTParams()
ULP = 2.0**-24
sigmas = st.floats(0.75, 3.5, width=32)                         # pixels of the octave
histograms = st.builds(lambda seed, most: np.random.default_rng(seed).integers(0, most, 36).astype(np.float32),
                       seeds, st.integers(2, 200))              # small numbers tie often
cells = st.integers(5, 35)                                      # of a 41 × 41 level, 5 px inside


def slack(level, col, row, sigma, degrees, params=P):
    """Largest L1 change of a histogram whose angles move by so much: votes that near a bin's edge go over it.

    Rounding adds what float32 loses in a sum: one ULP of the total a vote.
    """
    position, weight = oracle.orientation_votes(level.astype(float), row, col, sigma, params)
    near = np.abs(position % 1 - 0.5) < degrees * params.n_ori_bins / 360
    return 2 * weight[near].sum() + (len(weight) + 16) * ULP * weight.sum()


def apart(a, b):
    """Angles between directions, degrees."""
    return np.abs((np.asarray(a, float) - b + 180) % 360 - 180)


def edge(shape, x, y, direction, width):
    """Return a soft edge through (x, y), brighter towards `direction`, bent, and even about it."""
    dx, dy = plane(shape, x, y)
    t = np.radians(direction)
    along, across = dx * np.cos(t) + dy * np.sin(t), dy * np.cos(t) - dx * np.sin(t)
    return (128 + 100 * np.tanh(along / width) * np.exp(-(across / (2 * width)) ** 2)).astype(np.float32)


@given(seed=seeds, row=st.integers(0, 29), col=st.integers(0, 37), sigma=sigmas, n_bins=st.integers(8, 72))
def test_histogram_equals_the_oracle(seed, row, col, sigma, n_bins):
    """Law 4.1: the histogram is the oracle's, but for votes within 0.01° of a bin's edge."""
    level, p = texture(seed, (30, 38)), SIFTParams(n_ori_bins=n_bins)
    h = angle_histogram(level, col, row, sigma, p)
    expected = oracle.angle_histogram(level, row, col, sigma, p)
    assert h.shape == (n_bins,) and h.dtype == np.float32
    assert np.abs(h - expected).sum() <= slack(level, col, row, sigma, oracle.ATAN2_ERROR, p)


@given(seed=seeds, row=cells, col=cells, sigma=sigmas, turns=st.integers(1, 3))
def test_quarter_turn_rolls_the_histogram(seed, row, col, sigma, turns):
    """Law 4.2: a quarter turn of the picture moves every bin by n/4 and alters no height."""
    level, place = texture(seed, (41, 41)), np.zeros((41, 41), bool)
    place[row, col] = True
    (turned_row, turned_col), = np.argwhere(np.rot90(place, turns))
    h = angle_histogram(level, col, row, sigma)
    turned = angle_histogram(np.ascontiguousarray(np.rot90(level, turns)), turned_col, turned_row, sigma)
    bound = 2 * slack(level, col, row, sigma, 2 * oracle.ATAN2_ERROR)            # both are off by as much
    assert np.abs(turned - np.roll(h, 9 * turns)).sum() <= bound


@given(angles, st.floats(2, 3.5, width=32))
def test_small_turn_moves_the_angle_as_much(direction, sigma):
    """Law 4.3: a picture even about some direction is oriented that way, to a quarter of a bin."""
    level = edge((61, 61), 30, 30, direction, 2 * sigma)
    index, angle = assign_orientations(level[None], *np.int32([[0], [30], [30]]), np.float32([sigma]))
    # votes go whole to the nearest bin, which the smoothing evens out but in part; peaks that were not
    # interpolated would be off by up to half a bin, and so would every peak if a half bin were lost or added
    assert len(index) == 1 and apart(angle[0], direction) < 2.5


@given(seed=seeds, row=cells, col=cells, sigma=sigmas, gain=powers, offset=st.integers(-200, 200))
def test_gain_scales_the_histogram_and_offset_leaves_it(seed, row, col, sigma, gain, offset):
    """Law 4.4: h(a·u + b) = a·h(u), to the bit where float32 holds a·u + b, and the angles are unchanged."""
    level = np.rint(texture(seed, (41, 41)))
    h = angle_histogram(level, col, row, sigma)
    brighter = angle_histogram(np.float32(gain) * (level + offset), col, row, sigma)
    np.testing.assert_array_equal(brighter, np.float32(gain) * h)
    np.testing.assert_array_equal(peak_angles(brighter), peak_angles(h))


@given(histograms, st.integers(0, 35))
def test_rolled_histogram_has_rolled_peaks(h, shift):
    """Law 4.5: rolling the histogram by k bins turns its peaks by −10·k degrees, past bin 0 as well."""
    turned = (peak_angles(h) - 10 * shift) % 360
    found = peak_angles(np.roll(h, shift))
    assert len(found) == len(turned) and ((found >= 0) & (found < 360)).all()
    # float32 angles near 360 have steps of 3e-5; peaks are 20° apart at least, so the nearest is the same one
    assert all(apart(found, a).min() < 2e-4 for a in turned)


@given(histograms)
def test_peaks_equal_the_oracle(h):
    """Law 4.6: peaks are where the oracle finds them, in [0, 360)."""
    found, expected = peak_angles(h), oracle.peak_angles(h.astype(float))
    assert found.dtype == np.float32 and ((found >= 0) & (found < 360)).all()
    assert len(found) == len(expected) and (apart(found, expected) < 2e-4).all()


@given(st.integers(0, 35), st.floats(-0.49, 0.49))
def test_peak_is_interpolated_by_a_parabola(j, offset):
    """Law 4.7: three bins on a parabola give its vertex; bin k stands for −10·k degrees."""
    h = np.zeros(36, np.float32)
    for k in (-1, 0, 1):
        h[(j + k) % 36] = 100 - 10 * (k - offset) ** 2
    angle, = peak_angles(h)
    assert 0 <= angle < 360 and apart(angle, -10 * (j + offset)) < 1e-3         # bins are rounded to 4e-6


@given(st.integers(0, 35), st.integers(2, 34), st.floats(0.0625, 1, width=32))
def test_second_peak_counts_from_four_fifths(j, apart_by, share):
    """Law 4.8: every peak of at least 0.8 of the highest gives an orientation, 0.8 itself included."""
    assume(abs(share - 0.8) > 1e-6)
    h = np.zeros(36, np.float32)
    h[j], h[(j + apart_by) % 36] = 10, 10 * share
    assert len(peak_angles(h)) == 1 + (share > 0.8)
    h[(j + apart_by) % 36] = 8
    assert len(peak_angles(h)) == 2


@given(st.integers(0, 35), st.integers(2, 35))
def test_plateau_is_no_peak(j, width):
    """Law 4.9: a peak is higher than both neighbours, so two equal bins side by side are none."""
    h = np.zeros(36, np.float32)
    h[np.arange(j, j + width) % 36] = 5
    assert len(peak_angles(h)) == 0


@given(seeds, st.integers(0, 12))
def test_keypoints_are_oriented_one_by_one(seed, n):
    """Law 4.10: one row per peak, keypoints in order, each as if it were alone."""
    rng = np.random.default_rng(seed)
    levels = np.stack([texture(seed + i, (30, 40)) for i in range(3)])
    layer, row, col = rng.integers(0, 3, n), rng.integers(5, 25, n), rng.integers(5, 35, n)
    sigma = rng.uniform(1, 3, n).astype(np.float32)
    index, angle = assign_orientations(levels, layer, row, col, sigma)
    alone = [peak_angles(angle_histogram(levels[k], c, r, s))
             for k, r, c, s in zip(layer, row, col, sigma, strict=True)]
    np.testing.assert_array_equal(index, np.repeat(np.arange(n), [len(a) for a in alone]))
    np.testing.assert_array_equal(angle, np.concatenate([*alone, np.empty(0, np.float32)]))


def test_flat_level_has_no_orientation():
    """Law 4.11: a flat level has no peak, hence no row, and no NaN."""
    flat = np.full((1, 20, 20), 7, np.float32)
    index, angle = assign_orientations(flat, *np.int32([[0], [9], [9]]), np.float32([2]))
    assert index.shape == angle.shape == (0,)


@pytest.mark.parametrize("direction", [0, 45, 90, 135, 180, 225, 270, 315])
def test_angle_turns_clockwise_on_the_screen(direction):
    """Law 4.12: a ramp that brightens towards θ, clockwise on the screen, has orientation θ."""
    dx, dy = plane((31, 31), 15, 15)
    ramp = np.float32(dx * np.cos(np.radians(direction)) + dy * np.sin(np.radians(direction)))
    angle, = peak_angles(angle_histogram(ramp, 15, 15, 2.0))
    assert apart(angle, direction) <= 5 + oracle.ATAN2_ERROR        # votes go whole to the nearest bin of 10°


@given(seed=seeds, shape=shapes(3, 60), n=st.integers(1, 9), n_bins=st.integers(4, 90),
       lanes=st.sampled_from([4, 8, 16]), most=st.floats(0.2, 9))
def test_votes_side_by_side_equal_those_of_one_keypoint_after_the_other(seed, shape, n, n_bins, lanes, most):
    """Law 4.13: voted for side by side, sixteen pixels at a time, every histogram is the plain sum, to the bit."""
    rng, p = np.random.default_rng(seed), SIFTParams(n_ori_bins=n_bins, simd_lanes=lanes)
    levels = np.stack([noise(seed, shape), np.rint(noise(seed + 1, shape) / 64)])      # the second has many ties
    cells = np.stack([rng.integers(0, 2, n), rng.integers(0, shape[0], n), rng.integers(0, shape[1], n)], axis=1)
    cells, sigma = cells.astype(np.int32), rng.uniform(0.1, most, n).astype(np.float32)
    found = np.full((n + 2, n_bins), np.nan, np.float32)
    vote_each(levels, cells, sigma, _window(p), found, 0, n)
    for i, (layer, row, col) in enumerate(cells.tolist()):
        np.testing.assert_array_equal(found[i], _vote(levels[layer], col, row, sigma[i], _window(p)))
    assert np.isnan(found[n:]).all()


@given(seeds, st.integers(0, 9), st.integers(0, 9))
def test_votes_for_part_of_a_list_leave_the_others_alone(seed, one, other):
    """Law 4.14: keypoints `first` to `last` of a list get their histograms, as in any other company; no other does."""
    rng, (first, last) = np.random.default_rng(seed), sorted((one, other))
    levels, sigma = noise(seed, (30, 40))[None], rng.uniform(0.5, 5, 9).astype(np.float32)
    cells = np.stack([np.zeros(9), rng.integers(0, 30, 9), rng.integers(0, 40, 9)], axis=1).astype(np.int32)
    whole, part = np.full((9, 36), np.nan, np.float32), np.full((9, 36), np.nan, np.float32)
    vote_each(levels, cells, sigma, _window(P), whole, 0, 9)
    vote_each(levels, cells, sigma, _window(P), part, first, last)
    np.testing.assert_array_equal(part[first:last], whole[first:last])
    assert np.isnan(part[:first]).all() and np.isnan(part[last:]).all() and not np.isnan(whole).any()
