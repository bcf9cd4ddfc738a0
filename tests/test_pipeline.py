"""Laws of the whole: what holds of a call, whatever the steps do (docs/laws.md, W)."""
import functools
import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
from pysift.keypoints import Keypoints
from pysift.params import SIFTParams
from pysift.pipeline import describe, detect, sift
from pysift.threads import get_num_threads, set_num_threads
from strategies import noise, params, photo, seeds, shapes, texture

PRECISE, OPENCV = SIFTParams(), SIFTParams.opencv()
few = settings(max_examples=8)  # for laws that run the whole several times over
modes = pytest.mark.parametrize("mode", [PRECISE, OPENCV], ids=["precise", "opencv"])


@functools.cache
def features(name):
    """Return the middle of a photograph and its features."""
    image = photo(name, 128, 160)
    return image, sift(image)


def wrapped(angle):
    """Bring differences of angles into −π … π."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def assert_same(f, g):
    """Features are equal to the bit."""
    assert f.keypoints == g.keypoints
    np.testing.assert_array_equal(f.descriptors, g.descriptors)


def row_set(keypoints):
    """Return keypoints as a set of rows."""
    k = keypoints
    return set(zip(k.x.tolist(), k.y.tolist(), k.sigma.tolist(), k.theta.tolist(), strict=True))


@modes
@pytest.mark.parametrize("name", ["camera", "coins", "grass"])
def test_features_equal_opencv(name, mode):
    """Law W.1: keypoints are cv2's: x, y, σ, response to the bit, θ to 1e-4°, descriptors to a quantum."""
    image = photo(name, 90, 101)
    k, d = sift(image, mode)
    peer = cv2.SIFT_create(enable_precise_upscale=mode.precise_upscale)
    theirs, quanta = peer.detectAndCompute(image, None)
    columns = np.float32([(*p.pt, p.size / 2, p.response) for p in theirs])
    np.testing.assert_array_equal(np.stack([k.x, k.y, k.sigma, k.response], axis=1), columns)
    assert (np.abs(wrapped(k.theta - np.radians([p.angle for p in theirs]))) < np.radians(1e-4)).all()
    assert len(k) > 20 and (np.abs(d - quanta) <= 1).all()


@modes
@pytest.mark.parametrize("name", ["camera", "coins", "grass"])
def test_features_equal_the_oracle(name, mode):
    """Law W.2: they are the slow formulas' too, but for the one in a hundred that a rounding decides."""
    image = photo(name, 90, 101)
    k, d = sift(image, mode)
    points, quanta = oracle.sift(image, mode)
    x, y, sigma, angle, response = np.array([p[:5] for p in points]).T
    turn = wrapped(k.theta[:, None] - np.radians(angle))
    # cv2's arc tangent may send a vote to the next angle bin, which moves a peak by some 1°
    same = (np.hypot(k.x[:, None] - x, k.y[:, None] - y) < 1e-3) & (np.abs(turn) < np.radians(2)) \
        & (np.abs(k.sigma[:, None] - sigma) < 1e-3) & (np.abs(k.response[:, None] - response) < 1e-5)
    assert same.any(axis=1).mean() >= 0.99 and same.any(axis=0).mean() >= 0.99
    i, j = np.nonzero(same & (np.abs(turn) < np.radians(0.05)))
    assert len(i) >= 0.95 * len(k)
    assert (np.abs(d[i].astype(int) - quanta[j]) <= 1).all()


@few
@given(seeds, st.sampled_from([0.25, 2.0, 1024.0]), st.sampled_from([0.0, 64.0]))
def test_intensity_range_says_what_black_and_white_are(seed, gain, offset):
    """Law W.3: a·u + b with intensity_range=(b, a·255 + b) gives the features of u."""
    image = np.rint(texture(seed, (60, 70)))
    f = sift(image.astype(np.uint8))
    assert_same(sift(gain * image + offset, intensity_range=(offset, gain * 255 + offset)), f)


@few
@given(seeds, st.floats(0, 0.1), st.floats(0, 0.1), st.floats(2, 40), st.floats(2, 40))
def test_stricter_thresholds_keep_a_subset(seed, c0, c1, r0, r1):
    """Law W.4: a higher contrast threshold, or a lower edge threshold, keeps a subset of the keypoints."""
    image = texture(seed, (60, 70))
    (low, high), (narrow, wide) = sorted((c0, c1)), sorted((r0, r1))
    loose = SIFTParams(contrast_threshold=low, edge_threshold=wide)
    strict = SIFTParams(contrast_threshold=high, edge_threshold=narrow)
    few_points, more = (detect(image, p, intensity_range=(0, 255)) for p in (strict, loose))
    assert row_set(few_points) <= row_set(more)


@given(seeds, seeds)
def test_wider_mask_keeps_more(first, second):
    """Law W.5: a keypoint stays if its nearest pixel is in the mask, so a wider mask keeps it too."""
    image, (k, d) = features("camera")
    small = texture(first, image.shape, 4.0) > 127
    wide = small | (texture(second, image.shape, 4.0) > 127)
    few_points, more = (sift(image, mask=m) for m in (small, wide.astype(np.uint8) * 9))
    kept = small[np.floor(k.y + 0.5).astype(int), np.floor(k.x + 0.5).astype(int)]
    assert_same(few_points, type(few_points)(k[kept], d[kept]))
    assert row_set(few_points.keypoints) <= row_set(more.keypoints) <= row_set(k)
    assert_same(sift(image, mask=np.ones(image.shape, bool)), features("camera")[1])


@given(st.integers(1, 400), st.integers(1, 400))
def test_budgets_are_nested(first, second):
    """Law W.6: nfeatures = N keeps the N of largest response and their ties, so a larger N does too."""
    image, (k, d) = features("camera")
    low, high = sorted((first, second))
    small, large = (sift(image, SIFTParams(nfeatures=n)) for n in (low, high))
    assert row_set(small.keypoints) <= row_set(large.keypoints)
    least = np.sort(k.response)[-min(low, len(k))]
    assert_same(small, type(small)(k[k.response >= least], d[k.response >= least]))
    assert min(low, len(k)) <= len(small.keypoints)


@given(st.lists(st.integers(0, 60), max_size=12))
def test_keypoints_are_described_alone(rows):
    """Law W.7: the descriptor of a keypoint depends on no other: any list of them gives just those rows."""
    image, (k, d) = features("camera")
    np.testing.assert_array_equal(describe(image, k[np.array(rows, int)]), d[rows])


@given(seeds)
def test_detect_and_describe_make_sift(seed):
    """Law W.8: sift is detect, then describe; a permutation of the keypoints permutes the descriptors."""
    image, (k, d) = features("coins")
    assert detect(image) == k
    order = np.random.default_rng(seed).permutation(len(k))
    np.testing.assert_array_equal(describe(image, k[order]), d[order])


@pytest.mark.parametrize("mode", [PRECISE, OPENCV.replace(descriptor="root")], ids=["precise", "opencv"])
def test_threads_are_no_matter(mode):
    """Law W.9: any number of threads gives the same features, to the bit."""
    image, before = photo("grass", 201, 237), get_num_threads()
    found = []
    try:
        for n in (1, 2, 3, 8):
            set_num_threads(n)
            found.append(sift(image, mode))
    finally:
        set_num_threads(before)
    for f in found[1:]:
        assert_same(f, found[0])


@few
@given(seeds, params(), params())
def test_calls_leave_no_trace(seed, p, q):
    """Law W.10: no call changes the next one, whatever picture and parameters came between."""
    image = texture(seed, (40, 50))
    once = sift(image, p, intensity_range=(0, 255))
    sift(texture(seed + 1, (33, 70)), q, intensity_range=(0, 255))
    assert_same(sift(image, p, intensity_range=(0, 255)), once)


@pytest.mark.parametrize("layout", ["read-only", "strided", "mirrored", "fortran", "channels"])
def test_memory_layout_is_no_matter(layout):
    """Law W.11: read-only, strided, mirrored, Fortran or (H, W, 1): the same, and the image is left alone."""
    image, expected = features("camera")
    image = image.copy()
    if layout == "read-only":
        image.setflags(write=False)
    elif layout == "strided":
        image = np.repeat(np.repeat(image, 3, axis=0), 2, axis=1)[::3, ::2]
    elif layout == "mirrored":
        image = np.ascontiguousarray(image[::-1, ::-1])[::-1, ::-1]
    elif layout == "fortran":
        image = np.asfortranarray(image)
    else:
        image = image[..., None]
    before = image.copy()
    assert_same(sift(image), expected)
    np.testing.assert_array_equal(image, before)


def test_features_survive_pickling():
    """Law W.12: features come back from a pickle equal to the bit."""
    _, f = features("camera")
    assert_same(pickle.loads(pickle.dumps(f)), f)


@pytest.mark.parametrize("descriptor", ["uint8", "float32", "root"])
@given(shapes(1, 32), st.sampled_from([0, 77, 255]))
def test_flat_or_tiny_images_give_empty_tables(descriptor, shape, grey):
    """Law W.13: constant images of 1 × 1 px up give (0,) and (0, 128), in the type that was asked for."""
    k, d = sift(np.full(shape, grey, np.uint8), SIFTParams(descriptor=descriptor))
    assert len(k) == 0 and d.shape == (0, 128)
    assert d.dtype == (np.uint8 if descriptor == "uint8" else np.float32)
    assert {c.shape for c in (k.x, k.y, k.sigma, k.theta, k.response, k.octave, k.layer, k.offset)} == {(0,)}


@given(seeds, shapes(1, 32))
def test_images_of_any_size_pass(seed, shape):
    """Law W.14: noise of any size, down to one pixel, gives keypoints inside the picture, or none."""
    k, d = sift(np.rint(noise(seed, shape)).astype(np.uint8))
    assert d.shape == (len(k), 128)
    assert ((k.x >= 0) & (k.x <= shape[1] - 1) & (k.y >= 0) & (k.y <= shape[0] - 1)).all()
    assert ((k.theta >= 0) & (k.theta < 2 * np.pi)).all() and (k.response > 0).all()


@pytest.mark.parametrize("name", ["camera", "coins", "grass"])
def test_columns_agree_with_each_other(name):
    """Law W.15: rows are sorted and distinct; σ = σ₀·2^(octave + (layer + offset)/S), the offset is below ½."""
    _, (k, _) = features(name)
    assert (np.diff(k.x) >= 0).all() and len(row_set(k)) == len(k)
    depth = k.octave + (k.layer + k.offset.astype(float)) / 3
    np.testing.assert_allclose(k.sigma, 1.6 * 2**depth, rtol=1e-6)
    assert ((k.layer >= 1) & (k.layer <= 3) & (np.abs(k.offset) < 0.5)).all()
    placed = Keypoints.at(k.x, k.y, k.sigma, k.theta, k.response)
    np.testing.assert_allclose(placed.octave + (placed.layer + placed.offset) / 3, depth, atol=1e-5)


def test_descriptor_formats_tell_the_same():
    """Law W.16: bytes are 512 times the floats, RootSIFT the roots of their shares, keypoints the same."""
    image, (k, d) = features("camera")
    floats, roots = (sift(image, SIFTParams(descriptor=f)) for f in ("float32", "root"))
    assert floats.keypoints == roots.keypoints == k
    assert (np.abs(np.minimum(512 * floats.descriptors.astype(float), 255) - d) <= 0.5 + 1e-3).all()
    np.testing.assert_allclose((roots.descriptors.astype(float) ** 2).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose((floats.descriptors.astype(float) ** 2).sum(axis=1), 1, atol=1e-5)
