"""Laws of conversion: nothing is lost on the way there and back, and the other program agrees."""
import itertools
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from pysift import convert
from pysift.convert import LAYOUTS, convert_descriptors, from_colmap, from_cv2, from_skimage, to_cv2, to_skimage
from pysift.keypoints import Keypoints
from pysift.photos import photo
from strategies import seeds

TURN = 2 * np.pi
floats32 = st.floats(2**-20, 2**14, width=32)
places = st.one_of(floats32, floats32.map(lambda x: -x), st.just(0.0))
sigmas = st.floats(0.5, 512, width=32)
thetas = st.one_of(st.floats(0, TURN, exclude_max=True), st.sampled_from([np.pi / 2, np.pi, np.nextafter(TURN, 0)]))
cv2_angles = st.one_of(st.just(-1.0), st.floats(0, 360, exclude_max=True, width=32))
packed_octaves = st.builds(lambda o, layer, step: o & 255 | layer << 8 | step << 16,
                           st.integers(-128, 127), st.integers(0, 255), st.integers(0, 255))
FRAMES = ("laf", "colmap", "vlfeat", "lowe", "skimage")


@st.composite
def keypoint_tables(draw, theta=thetas):
    """Draw keypoints whose octave, layer and offset are those of their σ."""
    rows = draw(st.lists(st.tuples(places, places, sigmas, theta, st.floats(0, 1, width=32)), max_size=8))
    x, y, sigma, angle, response = np.array(rows).reshape(-1, 5).T
    return Keypoints.at(x, y, sigma, angle, response)


def fields(k):
    return k.pt, k.size, k.angle, k.response, k.octave


def turned(a, b):
    return abs((np.subtract(a, b) + np.pi) % TURN - np.pi)


def grey(size=320):
    return np.ascontiguousarray(photo("camera")[:size, :size, 0])


def common(theirs, ours):
    """Pairs of rows of two tables that are the same keypoint: 0.6 px, 10 % of σ, 15° apart at most."""
    j, i = np.nonzero(cdist(ours.xy, theirs.xy) < 0.6)
    same = (abs(np.log(theirs.sigma[i] / ours.sigma[j])) < 0.1) & (turned(theirs.theta[i], ours.theta[j]) < 0.26)
    return i[same], j[same]


def assert_layout_is(layout, theirs, ours):
    """The layout claimed for their descriptors makes them like ours, and every other one does not."""
    theirs, ours = (d / np.linalg.norm(d, axis=1, keepdims=True) for d in (theirs, ours))
    alike = {name: (convert_descriptors(theirs, name, "opencv") * ours).sum(1).mean() for name in LAYOUTS}
    assert alike.pop(layout) > 0.94 > 0.8 > max(alike.values())


@given(st.lists(st.builds(cv2.KeyPoint, floats32, floats32, floats32, cv2_angles, places, packed_octaves), max_size=9))
def test_a_cv2_keypoint_comes_back_to_the_bit(keypoints):
    assert [fields(k) for k in to_cv2(from_cv2(keypoints))] == [fields(k) for k in keypoints]


@given(keypoint_tables(theta=st.one_of(thetas, st.just(np.nan))))
def test_our_keypoints_come_back_from_cv2_but_for_a_float32_angle_and_a_byte_of_offset(table):
    back = from_cv2(to_cv2(table))
    for name in ("x", "y", "sigma", "response", "octave", "layer"):
        np.testing.assert_array_equal(getattr(back, name), getattr(table, name))
    assert np.isnan(back.theta).tolist() == np.isnan(table.theta).tolist()
    assert np.nanmax(turned(back.theta, table.theta), initial=0) <= np.deg2rad(2.0**-16)     # half an ulp at 360
    assert np.abs(back.offset - table.offset).max(initial=0) <= 0.5 / 255 + 1e-7
    assert all(0 <= k.angle < 360 or k.angle == -1 for k in to_cv2(table))


@given(arrays(np.float32, 6, elements=st.floats(-0.5, 0.5, width=32)), st.integers(-2, 9), st.integers(1, 32))
def test_the_octave_is_packed_as_cv2_packs_it(offset, octave, layer):
    """cvRound rounds halves to even, as Python does; and it reckons in double."""
    table = Keypoints.at(np.zeros(6), np.zeros(6), 2.0).replace(
        octave=np.full(6, octave), layer=np.full(6, layer), offset=offset)
    assert [k.octave for k in to_cv2(table)] == [
        (octave & 255) + (layer << 8) + (round((float(xi) + 0.5) * 255) << 16) for xi in offset]


@pytest.mark.parametrize("layers, sigma", [(3, 1.6), (5, 1.2)])
def test_octave_layer_and_offset_of_a_cv2_keypoint_give_its_size(layers, sigma):
    found = cv2.SIFT_create(nOctaveLayers=layers, sigma=sigma).detect(grey(), None)
    table = from_cv2(found)
    assert len(table) > 100 and table.octave.min() == -1
    expected = sigma * 2.0 ** (table.octave + (table.layer + table.offset) / layers)
    np.testing.assert_allclose(table.sigma, expected, rtol=np.log(2) / layers / 510 * 1.01)
    assert [fields(k) for k in to_cv2(table)] == [fields(k) for k in found]


def test_cv2_describes_converted_keypoints_as_its_own():
    sift = cv2.SIFT_create()
    found, descriptors = sift.detectAndCompute(grey(), None)
    np.testing.assert_array_equal(sift.compute(grey(), to_cv2(from_cv2(found)))[1], descriptors)


def test_a_cv2_keypoint_made_by_hand_keeps_its_place_and_layer_zero_and_has_no_angle():
    table = from_cv2([cv2.KeyPoint(3.25, 4.25, 10)])
    assert table.xy.tolist() == [[3.25, 4.25]] and np.isnan(table.theta[0])            # no bias is taken out
    assert (table.sigma[0], table.octave[0], table.layer[0], table.offset[0]) == (5, 0, 0, -0.5)


@pytest.mark.parametrize("angle, degrees", [(360, 0), (720.5, 0.5), (-90, 270), (-1e-30, 0)])
def test_a_cv2_angle_out_of_range_is_wrapped(angle, degrees):
    theta = from_cv2([cv2.KeyPoint(0, 0, 1, angle)]).theta[0]
    assert 0 <= theta < TURN and theta == pytest.approx(np.deg2rad(degrees), abs=1e-12)


def test_without_opencv_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"siftgrad\[cv2\]"):
        to_cv2(Keypoints.empty())


@pytest.mark.parametrize("name", FRAMES)
@given(table=keypoint_tables())
def test_position_scale_and_angle_come_back(name, table):
    """To the bit; only where an angle goes through sines or a right angle, to 2 ulp of 2π."""
    there, back_again = getattr(convert, f"to_{name}"), getattr(convert, f"from_{name}")
    back = back_again(there(table))
    for column in ("x", "y", "sigma", "octave", "layer"):
        np.testing.assert_array_equal(getattr(back, column), getattr(table, column))
    assert turned(back.theta, table.theta).max(initial=0) <= (2 * np.spacing(TURN) if name in ("laf", "skimage") else 0)
    assert ((back.theta >= 0) & (back.theta < TURN)).all()
    for angle in (convert.to_lowe(table)[:, 3], to_skimage(table).orientations):
        assert ((angle > -np.pi) & (angle <= np.pi)).all()
    np.testing.assert_allclose(back.offset, table.offset, atol=1e-5)


@pytest.mark.parametrize("name", FRAMES)
def test_no_keypoints_convert_to_none_and_no_angle_to_zero(name):
    there, back_again = getattr(convert, f"to_{name}"), getattr(convert, f"from_{name}")
    assert len(back_again(there(Keypoints.empty()))) == 0
    assert back_again(there(Keypoints.at([1], [2], 3.0))).theta.tolist() == [0]


def test_each_system_holds_the_same_keypoint_its_own_way():
    """x 8, y 5, σ 2, a right angle from +x to +y: downwards."""
    one = Keypoints.at([8], [5], sigma=[2], theta=[np.pi / 2])
    (k,), sk = to_cv2(one), to_skimage(one)
    assert (k.pt, k.size, k.angle) == ((8, 5), 4, 90)
    np.testing.assert_allclose(convert.to_laf(one), [[[0, -12, 8], [12, 0, 5]]], atol=1e-14)    # its x axis down
    assert convert.to_colmap(one).tolist() == [[8.5, 5.5, 2, np.pi / 2]]
    assert convert.to_vlfeat(one).tolist() == [[8, 5, 2, np.pi / 2]]
    assert convert.to_lowe(one).tolist() == [[5, 8, 2, -np.pi / 2]]
    assert (sk.positions.tolist(), sk.keypoints.tolist(), sk.sigmas.tolist()) == ([[5, 8]], [[5, 8]], [2])
    assert (sk.orientations.tolist(), sk.octaves.tolist(), sk.scales.tolist()) == ([0], [1], [1])
    assert from_skimage(sk._replace(upsampling=1)).octave.tolist() == [1]              # its octave 1 is then ours


@given(keypoint_tables())
def test_a_colmap_matrix_that_turns_and_scales_is_that_scale_and_angle(table):
    lafs = convert.to_laf(table)
    back = from_colmap(np.column_stack([lafs[:, :, 2] + 0.5, lafs[:, :, :2].reshape(-1, 4) / 6]))
    np.testing.assert_allclose(back.sigma, table.sigma, rtol=1e-6)
    assert turned(back.theta, table.theta).max(initial=0) < 1e-14


@given(seeds)
def test_a_layout_and_its_way_back_cancel_by_any_detour(seed):
    d = np.random.default_rng(seed).integers(0, 256, (3, 128), dtype=np.uint8)
    for a, b, c in itertools.product(LAYOUTS, repeat=3):
        there = convert_descriptors(d, a, b)
        assert there.dtype == np.uint8
        np.testing.assert_array_equal(convert_descriptors(there, b, a), d)
        np.testing.assert_array_equal(convert_descriptors(there, b, c), convert_descriptors(d, a, c))


@pytest.mark.parametrize("layout, index", [
    ("vlfeat", lambda y, x, o: (y * 4 + x) * 8 + [0, 7, 6, 5, 4, 3, 2, 1][o]),
    ("kornia", lambda y, x, o: (-o % 8) * 16 + y * 4 + x),
    ("skimage", lambda y, x, o: (x * 4 + 3 - y) * 8 + o),
])
def test_each_layout_holds_cell_y_x_and_angle_o_where_its_source_says(layout, index):
    theirs = np.random.default_rng(0).permutation(128)
    ours = convert_descriptors(theirs[None], layout, "opencv").reshape(4, 4, 8)
    assert all(ours[y, x, o] == theirs[index(y, x, o)] for y, x, o in np.ndindex(4, 4, 8))


def test_scikit_image_finds_the_keypoints_of_cv2_in_the_frame_and_layout_stated_for_it():
    feature = pytest.importorskip("skimage.feature", reason="pip install scikit-image")
    sift = feature.SIFT()
    with pytest.raises(ValueError, match="call its detect"):
        from_skimage(sift)
    sift.detect_and_extract(grey())
    theirs = from_skimage(sift)
    stated = 1.6 * 2.0 ** (theirs.octave + (theirs.layer + theirs.offset) / 3)
    np.testing.assert_allclose(theirs.sigma, stated, rtol=2 ** (0.1 / 3) - 1)          # offsets of ±0.6 are cut
    assert np.mean(abs(theirs.sigma / stated - 1) < 1e-5) > 0.9
    keypoints, descriptors = cv2.SIFT_create().detectAndCompute(grey(), None)          # the same +0.25 px
    ours = from_cv2(keypoints)
    i, j = common(theirs, ours)
    assert len(i) > 100
    assert abs(np.median(theirs.xy[i] - ours.xy[j], axis=0)).max() < 0.02
    assert np.mean(theirs.octave[i] == ours.octave[j]) > 0.95
    bias = np.rad2deg(np.median((theirs.theta[i] - ours.theta[j] + np.pi) % TURN - np.pi))
    assert abs(bias + 5) < 1                                                           # its angles are half a bin off
    assert_layout_is("skimage", sift.descriptors[i], descriptors[j])


def test_colmap_finds_the_keypoints_of_cv2_in_the_frame_and_layout_stated_for_it():
    pycolmap = pytest.importorskip("pycolmap", reason="pip install pycolmap")
    options = pycolmap.FeatureExtractionOptions()
    found, described = pycolmap.FeatureExtractor.create(options, pycolmap.Device.cpu).extract_from_uint8_array(grey())
    theirs = from_colmap([(k.x, k.y, k.a11, k.a12, k.a21, k.a22) for k in found])
    keypoints, descriptors = cv2.SIFT_create(0, 3, 0.02, 10, 1.6, True).detectAndCompute(grey(), None)     # no bias
    ours = from_cv2(keypoints)
    i, j = common(theirs, ours)
    assert len(i) > 100
    assert abs(np.median(theirs.xy[i] - ours.xy[j], axis=0)).max() < 0.02
    assert np.rad2deg(abs(np.median((theirs.theta[i] - ours.theta[j] + np.pi) % TURN - np.pi))) < 1
    assert_layout_is("opencv", described.data[i], np.sqrt(descriptors[j]))                  # COLMAP writes RootSIFT


def test_kornia_builds_the_same_frames_and_reorders_descriptors_alike():
    feature = pytest.importorskip("kornia", minversion="0.9", reason='pip install "kornia>=0.9"').feature
    torch = pytest.importorskip("torch")
    x, y, sigma, theta = np.random.default_rng(0).uniform([0, 0, 1, 0], [99, 99, 9, TURN], (50, 4)).T
    table = Keypoints.at(x, y, sigma, theta)
    theirs = feature.laf_from_center_scale_ori(
        torch.from_numpy(table.xy[None]).double(), 6 * torch.from_numpy(table.sigma).double().reshape(1, -1, 1, 1),
        torch.from_numpy(-np.rad2deg(table.theta)).reshape(1, -1, 1))
    np.testing.assert_allclose(convert.to_laf(table), theirs[0].numpy(), atol=1e-10)
    d = torch.arange(128.0)[None]
    np.testing.assert_array_equal(convert_descriptors(d.numpy(), "kornia", "opencv"),
                                  feature.convert_sift_descriptor_layout(d, "kornia", "opencv").numpy())


@pytest.mark.parametrize("function, argument, words", [
    (convert.from_vlfeat, np.zeros((3, 6)), r"shape \(3, 6\): give \(N, 4\)"),
    (convert.from_lowe, np.zeros(4), r"shape \(4,\)"),
    (from_colmap, np.zeros((3, 2)), r"give \(N, 4\) or \(N, 6\)"),
    (convert.from_vlfeat, [[1, 2, 0, 0]], r"sigma\[0\]=0.0"),
    (convert.from_laf, np.zeros((1, 5, 2, 3)), r"lafs\[0\]\.numpy"),
    (convert.from_laf, [np.eye(2, 3), np.zeros((2, 3))], r"lafs\[1\] is padding"),
    (convert.from_laf, [[[0, 1, 0], [1, 0, 0]]], r"lafs\[0\] is padding or mirrored"),
    (lambda d: convert_descriptors(d, "opencv", "vlfeat"), np.zeros((3, 64)), r"shape \(3, 64\)"),
    (lambda d: convert_descriptors(d, "opencv", "silx"), np.zeros((3, 128)), "'silx' is unknown"),
])
def test_what_cannot_be_converted_is_named(function, argument, words):
    with pytest.raises(ValueError, match=words):
        function(argument)
