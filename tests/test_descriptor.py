"""Laws of step 5: the 4 × 4 × 8 histograms and their normalisation (docs/laws.md, 5)."""
import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import oracle
import pysift
from pysift.descriptor import describe_octave, normalise
from pysift.kernels import njit
from pysift.kernels.arithmetic import atan2_degrees, exp_table, fma, magnitude, round_half_even
from pysift.kernels.descriptor import _fold, _share, _turn
from pysift.kernels.samples import reach_of, sample
from pysift.params import SIFTParams
from strategies import angles, noise, photo, plane, powers, seeds, shapes, texture

FLOAT, ROOT = SIFTParams(descriptor="float32"), SIFTParams(descriptor="root")
ULP = 2.0**-24
sigmas = st.floats(0.75, 3.5, width=32)                         # pixels of the octave
places = st.floats(5, 35, width=32)                             # in a 41 × 41 level
pixels = st.integers(5, 35)
raws = arrays(np.float32, 128, elements=st.one_of(st.just(0), st.floats(0, 1000, width=32)))


def describe(level, x, y, sigma, angle, params=SIFTParams()):
    """Describe one keypoint: (d, d, n), not normalised."""
    levels, columns = np.ascontiguousarray(level)[None], np.float32([[x], [y], [sigma], [angle]])
    d = params.n_cells
    return describe_octave(levels, np.int32([0]), *columns, params).reshape(d, d, -1)


def assert_close(raw, expected, times=1):
    """Equal but for cv2's arc tangent, which moves that share of a cell's votes to the next angle bin.

    Rounding adds what float32 loses in sums and in positions of up to 4 cells: below 1e-5 of the whole.
    """
    moved = oracle.ATAN2_ERROR * expected.shape[-1] / 360 * expected.sum(axis=-1, keepdims=True)
    assert (np.abs(raw - expected) <= times * (moved + 1e-5 * expected.sum())).all()


@given(seed=seeds, x=st.floats(0, 45, width=32), y=st.floats(0, 33, width=32), sigma=sigmas, angle=angles)
def test_histograms_equal_the_oracle(seed, x, y, sigma, angle):
    """Law 5.1: the histograms of a keypoint anywhere in a picture are the oracle's."""
    level = texture(seed, (34, 46))
    assert_close(describe(level, x, y, sigma, angle), oracle.describe(level, x, y, sigma, angle))


@given(seeds, sigmas, angles, st.integers(1, 6), st.integers(4, 12), st.floats(1.5, 4), st.floats(0.3, 1))
def test_histograms_of_other_grids_equal_the_oracle(seed, sigma, angle, cells, bins, width, spread):
    """Law 5.2: so they are for other numbers of cells and angle bins, cell widths and windows."""
    p = SIFTParams(n_cells=cells, n_desc_bins=bins, cell_width=width, desc_sigma=spread)
    level = texture(seed, (41, 41))
    assert_close(describe(level, 20, 21, sigma, angle, p), oracle.describe(level, 20, 21, sigma, angle, p))


@given(seed=seeds, x=places, y=places, sigma=sigmas, angle=angles, gain=powers, offset=st.integers(-200, 200))
def test_gain_and_offset_leave_the_descriptor(seed, x, y, sigma, angle, gain, offset):
    """Law 5.3: d(a·u + b) = d(u), to the bit where float32 holds a·u + b."""
    level = np.rint(texture(seed, (41, 41)))
    raw = describe(level, x, y, sigma, angle)
    brighter = describe(np.float32(gain) * (level + offset), x, y, sigma, angle)
    np.testing.assert_array_equal(brighter, np.float32(gain) * raw)
    for p in (SIFTParams(), FLOAT, ROOT):
        rows = (normalise(h.reshape(1, 128), p) for h in (brighter, raw))
        np.testing.assert_array_equal(*rows)


@given(seed=seeds, x=pixels, y=pixels, sigma=sigmas, angle=angles, turns=st.integers(1, 3))
def test_quarter_turn_leaves_the_descriptor(seed, x, y, sigma, angle, turns):
    """Law 5.4: a quarter turn of the picture and of θ leaves the histograms as they are."""
    level, place = texture(seed, (41, 41)), np.zeros((41, 41), bool)
    place[y, x] = True
    (turned_y, turned_x), = np.argwhere(np.rot90(place, turns))
    turned = describe(np.rot90(level, turns), turned_x, turned_y, sigma, (angle - 90 * turns) % 360)
    assert_close(turned, describe(level, x, y, sigma, angle).astype(float), times=2)


@given(seed=seeds, x=pixels, y=pixels, sigma=sigmas, angle=angles)
def test_mirror_flips_rows_and_angles(seed, x, y, sigma, angle):
    """Law 5.5: a mirror that takes θ to 180° − θ turns rows of cells about and angle bin k into −k."""
    level = texture(seed, (41, 41))
    mirrored = describe(level[:, ::-1], 40 - x, y, sigma, (180 - angle) % 360)
    expected = describe(level, x, y, sigma, angle).astype(float)[::-1, :, -np.arange(8) % 8]
    assert_close(mirrored, expected, times=2)


@given(angles, angles, st.floats(1, 3, width=32))
def test_ramp_votes_into_its_own_angle_bin(direction, angle, sigma):
    """Law 5.6: a ramp towards θ + φ votes into the two angle bins next to −φ, in proportion."""
    dx, dy = plane((81, 81), 40, 40)
    ramp = np.float32(dx * np.cos(np.radians(direction)) + dy * np.sin(np.radians(direction)))
    raw = describe(ramp, 40, 40, sigma, angle).astype(float)
    position = (angle - direction) % 360 * 8 / 360
    distance = np.abs((np.arange(8) - position + 4) % 8 - 4)
    cells = raw.sum(axis=-1, keepdims=True)
    # float32 keeps levels of ±57 to 2e-6, hence directions to 2e-4°; cv2's arc tangent adds 0.01° of 45°
    shares = np.broadcast_to(np.maximum(1 - distance, 0), raw.shape)
    np.testing.assert_allclose(raw / cells, shares, atol=2 * oracle.ATAN2_ERROR / 45)
    np.testing.assert_allclose(cells, cells[::-1, ::-1], rtol=1e-4)       # a half turn keeps the sampled square


@given(seed=seeds, x=pixels, y=pixels, sigma=sigmas, angle=angles,
       dx=st.floats(-0.49, 0.49), dy=st.floats(-0.49, 0.49))
def test_centre_is_the_nearest_pixel(seed, x, y, sigma, angle, dx, dy):
    """Law 5.7: the centre of the square is the pixel nearest to the keypoint, as in cv2."""
    level = texture(seed, (41, 41))
    moved = describe(level, x + dx, y + dy, sigma, angle)
    np.testing.assert_array_equal(moved, describe(level, x, y, sigma, angle))


@given(raws)
def test_bytes_are_the_nearest_quanta(raw):
    """Law 5.8: a byte is 512 times the unit vector's entry, to the nearest whole, at most 255."""
    exact = np.minimum(512 * oracle.unit(raw.astype(float)), 255)
    found = normalise(raw[None])
    assert found.dtype == np.uint8
    # float32 loses up to 128·ULP of the norm, 2e-3 of 255
    assert (np.abs(found[0] - exact) <= 0.5 + 255 * 128 * ULP).all()


@given(raws)
def test_floats_have_unit_norm_and_a_clip(raw):
    """Law 5.9: floats are min(h, ‖h‖/5) made of unit length, RootSIFT the roots of their shares."""
    floats, roots = normalise(raw[None], FLOAT)[0], normalise(raw[None], ROOT)[0]
    assume(raw.max() == 0 or raw.max() > 1e-3)                            # below it float32 squares vanish
    expected = oracle.unit(raw.astype(float))
    assert floats.dtype == roots.dtype == np.float32
    np.testing.assert_allclose(floats, expected, rtol=256 * ULP, atol=1e-30)
    np.testing.assert_allclose(roots**2, expected / max(expected.sum(), 1e-30), rtol=512 * ULP, atol=1e-12)


@given(seeds, st.integers(0, 9))
def test_keypoints_are_described_one_by_one(seed, n):
    """Law 5.10: a keypoint of a list is described as if it were alone, in the order given."""
    rng = np.random.default_rng(seed)
    levels = np.stack([texture(seed + i, (30, 40)) for i in range(3)])
    layer, angle = rng.integers(0, 3, n), rng.uniform(0, 360, n).astype(np.float32)
    x, y, sigma = (rng.uniform(low, high, n).astype(np.float32) for low, high in ((0, 39), (0, 29), (1, 3)))
    together = describe_octave(levels, layer, x, y, sigma, angle)
    assert together.shape == (n, 128)
    for i in range(n):
        one = slice(i, i + 1)
        alone = describe_octave(levels, layer[one], x[one], y[one], sigma[one], angle[one])
        np.testing.assert_array_equal(together[one], alone)


@given(st.floats(0, 255, width=32), places, places, sigmas, angles)
def test_flat_patch_gives_zeros(grey, x, y, sigma, angle):
    """Law 5.11: a flat patch is described by zeros in every format, never by NaN."""
    raw = describe(np.full((41, 41), grey, np.float32), x, y, sigma, angle).reshape(1, 128)
    for p in (SIFTParams(), FLOAT, ROOT):
        assert not normalise(raw, p).any()


@njit(error_model="numpy")
def sample_each(level, frame, turn, grid, samples):
    """Gather what `sample` does, one pixel of the square after the other, and ask each whether it is in the grid."""
    d, _, cell_width, exponent, _ = grid
    h, w = level.shape
    width, turned = cell_width * frame[2], turn * np.float32(np.pi / 180)
    cos, sin = np.float32(np.cos(turned)) / width, np.float32(np.sin(turned)) / width
    reach, col, row = reach_of(frame[2], grid, h, w), round_half_even(frame[0]), round_half_even(frame[1])
    count, half, middle = 0, np.float32(0.5), np.float32(d / 2)
    for y in range(max(row - reach, 1), min(row + reach, h - 2) + 1):
        for x in range(max(col - reach, 1), min(col + reach, w - 2) + 1):
            i, j = np.float32(y - row), np.float32(x - col)
            u, v = fma(j, cos, -(i * sin)), fma(j, sin, i * cos)
            cell_row, cell_col = v + middle - half, u + middle - half
            if -1 < cell_row < d and -1 < cell_col < d:
                dx, dy = level[y, x + 1] - level[y, x - 1], level[y - 1, x] - level[y + 1, x]
                samples[0, count], samples[1, count] = cell_row, cell_col
                samples[2, count], samples[3, count] = atan2_degrees(dy, dx), magnitude(dx, dy)
                samples[4, count] = exp_table(fma(u, u, v * v) * exponent)
                count += 1
    return count


@njit(error_model="numpy")
def describe_plainly(level, frame, grid, samples, histogram, out):
    """Describe one keypoint, one sample after the other: `histogram` is of zeros."""
    d, n, _, _, lanes = grid
    turn = _turn(frame[3])
    count = sample_each(level, frame, turn, grid, samples)
    for i in range(count):
        single = samples[0, i], samples[1, i], samples[2, i], samples[3, i], samples[4, i]
        _share(single, turn, (d, n), i >= count - count % lanes, 0, histogram)
    _fold(histogram, 0, grid, out)


def grid_of(p):
    """Return the constants of step 5 as its kernels read them."""
    return (p.n_cells, p.n_desc_bins, np.float32(p.cell_width),
            np.float32(-0.5 / (p.n_cells * p.desc_sigma) ** 2), p.simd_lanes)


def plainly(level, frame, p):
    """Describe one keypoint (x, y, sigma, angle) by the plain loops: (d²·n,)."""
    d, n = p.n_cells, p.n_desc_bins
    samples, out = np.empty((5, level.size + 16), np.float32), np.empty(d * d * n, np.float32)
    histogram = np.zeros(((d + 2) ** 2 + 2) * 4 * max(n + 2, 16), np.float32)
    describe_plainly(level, frame, grid_of(p), samples, histogram, out)
    return out


grids = st.builds(SIFTParams, n_cells=st.integers(1, 6), n_desc_bins=st.integers(1, 20),
                  cell_width=st.floats(0.5, 5), desc_sigma=st.floats(0.2, 2), simd_lanes=st.sampled_from([4, 8, 16]))
round_angles = st.integers(0, 8).map(lambda k: 45.0 * k)
slight = st.sampled_from([0.0, 1e-5, -1e-5, 1e-4, 1e-3, -1e-3, 0.1])
any_angles = angles | st.just(-1.0) | st.builds(lambda a, b: float(np.float32(abs(a + b))), round_angles, slight)


def frames(seed, n, shape, angle, largest):
    """Return n keypoints (x, y, sigma, angle) on a level, of very different sizes; one has the angle given."""
    rng = np.random.default_rng(seed)
    table = np.stack([rng.uniform(0, shape[1] - 1, n), rng.uniform(0, shape[0] - 1, n),
                      np.exp(rng.uniform(np.log(0.2), np.log(largest), n)), rng.uniform(0, 360, n)], axis=1)
    table[rng.integers(n), 3] = angle
    return table.astype(np.float32)


@given(seeds, shapes(3, 60), grids, any_angles, st.floats(0.5, 12))
def test_samples_equal_those_of_one_pixel_after_the_other(seed, shape, p, angle, largest):
    """Law 5.12: the pixels of a turned grid, found sixteen at a time, are those that lie in it, to the bit."""
    level, frame = noise(seed, shape), frames(seed, 1, shape, angle, largest)[0]
    turn, plain, fast = _turn(frame[3]), *np.full((2, 5, level.size + 16), np.nan, np.float32)
    count = sample_each(level, frame, turn, grid_of(p), plain)
    assert sample(level, frame, turn, grid_of(p), fast) == count
    np.testing.assert_array_equal(fast[:, :count], plain[:, :count])


@given(seeds, shapes(3, 60), grids, any_angles, st.integers(1, 9), st.floats(0.5, 12))
def test_votes_side_by_side_equal_those_of_one_sample_after_the_other(seed, shape, p, angle, n, largest):
    """Law 5.13: whoever is described beside it, a keypoint's histograms are the plain sums, to the bit."""
    levels = np.stack([noise(seed, shape), np.rint(noise(seed + 1, shape) / 64)])       # the second has many ties
    table, layer = frames(seed, n, shape, angle, largest), np.random.default_rng(seed).integers(0, 2, n)
    together = describe_octave(levels, layer, *table.T, p)
    for i in range(n):
        np.testing.assert_array_equal(together[i], plainly(levels[layer[i]], table[i], p))


@given(seeds, st.integers(13, 20), st.integers(1, 5), sigmas, angles)
def test_histograms_of_many_angle_bins_equal_the_oracle(seed, bins, cells, sigma, angle):
    """Law 5.14: from 15 angle bins on a cell is wider than a register, and the histograms are the oracle's still."""
    p, level = SIFTParams(n_cells=cells, n_desc_bins=bins), texture(seed, (41, 41))
    assert_close(describe(level, 20, 21, sigma, angle, p), oracle.describe(level, 20, 21, sigma, angle, p))


@given(st.floats(1.25, 359.9), st.floats(1, 3, width=32), st.integers(1, 20), st.integers(1, 5))
def test_unknown_angle_is_minus_one_degree(direction, sigma, bins, cells):
    """Law 5.15: cv2's mark for no angle, −1, is a direction as good as 359° where no gradient points along 0° to 1°."""
    dx, dy = plane((81, 81), 40, 40)
    turn, p = np.radians(direction), SIFTParams(n_desc_bins=bins, n_cells=cells)
    ramp = np.float32(dx * np.cos(turn) - dy * np.sin(turn))                # brightens towards `direction`, y up
    assert_close(describe(ramp, 40, 40, sigma, -1, p), oracle.describe(ramp, 40, 40, sigma, 359, p))


@pytest.mark.parametrize("name", ["camera", "coins", "grass"])
def test_unknown_angles_are_described_as_opencv_does(name):
    """Law 5.16: described with the angle −1, keypoints have cv2's bytes to the bit, wherever gradients point."""
    image = photo(name, 128, 160)
    points = cv2.SIFT_create().detect(image)
    for point in points:
        point.angle = -1
    kept, theirs = cv2.SIFT_create().compute(image, points)
    _, ours = pysift.SIFT_create().compute(image, points)
    assert len(kept) == len(points) > 50
    np.testing.assert_array_equal(ours, theirs)
