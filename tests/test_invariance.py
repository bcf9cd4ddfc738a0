"""The ground truth of benchmarks/invariance.py: pictures move as their homographies say, and scores count right."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pysift
from benchmarks.distortions import DISTORTIONS, SEED, carried, jacobian, moved, outline, rotated, tilted, warp, zoomed
from benchmarks.invariance import PROGRAMS, repeated, score
from pysift.keypoints import Features, Keypoints
from pysift.matching import apply_homography
from strategies import blob, photo, plane, texture

MOVES = {distortion.name: distortion for distortion in DISTORTIONS[:3]}
RESTS = {distortion.name: distortion for distortion in DISTORTIONS[3:]}
IDENTITY = [("rotation", 0), ("rotation", 360), ("scale", 1), ("viewpoint", 0), ("blur", 0), ("noise", 0),
            ("exposure", 0), ("gamma", 1)]
moves = st.one_of(*(st.tuples(st.just(name), st.floats(min(d.levels), max(d.levels))) for name, d in MOVES.items()))
SHAPE = (61, 83)


def by_name(name):
    return {**MOVES, **RESTS}[name]


@pytest.mark.parametrize("name, level", IDENTITY)
@pytest.mark.parametrize("program", ["pysift", "cv2 default"])
def test_no_distortion_repeats_everything(name, level, program):
    """Law: at its neutral level a distortion changes no pixel, and all is found again where it was."""
    image = photo("coins", 150, 180)
    changed, homography = by_name(name).apply(image, level)
    np.testing.assert_array_equal(changed, image)
    np.testing.assert_allclose(homography, np.eye(3), atol=1e-9)
    features = PROGRAMS[program](image)
    s = score(features, PROGRAMS[program](changed), homography, (image.shape, changed.shape))
    assert s.places == s.repeated > 20 and s.keypoints >= s.places and s.matched == s.keypoints
    assert len(s.angles) == len(features.keypoints) and s.angles.max() < 1e-4


@given(moves)
def test_corners_come_to_lie_on_the_rim_of_the_new_frame(move):
    """Law: the outline touches the new frame's left and top, reaches right and bottom to a pixel, and the shape fits.

    A rotation keeps the sides' lengths, a zoom multiplies both by its factor, a tilt keeps the vertical middle.
    """
    name, level = move
    changed, homography = MOVES[name].apply(np.zeros(SHAPE, np.uint8), level)
    corners = apply_homography(homography, outline(SHAPE))
    np.testing.assert_allclose(corners.min(axis=0), -0.5, atol=1e-6)
    slack = np.array(changed.shape[::-1]) - 0.5 - corners.max(axis=0)
    assert (slack > -1e-5).all() and (slack < 1).all()
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    height, width = SHAPE
    if name == "viewpoint":
        middle = apply_homography(homography, np.array([[(width - 1) / 2, -0.5], [(width - 1) / 2, height - 0.5]]))
        assert np.linalg.norm(middle[1] - middle[0]) == pytest.approx(height)
        assert sides[1] <= height + 1e-9 <= sides[3] + 1e-6                  # the right side is farther away
    else:
        factor = level if name == "scale" else 1
        np.testing.assert_allclose(sides, factor * np.array([width, height, width, height]))


def test_a_quarter_turn_is_that_of_numpy():
    """Law: 90° from +x to +y is clockwise on the screen, and moves pixels without mixing them."""
    image = np.random.default_rng(1).integers(0, 256, SHAPE, dtype=np.uint8)
    for quarters in range(4):
        np.testing.assert_array_equal(rotated(image, 90 * quarters)[0], np.rot90(image, -quarters))


@given(moves, st.integers(0, 1000))
def test_there_and_back_is_nowhere(move, seed):
    """Law: keypoints carried by H and then by H⁻¹ are the keypoints, σ and θ too."""
    rng = np.random.default_rng(seed)
    k = Keypoints.at(rng.uniform(0, 82, 9), rng.uniform(0, 60, 9), rng.uniform(1, 20, 9), rng.uniform(0, 6.28, 9))
    _, homography = MOVES[move[0]].apply(np.zeros(SHAPE, np.uint8), move[1])
    there = carried(k, homography)
    back = carried(there, np.linalg.inv(homography))
    np.testing.assert_allclose(back.xy, k.xy, atol=1e-3)
    np.testing.assert_allclose(back.sigma, k.sigma, rtol=1e-4)
    np.testing.assert_allclose(np.cos(back.theta - k.theta), 1, atol=1e-6)


@given(moves)
def test_the_jacobian_is_the_derivative(move):
    _, homography = MOVES[move[0]].apply(np.zeros(SHAPE, np.uint8), move[1])
    xy, h = np.array([[3.0, 50.0], [70.0, 9.0]]), 1e-5
    steps = [(apply_homography(homography, xy + d) - apply_homography(homography, xy - d)) / (2 * h)
             for d in ([h, 0], [0, h])]
    np.testing.assert_allclose(jacobian(homography, xy), np.stack(steps, axis=-1), atol=1e-6)


@pytest.mark.parametrize("name, level", [("rotation", 30), ("scale", 0.4), ("scale", 1.7), ("viewpoint", 40)])
def test_a_blob_moves_as_its_homography_says(name, level):
    """Law: a spot's centre of mass is where `carried` says, to 0.05 px, and its width what it says, to ½ %.

    A tilt that grows across the spot draws the centre of mass aside: 0.2 px there.
    """
    x, y, sigma = 52.0, 45.0, 4.0
    image = np.rint(blob((97, 121), x, y, sigma, height=230.0, ground=0.0)).astype(np.uint8)
    changed, homography = by_name(name).apply(image, level)
    expected = carried(Keypoints.at([x], [y], sigma, 0.0), homography)
    dx, dy = plane(changed.shape, *expected.xy[0])
    mass = changed * (np.hypot(dx, dy) < 5 * sigma * max(1, level if name == "scale" else 1))      # no mirror images
    drift = np.hypot((mass * dx).sum(), (mass * dy).sum()) / mass.sum()
    assert drift < (0.2 if name == "viewpoint" else 0.05)
    assert np.sqrt(mass.sum() / (230 * 2 * np.pi)) == pytest.approx(expected.sigma[0], rel=0.005)


@pytest.mark.parametrize("name, level", [("rotation", 75), ("scale", 0.5), ("viewpoint", 50), ("viewpoint", 70)])
@pytest.mark.parametrize("theta", [0.3, 1.2, 2.5, 4.0])
def test_a_gradient_turns_as_its_homography_says(name, level, theta):
    """Law: an edge's gradient, measured in the changed picture, points where `carried` sends θ, to 1°."""
    dx, dy = plane((101, 141), 70, 50)
    image = np.rint(127 + 120 * np.tanh((np.cos(theta) * dx + np.sin(theta) * dy) / 25)).astype(np.uint8)
    changed, homography = by_name(name).apply(image, level)
    [expected] = carried(Keypoints.at([70], [50], 2.0, theta), homography)
    slope_y, slope_x = np.gradient(changed.astype(float))
    col, row = np.rint(expected.xy[0]).astype(int)
    near = np.s_[row - 2:row + 3, col - 2:col + 3]                      # of which each pixel is rounded to a level
    measured = np.arctan2(slope_y[near].mean(), slope_x[near].mean())
    assert np.cos(measured - expected.theta[0]) > np.cos(np.deg2rad(1))


def test_shrinking_does_not_alias():
    """Law: stripes too fine for the smaller picture become grey, not coarser stripes.

    The mean over a pixel leaves at most 0.217 of a wave that is finer than it, the first side lobe of sin(x)/x.
    """
    stripes = np.tile(np.uint8([0, 255]), (90, 60))
    for changed, _ in (zoomed(stripes, 0.4), zoomed(stripes, 0.45), tilted(stripes, 70)):
        assert changed[5:-5, 5:-5].std() < 0.217 * 127.5 / np.sqrt(2)


@pytest.mark.parametrize("name", RESTS)
def test_what_does_not_move_keeps_the_frame(name):
    """Law: H is the identity and the size the same at every level; the strongest level does change the picture."""
    image = photo("camera", 90, 131)
    for level in RESTS[name].levels:
        changed, homography = RESTS[name].apply(image, level)
        assert changed.shape == image.shape and changed.dtype == np.uint8
        np.testing.assert_array_equal(homography, np.eye(3))
    assert (changed != image).mean() > 0.5


def test_noise_has_the_size_asked_for_and_comes_again():
    grey = np.full((200, 200), 128, np.uint8)
    first, second = (RESTS["noise"].apply(grey, 10)[0] for _ in range(2))
    assert SEED == 0
    np.testing.assert_array_equal(first, second)
    assert first.std() == pytest.approx(10, rel=0.02) and first.mean() == pytest.approx(128, abs=0.2)


def test_a_stop_doubles_and_gamma_bends():
    ramp = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(RESTS["exposure"].apply(ramp, 1)[0], np.minimum(2 * np.arange(256), 255)[None])
    bent = RESTS["gamma"].apply(ramp, 2)[0][0].astype(float)
    np.testing.assert_allclose(bent, np.arange(256) ** 2 / 255, atol=0.51)


def test_a_pair_is_repeated_only_within_both_tolerances():
    """Law: 1.5 px and a factor √2, not more; each place has one partner at most."""
    a = np.array([[10, 10, 2.0], [50, 50, 4.0], [90, 90, 8.0], [130, 10, 2.0], [170, 10, 2.0]])
    b = np.array([[11.4, 10, 2.0], [51.6, 50, 4.0], [90, 90, 8 * 1.42], [130, 10, 2 * 1.40], [170, 11, 2.0],
                  [170.2, 10, 2.0]])
    assert repeated(a, b).tolist() == [[0, 0], [3, 3], [4, 5]]
    assert repeated(b, a).tolist() == [[0, 0], [3, 3], [5, 4]]
    assert repeated(a, b[:0]).shape == (0, 2)


def test_what_one_picture_does_not_show_is_not_counted():
    """Law: of a picture moved half out of its frame, what left and what came in does not count on either side."""
    x = np.tile(np.arange(5, 100, 10.0), 2)
    k = Keypoints.at(x, np.repeat([10.0, 30.0], 10), 2.0, 0.0)
    d = np.eye(len(x), 128)
    leftwards = np.array([[1, 0, -50], [0, 1, 0], [0, 0, 1.0]])
    one_row = k.y == 10
    for here, there in ((one_row, k.y > 0), (k.y > 0, one_row)):
        s = score(Features(k[here], d[here]), Features(k[there], np.roll(d, -5, axis=0)[there]), leftwards,
                  ((40, 100), (40, 100)))
        assert s[:4] == (5, 5, 5, 5)


def test_an_angle_is_held_against_those_of_the_same_place_only():
    """Law: of two orientations of a place the nearer counts, across 0; that of another place does not."""
    here = Keypoints.at([10, 10, 30, 60], 20.0, 2.0, np.deg2rad([10, 100, 200, 45]))
    there = Keypoints.at([10, 10, 30, 90], 20.0, 2.0, np.deg2rad([350, 103, 10, 45]))
    d = np.ones((4, 128))
    s = score(Features(here, d), Features(there, d), np.eye(3), ((40, 100), (40, 100)))
    assert (s.places, s.repeated) == (3, 2)
    np.testing.assert_allclose(np.sort(s.angles), [3, 20, 170], atol=1e-4)


def test_a_match_is_mutual_clear_and_in_place():
    """Law: of two that claim the same partner the nearer has it; one with a rival, or 4 px off, does not count."""
    here = Keypoints.at([10, 12, 40, 70], 20.0, 2.0, 0.0)
    there = Keypoints.at([11, 40, 74, 90], 20.0, 2.0, 0.0)
    d0 = np.eye(4, 128)
    d1 = np.stack([d0[0] + 0.5 * d0[1], d0[2] + 0.1 * d0[0], d0[3], d0[2] - 0.1 * d0[0]])
    s = score(Features(here, d0), Features(there, d1), np.eye(3), ((40, 100), (40, 100)))
    assert (s.keypoints, s.matched) == (4, 1)


def test_scores_are_measured_in_the_coarser_picture():
    """Law: 2 px off in a picture magnified twice is 1 px, which repeats; 2 px off in one shrunk by half does not."""
    k = Keypoints.at([50.0], [50.0], 4.0, 1.0)
    d = np.ones((1, 128))
    for factor, repeats in ((2.0, 1), (0.5, 0)):
        _, homography = zoomed(np.zeros((100, 100), np.uint8), factor)
        found = carried(k, homography)
        found = found.replace(x=found.x + 2)
        side = int(100 * factor)
        s = score(Features(k, d), Features(found, d), homography, ((100, 100), (side, side)))
        assert (s.repeated, s.matched) == (repeats, 1)


def test_pysift_and_cv2_score_the_same():
    """Law: equal features score equally, distorted or not."""
    image = photo("coins", 150, 180)
    for name, level in (("rotation", 15), ("viewpoint", 40), ("JPEG", 30)):
        changed, homography = by_name(name).apply(image, level)
        for ours, theirs in (("pysift", "cv2 precise"), ("pysift as cv2", "cv2 default")):
            a, b = (score(PROGRAMS[p](image), PROGRAMS[p](changed), homography, (image.shape, changed.shape))
                    for p in (ours, theirs))
            assert a[:4] == b[:4] and a.repeated > 10
            np.testing.assert_array_equal(a.angles, b.angles)


def test_a_blank_picture_scores_nothing():
    blank = pysift.sift(np.zeros((40, 40), np.uint8))
    some = pysift.sift(np.rint(texture(3, (40, 40))).astype(np.uint8))
    for here, there in ((blank, blank), (blank, some), (some, blank)):
        s = score(here, there, np.eye(3), ((40, 40), (40, 40)))
        assert s[:4] == (0, 0, 0, 0) and len(s.angles) == 0


def test_a_homography_about_the_middle_keeps_the_middle():
    image = np.zeros(SHAPE, np.uint8)
    changed, homography = moved(image, np.diag([1.5, 1.5, 1.0]))
    middle = (np.array([SHAPE[::-1]]) - 1) / 2
    np.testing.assert_allclose(apply_homography(homography, middle)[0] + 0.5, 1.5 * (middle[0] + 0.5))
    assert warp(image, homography, changed.shape).shape == changed.shape
