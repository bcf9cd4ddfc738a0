"""Laws of matching: the nearest two, the ratio, the order, the memory, the homography."""
import functools
import pickle
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pysift import matching
from pysift.keypoints import Keypoints
from pysift.matching import Matches, apply_homography, inliers, match
from pysift.photos import photo
from strategies import seeds

TURN = np.array([[0.8, -0.25, 90], [0.2, 0.85, -10], [1e-4, -1e-4, 1]])      # photograph to warped photograph
ratios = st.one_of(st.none(), st.floats(0.1, 1.0))


def nearest_pairs(d0, d1, ratio, mutual):
    """Match by the definition, row by row; whole numbers are compared as whole numbers."""
    distance2 = [[sum((p - q) ** 2 for p, q in zip(a, b)) for b in d1.tolist()] for a in d0.tolist()]
    pairs = []
    for i, row in enumerate(distance2):
        order = sorted(range(len(row)), key=lambda j: (row[j], j))
        first, second = np.sqrt(np.float32([row[j] for j in (order + order)[:2]])).tolist()
        rivals = len(row) > 1
        back = min(range(len(d0)), key=lambda k: (distance2[k][order[0]], k))
        if (ratio is None or not rivals or first < ratio * second) and (not mutual or back == i):
            pairs.append((i, order[0], first))
    return sorted(pairs, key=lambda pair: pair[2])


def as_pairs(matches):
    return list(zip(matches.index0.tolist(), matches.index1.tolist(), matches.distance.tolist()))


def bytes_like(seed, n, width):
    """Random uint8 rows of few values, so that equal distances and equal rows are common."""
    return np.random.default_rng(seed).choice(np.uint8([0, 1, 254, 255]), (n, width))


@functools.cache
def cv2_features():
    """Return cv2's keypoints and descriptors of a photograph and of its warped copy."""
    image = photo("chelsea")
    found = [cv2.SIFT_create().detectAndCompute(picture, None)
             for picture in (image, cv2.warpPerspective(image, TURN, (520, 420)))]
    return [(np.array([k.pt for k in keypoints]), descriptors) for keypoints, descriptors in found]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("ratio", [0.6, 0.75, 0.9])
def test_match_equals_cv2_bfmatcher_with_the_ratio_test_to_the_bit(dtype, ratio):
    (_, d0), (_, d1) = cv2_features()
    theirs = [first for first, second in cv2.BFMatcher().knnMatch(d0, d1, k=2)
              if first.distance < ratio * second.distance]
    theirs.sort(key=lambda m: m.distance)
    ours = match(d0.astype(dtype), d1.astype(dtype), ratio=ratio)
    assert len(ours) > 50 and as_pairs(ours) == [(m.queryIdx, m.trainIdx, m.distance) for m in theirs]


def test_mutual_equals_cv2_bfmatcher_with_crosscheck():
    d0, d1 = (descriptors for _, descriptors in cv2_features())
    theirs = {(m.queryIdx, m.trainIdx, m.distance) for m in cv2.BFMatcher(crossCheck=True).match(d0, d1)}
    assert set(as_pairs(match(d0, d1, ratio=None, mutual=True))) == theirs


@given(seeds, st.integers(1, 7), st.integers(1, 7), st.sampled_from([1, 2, 3, 128, 200]), ratios, st.booleans())
def test_match_is_its_definition_ties_and_extremes_included(seed, n0, n1, width, ratio, mutual):
    """Rows of 0, 1, 254 and 255 reach the largest sums; with few columns most distances are tied."""
    d0, d1 = bytes_like(seed, n0, width), bytes_like(seed + 1, n1, width)
    assert as_pairs(match(d0, d1, ratio=ratio, mutual=mutual)) == nearest_pairs(d0, d1, ratio, mutual)


@pytest.mark.parametrize("ratio_of", [(a, b) for b in range(2, 12) for a in range(1, b)])
def test_the_ratio_is_asked_of_the_float32_distances_as_in_cv2(ratio_of):
    """Distances √a and √b, and for ratio the quotient of their float32 values: the last bit decides."""
    d0, d1 = np.zeros((1, 12), np.float32), np.float32([[1] * n + [0] * (12 - n) for n in ratio_of])
    (first, second), = cv2.BFMatcher().knnMatch(d0, d1, k=2)
    ratio = first.distance / second.distance
    assert len(match(d0, d1, ratio=ratio)) == (first.distance < ratio * second.distance)


@pytest.mark.parametrize("start, steps", [
    (255, np.tri(50, 1000)),                                     # sums beyond 2²⁴
    (99999, np.arange(1, 51)[:, None].repeat(4, 1)),             # whole numbers beyond a byte
    (255, 1e-5 * np.arange(1, 51)[:, None].repeat(4, 1)),        # no whole numbers
])
@given(seed=seeds)
def test_what_float32_would_round_away_is_told_apart(start, steps, seed):
    """Fifty rows, each a step farther off than the one before, in any order."""
    order = np.random.default_rng(seed).permutation(50)
    assert match(np.full_like(steps[:1], start), start - steps[order], ratio=None).index1 == np.argmin(order)


@given(seeds, st.integers(1, 30), st.integers(2, 40))
def test_of_equal_float_rows_the_first_is_taken(seed, n, copies):
    """A matrix product may round equal rows unlike; the tie must not be decided by that."""
    rng = np.random.default_rng(seed)
    d1 = rng.normal(size=(n, 128))
    order = rng.permutation(n * copies) % n
    pairs = match(d1 + 1e-3 * rng.normal(size=d1.shape), d1[order], ratio=None)
    first = [int(np.flatnonzero(order == i)[0]) for i in pairs.index0]
    assert pairs.index1.tolist() == first
    assert np.all(pairs.ratio == 1)


@given(seeds, st.integers(1, 20), st.integers(1, 9))
def test_the_size_of_a_block_changes_nothing(seed, n, block):
    d0, d1 = bytes_like(seed, n, 3), bytes_like(seed + 1, n, 3)
    whole = match(d0, d1, ratio=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_BLOCK", block)
        assert as_pairs(match(d0, d1, ratio=None)) == as_pairs(whole)


@given(seeds, st.integers(1, 30))
def test_a_set_matches_itself_row_for_row_at_distance_zero(seed, n):
    d = np.random.default_rng(seed).normal(size=(n, 128)).astype(np.float32)
    pairs = match(d, d, mutual=True)
    assert pairs.index0.tolist() == pairs.index1.tolist() == list(range(n))
    assert not pairs.distance.any() and not pairs.ratio.any()


@given(seeds, st.integers(1, 30), st.integers(1, 30))
def test_mutual_matching_does_not_depend_on_which_set_comes_first(seed, n0, n1):
    rng = np.random.default_rng(seed)
    d0, d1 = rng.normal(size=(n0, 16)), rng.normal(size=(n1, 16))
    one, other = match(d0, d1, ratio=None, mutual=True), match(d1, d0, ratio=None, mutual=True)
    assert set(zip(one.index0, one.index1)) == set(zip(other.index1, other.index0))
    assert len(set(one.index1)) == len(one)


@given(seeds)
def test_matches_come_sorted_by_distance_equals_by_row(seed):
    pairs = match(bytes_like(seed, 30, 2), bytes_like(seed + 1, 5, 2), ratio=None)
    assert np.lexsort((pairs.index0, pairs.distance)).tolist() == list(range(30))


def test_the_ratio_is_kept_and_is_zero_without_a_rival_and_one_between_two_equal_rows():
    assert match(np.zeros((1, 2)), np.array([[0, 3], [4, 0]]), ratio=0.7501).ratio.tolist() == [0.75]
    assert match(np.ones((1, 8)), np.zeros((1, 8)), ratio=0.1).ratio.tolist() == [0]
    same = np.ones((2, 8), np.uint8)
    assert match(same, same, ratio=None).ratio.tolist() == [1, 1]
    assert len(match(same, same, ratio=1)) == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_distance_matrix_is_never_held_whole(dtype):
    """3000 × 20000 entries are 240 MB and up; a block and its companions are a fraction of that."""
    d0, d1 = (np.random.default_rng(n).uniform(0, 255, (n, 16)).astype(dtype) for n in (3000, 20000))
    tracemalloc.start()
    match(d0, d1, mutual=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize("n0, n1", [(0, 0), (0, 5), (5, 0)])
@pytest.mark.parametrize("mutual", [False, True])
def test_nothing_to_match_is_no_match(n0, n1, mutual):
    pairs = match(np.empty((n0, 128), np.uint8), np.empty((n1, 128), np.uint8), mutual=mutual)
    columns = (pairs.index0, pairs.index1, pairs.distance, pairs.ratio)
    assert [(c.shape, c.dtype) for c in columns] == [((0,), d) for d in (np.int64, np.int64, np.float32, np.float32)]


@pytest.mark.parametrize("d0, d1, options, error, words", [
    (np.zeros((2, 128)), np.zeros((2, 64)), {}, ValueError, "128 columns.*64"),
    (np.zeros(128), np.zeros((2, 128)), {}, ValueError, r"d0 has shape \(128,\)"),
    (np.zeros((2, 128)), np.zeros((1, 2, 128)), {}, ValueError, "d1 has shape"),
    (np.zeros((2, 128)), np.array([[0.0], [np.nan]]).repeat(128, 1), {}, ValueError, r"d1\[1\] holds NaN or inf"),
    (np.array([[np.inf]]), np.zeros((2, 1)), {}, ValueError, r"d0\[0\] holds NaN or inf"),
    (None, np.zeros((2, 128)), {}, TypeError, "d0 is of dtype object"),
    (np.zeros((2, 128), complex), np.zeros((2, 128)), {}, TypeError, "complex128"),
    (np.zeros((2, 128)), np.zeros((2, 128), bool), {}, TypeError, "d1 is of dtype bool"),
    *((np.zeros((2, 8)), np.zeros((2, 8)), {"ratio": r}, ValueError, "ratio=") for r in (0, -1, 1.01, np.nan)),
])
def test_what_cannot_be_matched_is_named(d0, d1, options, error, words):
    with pytest.raises(error, match=words):
        match(d0, d1, **options)


def test_stats_are_those_of_numpy_and_nan_where_there_is_no_match():
    pairs = match(cv2_features()[0][1], cv2_features()[1][1])
    d = pairs.distance.astype(float)
    assert pairs.stats() == {"count": len(d), "mean": np.mean(d), "min": np.min(d), "max": np.max(d), "std": np.std(d)}
    empty = Matches.empty().stats()
    assert empty.pop("count") == 0 and list(empty) == ["mean", "min", "max", "std"]
    assert np.isnan(list(empty.values())).all()


def test_matches_are_indexed_like_an_array_and_survive_pickling():
    pairs = Matches([0, 1, 2], [5, 6, 7], [1.0, 2.0, 3.0], [0.1, 0.2, 0.3])
    assert as_pairs(pairs[pairs.distance > 1]) == as_pairs(pairs[1:]) == as_pairs(pairs[[1, 2]])
    assert as_pairs(pairs[2]) == [(2, 7, 3.0)]
    assert as_pairs(pickle.loads(pickle.dumps(pairs))) == as_pairs(pairs)
    with pytest.raises(ValueError, match="distance has shape"):
        Matches([0, 1], [0, 1], [0.0], [0.0, 0.0])


@given(seeds, st.floats(-50, 50).filter(lambda s: abs(s) > 0.02))
def test_a_homography_maps_points_as_cv2_does_at_any_scale_of_the_matrix(seed, scale):
    points = np.random.default_rng(seed).uniform(0, 400, (9, 2))
    theirs = cv2.perspectiveTransform(points[None], TURN)[0]
    np.testing.assert_allclose(apply_homography(scale * TURN, points), theirs, rtol=1e-12)


@given(seeds, st.floats(0.1, 20))
def test_inliers_are_the_matches_within_the_tolerance(seed, tolerance):
    """Partners are planted at known distances from where they should be."""
    rng = np.random.default_rng(seed)
    xy, off, turn = rng.uniform(0, 400, (40, 2)), rng.uniform(0, 40, 40), rng.uniform(0, 2 * np.pi, 40)
    assume((abs(off - tolerance) > 1e-3).all())                                     # positions are float32
    there = apply_homography(TURN, xy) + np.transpose(off * [np.cos(turn), np.sin(turn)])
    index0, index1 = rng.permutation(40), rng.permutation(40)
    keypoints0 = Keypoints.at(*xy[np.argsort(index0)].T, 2.0)
    keypoints1 = Keypoints.at(*there[np.argsort(index1)].T, 2.0)
    mask = inliers(Matches(index0, index1, off, off), keypoints0, keypoints1, TURN, tolerance)
    assert mask.tolist() == (off < tolerance).tolist()


def test_most_matches_of_a_warped_photograph_obey_the_warp():
    (xy0, d0), (xy1, d1) = cv2_features()
    keypoints0, keypoints1, pairs = Keypoints.at(*xy0.T, 2.0), Keypoints.at(*xy1.T, 2.0), match(d0, d1)
    assert inliers(pairs, keypoints0, keypoints1, TURN).mean() > 0.9
    assert inliers(pairs, keypoints0, keypoints1, np.eye(3)).mean() < 0.1


def test_a_point_sent_to_infinity_is_no_inlier_and_no_warning():
    vanishing = np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, -5]])                      # sends x = 5 to infinity
    point = Keypoints.at([5], [5], 2.0)
    assert not inliers(Matches([0], [0], [0], [0]), point, point, vanishing).any()      # warnings are errors here
    assert inliers(Matches.empty(), point, point, vanishing).shape == (0,)


@pytest.mark.parametrize("homography, xy, tolerance, words", [
    (np.eye(2), [[0, 0]], 3, r"homography=.*\(3, 3\)"),
    (np.full((3, 3), np.nan), [[0, 0]], 3, "finite"),
    (np.eye(3), [0, 0], 3, r"xy has shape \(2,\)"),
    (np.eye(3), [[0, 0]], -1, "tolerance=-1"),
    (np.eye(3), [[0, 0]], np.nan, "tolerance=nan"),
])
def test_what_is_no_homography_is_named(homography, xy, tolerance, words):
    with pytest.raises(ValueError, match=words):
        apply_homography(homography, xy)
        inliers(Matches.empty(), Keypoints.empty(), Keypoints.empty(), homography, tolerance)
