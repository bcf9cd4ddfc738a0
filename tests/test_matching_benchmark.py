"""The matching benchmark: overlaps against closed forms, repeatability and AUC against laws, its folders."""
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import benchmarks.overlap
from benchmarks.matching import auc, corner_error, measure
from benchmarks.overlap import LARGEST_ERROR, RADIUS, local_affine, overlap_error, repeatability
from benchmarks.sequences import oxford, warped
from pysift import Features, Keypoints
from pysift.matching import apply_homography

ACCURACY = 5e-4                   # what overlap_error promises
seeds = st.integers(0, 2**32 - 1)
radii = st.floats(0.2, 50)


def error(shift, first, second):
    """Overlap error of one pair."""
    return overlap_error(np.array([shift], float), np.array([first], float), np.array([second], float))[0]


def ellipse(rng):
    """Draw a matrix that takes the unit disc to an ellipse; axes 0.5 … 2."""
    turn, other = (np.linalg.qr(rng.normal(size=(2, 2)))[0] for _ in range(2))
    return turn @ np.diag(rng.uniform(0.5, 2, 2)) @ other


@given(r1=radii, r2=radii)
def test_concentric_circles_overlap_as_their_areas(r1, r2):
    small, large = sorted((r1, r2))
    assert error([0, 0], r1 * np.eye(2), r2 * np.eye(2)) == pytest.approx(1 - (small / large)**2, abs=ACCURACY)


@given(d=st.floats(0, 2.5), r=radii)
def test_two_equal_circles_overlap_as_their_lens(d, r):
    lens = 2 * np.arccos(d / 2) - d / 2 * np.sqrt(4 - d * d) if d < 2 else 0
    assert error([d * r * 0.6, d * r * 0.8], r * np.eye(2), r * np.eye(2)) == pytest.approx(
        1 - lens / (2 * np.pi - lens), abs=ACCURACY)


@given(seed=seeds)
def test_an_ellipse_overlaps_itself_wholly_and_a_far_one_not_at_all(seed):
    shape = ellipse(np.random.default_rng(seed))
    assert error([0, 0], shape, shape) == pytest.approx(0, abs=ACCURACY)
    assert error([4.1, 0], shape, shape) == 1                           # half axes reach 2 at most


@given(seed=seeds)
def test_overlap_does_not_change_when_the_plane_is_mapped_affinely(seed):
    rng = np.random.default_rng(seed)
    first, second, plane, shift = ellipse(rng), ellipse(rng), ellipse(rng), rng.uniform(-1, 1, 2)
    mapped = error(plane @ shift, plane @ first, plane @ second)
    assert mapped == pytest.approx(error(shift, first, second), abs=ACCURACY)
    assert error(-shift, second, first) == pytest.approx(error(shift, first, second), abs=2 * ACCURACY)


def test_the_quadrature_errs_by_less_than_it_says(monkeypatch):
    rng = np.random.default_rng(0)
    first, second = (np.array([ellipse(rng) for _ in range(2000)]) for _ in range(2))
    shift = rng.uniform(-1.5, 1.5, (2000, 2))
    coarse = overlap_error(shift, first, second)
    monkeypatch.setattr(benchmarks.overlap, "_NODES", 4096)
    fine = overlap_error(shift, first, second)
    assert 0 < np.abs(coarse - fine).max() < ACCURACY
    points = rng.uniform(-4, 4, (200_000, 2))                           # and the whole against counting points
    for n in range(5):
        a = (np.linalg.solve(first[n], points.T)**2).sum(axis=0) <= 1
        b = (np.linalg.solve(second[n], (points - shift[n]).T)**2).sum(axis=0) <= 1
        assert coarse[n] == pytest.approx(1 - (a & b).sum() / (a | b).sum(), abs=0.02)      # 4 standard errors


@given(seed=seeds)
def test_the_local_affine_map_is_the_derivative_of_the_homography(seed):
    rng = np.random.default_rng(seed)
    H = np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3)) * [[1, 1, 100], [1, 1, 100], [1e-3, 1e-3, 0]]
    at, h = rng.uniform(0, 300, (1, 2)), 1e-3
    columns = [(apply_homography(H, at + e) - apply_homography(H, at - e))[0] / (2 * h)
               for e in ([h, 0], [0, h])]
    assert local_affine(H, at)[0] == pytest.approx(np.stack(columns, axis=1), abs=1e-6)


def scattered(seed, n=60, side=400):
    rng = np.random.default_rng(seed)
    return Keypoints.at(*rng.uniform(0, side - 1, (2, n)), rng.uniform(1, 9, n), rng.uniform(0, 6, n))


@given(seed=seeds)
def test_keypoints_that_obey_the_homography_repeat_wholly_in_any_order(seed):
    here = scattered(seed)
    c, s = 1.5 * np.cos(0.4), 1.5 * np.sin(0.4)
    similar = np.array([[c, -s, 30], [s, c, -20], [0, 0, 1]])
    x, y = apply_homography(similar, here.xy).T
    there = here.replace(x=x, y=y, sigma=1.5 * here.sigma)[np.random.default_rng(seed).permutation(len(here))]
    result = repeatability(here, there, similar, (400, 400), (400, 400))
    assert result.share == 1
    assert result.first < result.second == len(here)          # grown, some leave image 2; all came from image 1
    back = repeatability(there, here, np.linalg.inv(similar), (400, 400), (400, 400))
    assert back == (result.pairs, result.second, result.first)


@given(q=st.floats(1, 30))
def test_a_disc_and_an_ellipse_of_equal_area_and_centre_share_four_arctangents(q):
    # they cross at the polar angle φ = atan(1/√q): four sectors of the disc and four of the ellipse, φ/2 each
    common = 4 * np.arctan(1 / np.sqrt(q))
    expected = 1 - common / (2 * np.pi - common)
    assert error([0, 0], np.eye(2), np.diag([np.sqrt(q), 1 / np.sqrt(q)])) == pytest.approx(expected, abs=ACCURACY)
    assert (expected > LARGEST_ERROR) == (q > np.tan(5 * np.pi / 16)**2)             # 2.24: what overlap.py says


@pytest.mark.parametrize("grown, repeats", [(1.28, 1), (1.30, 0)])
def test_the_limit_is_forty_per_cent(grown, repeats):
    here = Keypoints.at(50, 50, 2.0)                                     # 1 − 1/g² = 0.4 at g = 1.291
    assert repeatability(here, Keypoints.at(50, 50, 2.0 * grown), np.eye(3), (99, 99), (99, 99)).pairs == repeats


@pytest.mark.parametrize("sigma", [1.0, 10.0])
@pytest.mark.parametrize("away, repeats", [(11.5, 1), (12.5, 0)])
def test_a_shift_counts_in_pixels_whatever_the_scale(sigma, away, repeats):
    # two discs of radius 30 overlap by 60 % when 11.9 px apart: lens = 0.75 of a disc
    here, there = Keypoints.at(50, 50, sigma), Keypoints.at(50 + away, 50, sigma)
    assert repeatability(here, there, np.eye(3), (99, 99), (99, 99)).pairs == repeats


def test_a_region_counts_once_however_many_angles_or_rivals_it_has():
    here = Keypoints.at([50, 50, 50], 50, 2.0, [0, 1, 2])
    there = Keypoints.at([50, 51, 52], 50, 2.0)
    result = repeatability(here, there, np.eye(3), (99, 99), (99, 99))
    assert result == (1, 1, 3) and result.share == 1


@given(seed=seeds)
def test_no_pair_that_overlaps_enough_is_passed_over(seed):
    here, there = scattered(seed, 40, 120), scattered(seed + 1, 40, 120)
    near = repeatability(here, there, np.eye(3), (120, 120), (120, 120)).pairs
    i, j = np.divmod(np.arange(1600), 40)                                # all pairs, by the definition
    grow = RADIUS / here.sigma[i].astype(float)
    e = overlap_error(there.xy[j].astype(float) - here.xy[i], np.broadcast_to(RADIUS * np.eye(2), (1600, 2, 2)),
                      (there.sigma[j] * grow)[:, None, None] * np.eye(2))
    used_i, used_j = set(), set()
    for n in np.argsort(e, kind="stable"):
        if e[n] < LARGEST_ERROR and i[n] not in used_i and j[n] not in used_j:
            used_i.add(i[n])
            used_j.add(j[n])
    assert near == len(used_i)


def test_without_regions_repeatability_has_no_value():
    result = repeatability(Keypoints.empty(), Keypoints.at(5, 5, 2.0), np.eye(3), (9, 9), (9, 9))
    assert result.pairs == 0 and np.isnan(result.share)


def test_auc_is_the_area_under_the_cumulative_curve():
    errors = [0.2, 0.9, 2.0, 4.5, None]
    t = (np.arange(100_000) + 0.5) / 100_000
    for tolerance in (1, 3, 5):
        curve = np.mean([t * tolerance >= e for e in errors if e is not None], axis=0) * 4 / 5
        assert auc([{"corner errors": errors}])[f"{tolerance} px"] == pytest.approx(curve.mean(), abs=1e-4)


def test_the_corner_error_of_a_shift_is_its_length():
    shift = np.array([[1, 0, 3], [0, 1, -4], [0, 0, 1.0]])
    assert corner_error(shift, np.eye(3), (50, 70)) == pytest.approx(5)
    assert corner_error(None, np.eye(3), (50, 70)) == np.inf


@pytest.mark.parametrize("away", [0, 4])
def test_measures_of_features_that_obey_the_homography_are_perfect_and_of_shifted_ones_tell_the_shift(away):
    here, turn = scattered(1), np.array([[0, -1, 400], [1, 0, 0], [0, 0, 1.0]])
    descriptors = np.random.default_rng(0).integers(0, 256, (len(here), 128)).astype(np.uint8)
    x, y = apply_homography(turn, here.xy).T
    row = measure(Features(here, descriptors), Features(here.replace(x=x + away, y=y), descriptors), turn,
                  (400, 400), (400, 410))
    assert row["matches"] == len(here) and row["within 5 px"] == row["repeatability"] == 1
    assert row["within 3 px"] == (away == 0) and row["correct"] == len(here) * (away == 0)
    assert row["corner errors"] == pytest.approx([away] * 5, abs=0.01)


def test_nothing_found_gives_a_row_without_values():
    nothing = Features(Keypoints.empty(), np.zeros((0, 128), np.uint8))
    row = measure(nothing, nothing, np.eye(3), (40, 40), (40, 40))
    assert row["matches"] == row["correct"] == 0 and row["repeatability"] is None
    assert row["within 1 px"] is None and row["corner errors"] == [None] * 5


def test_warped_photographs_obey_their_homographies():
    """A grid of points keeps its grey level, looked up where the homography sends it; the blur of shrinking apart."""
    for sequence in warped():
        smooth = cv2.GaussianBlur(sequence.first, (0, 0), 4)
        for number, (image, H) in sequence.others.items():
            there_smooth = cv2.GaussianBlur(image, (0, 0), 4 * np.sqrt(abs(np.linalg.det(H[:2, :2]))))
            x, y = np.meshgrid(np.arange(60, sequence.first.shape[1] - 60, 25),
                               np.arange(60, sequence.first.shape[0] - 60, 25))
            at = np.stack([x.ravel(), y.ravel()], axis=1)
            u, v = np.rint(apply_homography(H, at)).astype(int).T
            height, width = image.shape
            inside = (u > 20) & (v > 20) & (u < width - 20) & (v < height - 20)
            difference = (there_smooth[v[inside], u[inside]].astype(float)
                          - smooth[at[inside, 1], at[inside, 0]])
            assert inside.sum() > 50 and np.median(np.abs(difference)) < 4, (sequence.name, number)


def test_a_folder_is_read_with_any_subset_of_its_images(tmp_path):
    place = tmp_path / "wall"
    place.mkdir()
    for n in (1, 3, 4):
        cv2.imwrite(str(place / f"img{n}.ppm"), np.full((20, 30, 3), 10 * n, np.uint8))
    np.savetxt(place / "H1to3p", np.diag([2, 2, 1]))
    (tmp_path / "notes").mkdir()
    for folder in (tmp_path, place):
        [sequence] = oxford(str(folder))
        assert sequence.name == "wall" and list(sequence.others) == [3]              # image 4 has no homography
        image, homography = sequence.others[3]
        assert (sequence.first == 10).all() and (image == 30).all() and homography[0, 0] == 2


def test_a_folder_without_sequences_is_told_what_is_needed(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        oxford(str(tmp_path))
    assert end.value.code == 2
    assert "H1to2p" in capsys.readouterr().err


def test_a_broken_homography_or_picture_is_named(tmp_path):
    cv2.imwrite(str(tmp_path / "img1.pgm"), np.zeros((8, 8), np.uint8))
    (tmp_path / "img2.pgm").write_bytes(b"no picture")
    np.savetxt(tmp_path / "H1to2p", np.eye(3))
    with pytest.raises(OSError, match="img2.pgm"):
        oxford(str(tmp_path))
    cv2.imwrite(str(tmp_path / "img2.pgm"), np.zeros((8, 8), np.uint8))
    np.savetxt(tmp_path / "H1to2p", np.eye(2))
    with pytest.raises(ValueError, match="H1to2p"):
        oxford(str(tmp_path))
