"""Laws of step 2: extrema among the 26 neighbours (docs/laws.md, 2)."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle
from pysift.extrema import find_extrema as find_in_levels
from pysift.extrema import scanner
from pysift.params import SIFTParams
from strategies import levels_of, powers, seeds

P = SIFTParams()
ANY_HEIGHT = SIFTParams(contrast_threshold=0)             # every |D| > 0 may be a candidate
SHAPE = (5, 17, 19)                                       # (S + 2, H, W): 3 layers of 7 × 9 legal pixels
inside = st.tuples(st.integers(1, 3), st.integers(5, 11), st.integers(5, 13))       # layer, row, col
signs = st.sampled_from([-1, 1])


def find_extrema(dog, params=P):
    """Find the candidates of levels whose differences are this volume, to the bit."""
    levels = levels_of(dog)
    np.testing.assert_array_equal(np.diff(levels, axis=0), dog)
    return find_in_levels(levels, params)


def rows(found):
    """Return candidates as a set of (layer, row, col)."""
    return set(map(tuple, found.tolist()))


def volume(seed, levels=9, shape=SHAPE):
    """Return whole numbers −levels … levels: few values, so that neighbours often tie."""
    return np.random.default_rng(seed).integers(-levels, levels + 1, shape).astype(np.float32)


def spike(*cells, height=9):
    """Return a flat volume with these cells raised."""
    dog = np.zeros(SHAPE, np.float32)
    for cell in cells:
        dog[cell] = height
    return dog


@given(seeds, st.integers(1, 60), st.integers(1, 6), st.integers(11, 24), st.integers(11, 40))
def test_extrema_equal_the_oracle(seed, levels, layers, height, width):
    """Law 2.1: the candidates of any volume, ties included, are the oracle's, in its order."""
    p = SIFTParams(n_octave_layers=layers)
    dog = volume(seed, levels, (layers + 2, height, width))
    found = find_extrema(dog, p)
    assert found.dtype == np.int32 and found.shape[1] == 3
    assert [tuple(row) for row in found.tolist()] == oracle.find_extrema(dog, p)


@given(seeds)
def test_extrema_of_minus_d_are_those_of_d(seed):
    """Law 2.2: D and −D have the same candidates."""
    dog = volume(seed)
    np.testing.assert_array_equal(find_extrema(-dog), find_extrema(dog))


@given(seeds, powers)
def test_gain_keeps_extrema(seed, gain):
    """Law 2.3: where the threshold is 0, a·D has the candidates of D."""
    dog = volume(seed)
    louder = find_extrema(np.float32(gain) * dog, ANY_HEIGHT)
    np.testing.assert_array_equal(louder, find_extrema(dog, ANY_HEIGHT))


@given(inside, signs)
def test_lone_peak_is_found_where_it_is(cell, sign):
    """Law 2.4: a lone peak or pit is the one candidate, at its exact index."""
    assert rows(find_extrema(spike(cell, height=9 * sign))) == {cell}


@given(st.integers(0, 4), st.integers(0, 16), st.integers(0, 18), signs)
def test_no_candidate_within_the_border(layer, row, col, sign):
    """Law 2.5: a peak is found from layer 1 to S and from 5 px inside the image, nowhere else."""
    legal = 1 <= layer <= 3 and 5 <= row < 17 - 5 and 5 <= col < 19 - 5
    cell = layer, row, col
    assert rows(find_extrema(spike(cell, height=9 * sign))) == ({cell} if legal else set())


@given(inside, st.tuples(*[st.integers(-1, 1)] * 3), signs)
def test_higher_neighbour_hides_a_peak_and_an_equal_one_does_not(cell, step, sign):
    """Law 2.6: the comparison is ≥: one higher neighbour of the 26 hides a peak, a tie gives both."""
    other = tuple(int(a) for a in np.add(cell, step))
    legal = {c for c in (cell, other) if 1 <= c[0] <= 3 and 5 <= c[1] < 12 and 5 <= c[2] < 14}
    tied = spike(cell, other, height=9 * sign)
    assert rows(find_extrema(tied)) == legal
    if other != cell:
        tied[other] *= 1.125
        assert rows(find_extrema(tied)) == legal - {cell}


@given(inside, signs)
def test_threshold_is_a_whole_level_and_is_excluded(cell, sign):
    """Law 2.7: D, sign aside, must exceed ⌊½·C/S·255⌋, which is 1 by default; 1 itself does not pass."""
    above = np.nextafter(np.float32(1), np.float32(2))
    assert len(find_extrema(spike(cell, height=1.0 * sign))) == 0
    assert rows(find_extrema(spike(cell, height=above * sign))) == {cell}
    exact = P.replace(prefilter_floor=False)               # 1.7 without the floor
    assert len(find_extrema(spike(cell, height=1.69 * sign), exact)) == 0
    assert rows(find_extrema(spike(cell, height=1.71 * sign), exact)) == {cell}


@given(seeds, st.floats(0, 0.3), st.floats(0, 0.3))
def test_higher_threshold_keeps_a_subset(seed, first, second):
    """Law 2.8: a higher contrast threshold keeps a subset of the candidates."""
    low, high = sorted((first, second))
    dog = volume(seed)
    found = [rows(find_extrema(dog, SIFTParams(contrast_threshold=c))) for c in (low, high)]
    assert found[1] <= found[0]


@given(seeds, st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_mirrored_volume_has_mirrored_extrema(seed, mirrored):
    """Law 2.9: mirroring D in scale, y or x mirrors its candidates."""
    dog = volume(seed)
    step = tuple(slice(None, None, -1 if m else 1) for m in mirrored)
    moved = {tuple(n - 1 - i if m else i for i, n, m in zip(cell, SHAPE, mirrored, strict=True))
             for cell in rows(find_extrema(dog))}
    assert rows(find_extrema(np.ascontiguousarray(dog[step]))) == moved


@pytest.mark.parametrize("shape", [(3, 1, 1), (5, 2, 30), (5, 10, 10), (5, 11, 10), (5, 30, 30)])
def test_flat_or_tiny_volume_has_no_extrema(shape):
    """Law 2.10: a flat volume, or one no larger than its borders, gives a (0, 3) table."""
    p = ANY_HEIGHT.replace(n_octave_layers=shape[0] - 2)
    assert find_extrema(np.zeros(shape, np.float32), p).shape == (0, 3)


def test_only_pixel_inside_the_border_is_found():
    """Law 2.11: an octave of 11 × 11 has one legal pixel, its centre."""
    dog = np.zeros((5, 11, 11), np.float32)
    dog[2, 5, 5] = 9
    assert rows(find_extrema(dog)) == {(2, 5, 5)}


# rows are compared a strip of columns at a time: of 512 pixels at most, all of a width, a multiple of 16
WIDE = [15, 16, 17, 31, 32, 33, 495, 496, 511, 512, 513, 528, 529, 1023, 1024, 1025, 1040, 1057, 1600]


@pytest.mark.parametrize("width", WIDE)
def test_extrema_of_wide_volumes_equal_the_oracle(width):
    """Law 2.12: they are the oracle's at any width too, where the work is cut into strips of columns."""
    p = SIFTParams(n_octave_layers=2, contrast_threshold=0)
    dog = volume(width, 40, (4, 13, width + 10))
    assert [tuple(row) for row in find_extrema(dog, p).tolist()] == oracle.find_extrema(dog, p)


@pytest.mark.parametrize("width", [512, 513, 1025, 1057])
def test_peaks_at_every_column_are_found(width):
    """Law 2.13: each third pixel of a wide row a peak, all are found: from the first legal column to the last."""
    for start in range(3):
        dog = np.zeros((5, 11, width + 10), np.float32)
        dog[2, 5, start::3] = np.where(np.arange(start, width + 10, 3) % 2, 9, -9)
        expected = {(2, 5, x) for x in range(start, width + 10, 3) if 5 <= x < width + 5}
        assert rows(find_extrema(dog)) == expected


@given(seeds, st.lists(st.integers(0, 30), max_size=5), st.integers(11, 60), st.integers(1, 12))
def test_pieces_of_rows_have_the_extrema_of_the_whole(seed, cuts, width, layers):
    """Law 2.14: scanned in pieces of rows, cut anywhere, a volume has the candidates it has as a whole."""
    p = SIFTParams(n_octave_layers=layers, contrast_threshold=0)
    dog = volume(seed, 9, (layers + 2, 30, width))
    bounds, find = [0, *sorted(cuts), 30], scanner(p)
    pieces = [find(levels_of(dog), first, last) for first, last in zip(bounds, bounds[1:])]
    for piece, first, last in zip(pieces, bounds, bounds[1:]):
        assert ((piece[:, 1] >= first) & (piece[:, 1] < last)).all()
    found = np.concatenate(pieces)
    assert len(found) == len(rows(found)) and rows(found) == rows(find_extrema(dog, p))


@given(seeds, st.sampled_from([2.0**-140, 2.0**-20, 2.0**100]), st.integers(11, 40))
def test_extrema_of_any_size_of_numbers_equal_the_oracle(seed, unit, width):
    """Law 2.15: they are the oracle's among denormal and among huge differences too."""
    dog = volume(seed, 5, (5, 13, width)) * np.float32(unit)
    assert [tuple(row) for row in find_extrema(dog, ANY_HEIGHT).tolist()] == oracle.find_extrema(dog, ANY_HEIGHT)
