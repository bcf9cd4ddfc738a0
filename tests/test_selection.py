"""Which keypoints stay: cv2's order written out slowly, and what may be said of any selection."""
import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysift.keypoints import Keypoints
from pysift.params import SIFTParams
from pysift.pipeline import detect
from pysift.selection import canonical_order, distinct, strongest, unmasked
from strategies import photo, seeds, shapes

sizes = st.integers(0, 25)
ROOMY = (30, 40)                               # a mask that holds every keypoint of `table`


def table(seed, n):
    """Return n keypoints whose columns take two or three values each, so that ties abound."""
    rng = np.random.default_rng(seed)

    def pick(*values):
        return rng.choice(values, n)

    return Keypoints(pick(3, 7.25, 7.5), pick(0, 5), pick(1, 2), pick(0, 1.5), pick(0.1, 0.2, 0.3),
                     pick(0, 1, 2), pick(1, 2), pick(-0.25, 0, 0.25))


def tables():
    return st.builds(table, seeds, sizes)


def before(a, b):
    """Compare two rows as cv2's KeyPoint12_LessThan does: the first difference decides, some backwards."""
    for name, sign in (("x", 1), ("y", 1), ("sigma", -1), ("theta", 1), ("response", -1), ("packed_octave", -1)):
        p, q = getattr(a, name)[0], getattr(b, name)[0]
        if p != q:
            return sign if p > q else -sign
    return 0


def places(keypoints):
    """List (x, y, σ, θ) row for row: rows that share them are duplicates."""
    k = keypoints
    return list(zip(k.x.tolist(), k.y.tolist(), k.sigma.tolist(), k.theta.tolist()))


@given(tables())
def test_canonical_order_sorts_by_opencv_s_comparator(k):
    order = canonical_order(k)
    assert sorted(order) == list(range(len(k)))
    assert list(k[order]) == sorted(k, key=functools.cmp_to_key(before))


@given(tables(), seeds)
def test_canonical_order_does_not_depend_on_the_order_found(k, seed):
    shuffled = k[np.random.default_rng(seed).permutation(len(k))]
    assert shuffled[canonical_order(shuffled)] == k[canonical_order(k)]
    assert shuffled[distinct(shuffled)] == k[distinct(k)]


@pytest.mark.parametrize("name", ["camera", "coins", "grass"])
def test_opencv_s_own_keypoints_are_in_canonical_order_and_distinct(name):
    cv2 = pytest.importorskip("cv2")
    found = cv2.SIFT_create().detect(photo(name), None)
    x, y, size, angle, response = np.array([(*p.pt, p.size, p.angle, p.response) for p in found]).T
    packed = np.array([p.octave for p in found])
    k = Keypoints(x, y, size / 2, np.deg2rad(angle), response, (packed & 255).astype(np.int8), packed >> 8 & 255,
                  (packed >> 16) / 255 - 0.5)
    np.testing.assert_array_equal(k.packed_octave, packed)
    np.testing.assert_array_equal(canonical_order(k), np.arange(len(k)))
    np.testing.assert_array_equal(distinct(k), np.arange(len(k)))
    assert k.xy.tolist() == detect(photo(name), SIFTParams.opencv()).xy.tolist()        # and ours are in theirs


@given(tables())
def test_distinct_keeps_the_first_of_each_place_in_canonical_order(k):
    kept, rows = k[distinct(k)], k[canonical_order(k)]
    firsts = [row for i, row in enumerate(rows) if places(row)[0] not in places(rows[:i])]
    assert list(kept) == firsts
    assert set(places(kept)) == set(places(k)) and len(kept) == len(set(places(k)))


@pytest.mark.parametrize("name", ["x", "y", "sigma", "theta"])
def test_keypoints_that_differ_in_one_of_x_y_sigma_theta_are_distinct(name):
    columns = {"x": 1.0, "y": 2.0, "sigma": 3.0, "theta": 1.0}
    k = Keypoints.at(**{**columns, name: [columns[name], np.nextafter(np.float32(columns[name]), np.float32(9))]})
    assert len(distinct(k)) == 2


def test_keypoints_that_differ_in_response_or_level_only_are_one_the_strongest():
    k = Keypoints.at([1, 1], 2, 3, 1.0, response=[0.1, 0.2]).replace(octave=[2, 0])
    assert distinct(k).tolist() == [1]


@given(tables(), st.integers(0, 30))
def test_strongest_keeps_n_and_the_ties_with_the_last(k, n):
    """A row stays if fewer than n rows beat it; n = 0 keeps all, as in cv2."""
    responses = k.response.tolist()
    wanted = [i for i, r in enumerate(responses) if n == 0 or sum(other > r for other in responses) < n]
    assert strongest(k, n).tolist() == wanted
    assert len(wanted) >= min(n, len(k))


def test_strongest_of_no_more_than_n_are_all():
    k = table(1, 9)
    for n in (0, 9, 10, 2**31 - 1):
        assert strongest(k, n).tolist() == list(range(9))
    assert strongest(Keypoints.empty(), 3).tolist() == []


@given(seeds, shapes(1, 8))
def test_unmasked_looks_at_the_nearest_pixel_halves_upwards(seed, shape):
    """Pixel i reaches from i − ½, included, to i + ½; a mask may be bool or any number."""
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.5
    rows, cols = np.indices(shape).reshape(2, -1)
    for dx, dy in ((-0.5, -0.5), (-0.5, 0.49), (0.49, -0.5), (0.25, -0.25), (0, 0)):
        k = Keypoints.at(cols + dx, rows + dy, 1)
        for m in (mask, mask.astype(np.uint8), mask * np.uint8(255)):
            assert unmasked(k, m).tolist() == np.flatnonzero(mask).tolist()


def test_no_mask_hides_nothing():
    k = table(2, 9)
    assert unmasked(k, None).tolist() == unmasked(k, np.ones(ROOMY, bool)).tolist() == list(range(9))
    assert unmasked(k, np.zeros(ROOMY, bool)).tolist() == []
    assert unmasked(Keypoints.empty(), np.ones(ROOMY, bool)).tolist() == []


@given(tables(), st.integers(0, 30), seeds)
def test_selecting_twice_is_selecting_once(k, n, seed):
    """What is selected is part of what there was, each row once, and stays as it is when selected again."""
    mask = np.random.default_rng(seed).random(ROOMY) < 0.5
    for select in (distinct, functools.partial(strongest, n=n), functools.partial(unmasked, mask=mask)):
        index = select(k)
        assert len(set(index.tolist())) == len(index) and set(index.tolist()) <= set(range(len(k)))
        kept = k[index]
        assert kept[select(kept)] == kept


@given(tables(), st.integers(0, 30), seeds)
def test_budget_and_mask_keep_the_order(k, n, seed):
    mask = np.random.default_rng(seed).random(ROOMY) < 0.5
    for index in (strongest(k, n), unmasked(k, mask)):
        assert (np.diff(index) > 0).all()
