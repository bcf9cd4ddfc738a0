"""Laws of the whole: what holds of a picture and its features, whatever the steps do (docs/laws.md, W)."""
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
from pysift.scalespace import upsample
from pysift.threads import get_num_threads, set_num_threads
from strategies import blob, noise, params, photo, plane, seeds, shapes, texture

PRECISE, OPENCV = SIFTParams(), SIFTParams.opencv()
SIDE = 257                      # 256 is a multiple of 2⁶: all 8 octaves sample alike about the centre
K = 2 ** (1 / 3)                # ratio of neighbouring scales at S = 3
few = settings(max_examples=8)  # for laws that run the whole several times over


@functools.cache
def features(name, height=128, width=160):
    """Return a photograph and its features."""
    image = photo(name, height, width)
    return image, sift(image)


def wrapped(angle):
    """Bring differences of angles into −π … π."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def interior(keypoints, side):
    """Mark keypoints that the rim cannot reach: they read up to 11σ away, of pixels that saw 4σ further."""
    x, y = keypoints.x, keypoints.y
    return np.minimum.reduce([x, y, side - 1 - x, side - 1 - y]) > 16 * keypoints.sigma


def assert_same(f, g):
    """Features are equal to the bit."""
    assert f.keypoints == g.keypoints
    np.testing.assert_array_equal(f.descriptors, g.descriptors)


def assert_found(expected, descriptors, found):
    """Every expected keypoint is among those found, but for rounding.

    Sums in another order move D by some 1e-4 grey levels, a keypoint of D ≥ 3.4 by some 1e-3 of its pixel.
    They may push a vote over the edge of an angle bin, which turns θ visibly: about one keypoint in 1000.
    """
    k, d = found
    far = np.hypot(expected.x[:, None] - k.x, expected.y[:, None] - k.y) / expected.sigma[:, None]
    near = (far + np.abs(wrapped(expected.theta[:, None] - k.theta))).argmin(axis=1)
    assert len(near) > 5 and len(np.unique(near)) == len(near)
    assert (far[np.arange(len(near)), near] < 5e-3).all()
    np.testing.assert_allclose(k.sigma[near], expected.sigma, rtol=5e-3)
    np.testing.assert_allclose(k.response[near], expected.response, atol=1e-5)
    np.testing.assert_array_equal(k.octave[near], expected.octave)
    settled = np.abs(wrapped(k.theta[near] - expected.theta)) < np.radians(0.05)
    assert settled.mean() >= 0.99
    assert (np.abs(d[near].astype(int) - descriptors)[settled] <= 1).all()


def row_set(keypoints):
    """Return keypoints as a set of rows."""
    k = keypoints
    return set(zip(k.x.tolist(), k.y.tolist(), k.sigma.tolist(), k.theta.tolist(), strict=True))


@pytest.mark.parametrize("mode", [PRECISE, OPENCV], ids=["precise", "opencv"])
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


@pytest.mark.parametrize("mode", [PRECISE, OPENCV], ids=["precise", "opencv"])
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


@pytest.mark.parametrize("octave", [-1, 0, 1, 2])
@pytest.mark.parametrize("mode", [PRECISE, OPENCV], ids=["precise", "opencv"])
@few
@given(data=st.data())
def test_planted_blob_is_found(octave, mode, data):
    """Law W.3: a Gaussian blob is found to 0.05 px of its octave, 2 % in σ; +¼ px if opencv doubles."""
    within = st.floats(-0.35, 0.35)           # about ½ two pixels hand the point to each other until it is lost
    dx, dy, depth = data.draw(within), data.draw(within), data.draw(st.integers(1, 3)) + data.draw(within)
    bias, tent = (0, 1 / 8) if mode.precise_upscale else (1 / 4, 3 / 16)       # of doubling; its blur, px²
    # D of a blob of variance a (less σ_in², plus that of doubling) peaks at σ² = a/k, k = 2^(1/S)
    sigma, pixel = 1.6 * 2 ** (octave + depth / 3), 2.0**octave
    width = np.sqrt(sigma**2 * K + 0.25 - tent)
    middle = 16 * max(round(width / 2), 2)
    x, y = middle + dx * pixel - bias, middle + dy * pixel - bias
    shape = (2 * middle, 2 * middle)
    # D is blind to a slope, which gives the round blob an orientation
    slope = 0.06 * 200 / width * plane(shape, x, y)[0]
    k = detect((blob(shape, x, y, width) + slope).astype(np.float32), mode, intensity_range=(0, 255))
    best = k[int(k.response.argmax())]
    assert best.octave == octave
    assert best.sigma == pytest.approx(sigma, rel=0.02)
    assert abs(best.x - x - bias) < 0.05 * pixel and abs(best.y - y - bias) < 0.05 * pixel


@pytest.mark.parametrize("octave", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("mode", [PRECISE, OPENCV], ids=["precise", "opencv"])
def test_blob_on_a_pixel_of_its_octave_is_found_there(octave, mode):
    """Law W.4: where symmetry forbids an error there is none, at any octave; but +¼ px if opencv doubles."""
    bias, width = 0 if mode.precise_upscale else 1 / 4, 2 * 2.0**octave + 0.3
    middle = 16 * max(round(width / 2), 2)
    shape = (2 * middle + 1, 2 * middle + 1)
    slope = 0.06 * 200 / width * plane(shape, middle, middle)[0]
    image = blob(shape, middle - bias, middle - bias, width) + slope
    k = detect(image.astype(np.float32), mode, intensity_range=(0, 255))
    best = k[int(k.response.argmax())]
    assert best.octave == octave
    assert (best.x[0], best.y[0]) == pytest.approx((middle, middle), abs=2e-3 * 2.0**octave)    # float32 only


@pytest.mark.parametrize("name", ["camera", "coins", "gravel"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turn_turns_the_keypoints(name, turns):
    """Law W.5: a quarter turn of the picture turns its keypoints and leaves their descriptors."""
    image, (k, d) = features(name, SIDE, SIDE)
    inside = interior(k, SIDE)
    x, y = k.x, k.y
    for _ in range(turns):                                                     # np.rot90 takes +x to −y
        x, y = y, SIDE - 1 - x
    turned = k.replace(x=x, y=y, theta=k.theta - turns * np.pi / 2)
    assert_found(turned[inside], d[inside], sift(np.rot90(image, turns)))


@pytest.mark.parametrize("name", ["camera", "coins", "gravel"])
def test_mirror_mirrors_the_keypoints(name):
    """Law W.6: a mirror takes x to W − 1 − x and θ to π − θ, turns cell rows about and angle bins back."""
    image, (k, d) = features(name, SIDE, SIDE)
    inside = interior(k, SIDE)
    cells = d.reshape(-1, 4, 4, 8)[:, ::-1][..., -np.arange(8) % 8].reshape(d.shape)
    mirrored = k.replace(x=SIDE - 1 - k.x, theta=np.pi - k.theta)
    assert_found(mirrored[inside], cells[inside], sift(image[:, ::-1]))


@pytest.mark.parametrize("mode", [PRECISE, OPENCV], ids=["precise", "opencv"])
def test_shift_shifts_the_keypoints(mode):
    """Law W.7: cropping off 2ⁿ px shifts the keypoints of octaves up to n by as much, and no bit else."""
    image, shift = photo("grass"), 16
    (k, d), (k2, d2) = sift(image, mode), sift(image[shift:, shift:], mode)
    # blurs sum to 24 px of an octave where the next one starts, and to 42 within it: 66·2ᵒ input px at most
    depth = np.minimum.reduce([k.x - shift, k.y - shift, 511 - k.x, 511 - k.y])
    i = np.flatnonzero((depth > 66 * 2.0**k.octave + 12 * k.sigma) & (k.octave <= 1))
    where = {row: n for n, row in enumerate(zip(k2.sigma, k2.theta, k2.response, strict=True))}
    j = [where[row] for row in zip(k.sigma[i], k.theta[i], k.response[i], strict=True)]
    assert len(i) > 50 and len(set(k.octave[i])) == 3
    np.testing.assert_array_equal(d2[j], d[i])
    np.testing.assert_allclose(k2.xy[j] + shift, k.xy[i], atol=512 * 2.0**-23)


@pytest.mark.parametrize("name", ["camera", "coins", "gravel"])
def test_negative_turns_the_keypoints_about(name):
    """Law W.8: 255 − u has the keypoints of u, θ turned by π, and cells in reverse order."""
    image, (k, d) = features(name, SIDE, SIDE)
    reverse = d.reshape(-1, 4, 4, 8)[:, ::-1, ::-1].reshape(d.shape)
    assert_found(k.replace(theta=k.theta + np.pi), reverse, sift(255 - image))


@few
@given(seeds, st.integers(-4, 4))
def test_gain_of_image_and_threshold_cancels(seed, power):
    """Law W.9: 2ⁿ·u has the features of u, to the bit, if the threshold is 2ⁿ·C and no whole level."""
    image, gain = texture(seed, (60, 70)) / 255, np.float32(2.0**power)
    low, high = (SIFTParams(prefilter_floor=False, contrast_threshold=0.04 * a) for a in (1, float(gain)))
    f, g = sift(image, low, intensity_range=(0, 1)), sift(gain * image, high, intensity_range=(0, 1))
    np.testing.assert_array_equal(g.descriptors, f.descriptors)
    assert g.keypoints == f.keypoints.replace(response=f.keypoints.response * gain)


@few
@given(seeds, st.sampled_from(["uint16", "float32", "float64"]))
def test_number_type_is_no_matter(seed, dtype):
    """Law W.10: uint16, float32 and float64 images give what the uint8 image of the same grey gives."""
    image = np.rint(texture(seed, (60, 70))).astype(np.uint8)
    white = {"uint16": 65535, "float32": 1, "float64": 1}[dtype]
    same = (image * (white / 255)).astype(dtype)
    f, g = sift(image), sift(same)
    # float32 keeps u/255 to 6e-8, that is 1.5e-5 grey levels: less than the sums of W.5 lose
    assert len(f.keypoints) == len(g.keypoints)
    assert_found(f.keypoints, f.descriptors, g)


@few
@given(seeds, st.sampled_from([0.25, 2.0, 1024.0]), st.sampled_from([0.0, 64.0]))
def test_intensity_range_says_what_black_and_white_are(seed, gain, offset):
    """Law W.11: a·u + b with intensity_range=(b, a·255 + b) gives the features of u."""
    image = np.rint(texture(seed, (60, 70)))
    f = sift(image.astype(np.uint8))
    assert_same(sift(gain * image + offset, intensity_range=(offset, gain * 255 + offset)), f)


@few
@given(seeds, shapes(30, 60))
def test_doubling_first_is_doubling_inside(seed, shape):
    """Law W.12: a doubled image, taken as it is, gives the same features at twice x, y, σ, an octave on."""
    image = np.rint(texture(seed, shape))
    f = sift(image, intensity_range=(0, 255))
    g = sift(upsample(image), SIFTParams(first_octave=0, sigma_in=1.0), intensity_range=(0, 255))
    k = f.keypoints
    assert g.keypoints == k.replace(x=2 * k.x, y=2 * k.y, sigma=2 * k.sigma, octave=k.octave + 1)
    np.testing.assert_array_equal(g.descriptors, f.descriptors)


@few
@given(seeds, st.floats(0, 0.1), st.floats(0, 0.1), st.floats(2, 40), st.floats(2, 40))
def test_stricter_thresholds_keep_a_subset(seed, c0, c1, r0, r1):
    """Law W.13: a higher contrast threshold, or a lower edge threshold, keeps a subset of the keypoints."""
    image = texture(seed, (60, 70))
    (low, high), (narrow, wide) = sorted((c0, c1)), sorted((r0, r1))
    loose = SIFTParams(contrast_threshold=low, edge_threshold=wide)
    strict = SIFTParams(contrast_threshold=high, edge_threshold=narrow)
    few_points, more = (detect(image, p, intensity_range=(0, 255)) for p in (strict, loose))
    assert row_set(few_points) <= row_set(more)


@given(seeds, seeds)
def test_wider_mask_keeps_more(first, second):
    """Law W.14: a keypoint stays if its nearest pixel is in the mask, so a wider mask keeps it too."""
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
    """Law W.15: nfeatures = N keeps the N of largest response and their ties, so a larger N does too."""
    image, (k, d) = features("camera")
    low, high = sorted((first, second))
    small, large = (sift(image, SIFTParams(nfeatures=n)) for n in (low, high))
    assert row_set(small.keypoints) <= row_set(large.keypoints)
    least = np.sort(k.response)[-min(low, len(k))]
    assert_same(small, type(small)(k[k.response >= least], d[k.response >= least]))
    assert min(low, len(k)) <= len(small.keypoints)


@given(st.lists(st.integers(0, 60), max_size=12))
def test_keypoints_are_described_alone(rows):
    """Law W.16: the descriptor of a keypoint depends on no other: any list of them gives just those rows."""
    image, (k, d) = features("camera")
    np.testing.assert_array_equal(describe(image, k[np.array(rows, int)]), d[rows])


@given(seeds)
def test_detect_and_describe_make_sift(seed):
    """Law W.17: sift is detect, then describe; a permutation of the keypoints permutes the descriptors."""
    image, (k, d) = features("coins")
    assert detect(image) == k
    order = np.random.default_rng(seed).permutation(len(k))
    np.testing.assert_array_equal(describe(image, k[order]), d[order])


@pytest.mark.parametrize("mode", [PRECISE, OPENCV.replace(descriptor="root")], ids=["precise", "opencv"])
def test_threads_are_no_matter(mode):
    """Law W.18: any number of threads gives the same features, to the bit."""
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
    """Law W.19: no call changes the next one, whatever picture and parameters came between."""
    image = texture(seed, (40, 50))
    once = sift(image, p, intensity_range=(0, 255))
    sift(texture(seed + 1, (33, 70)), q, intensity_range=(0, 255))
    assert_same(sift(image, p, intensity_range=(0, 255)), once)


@pytest.mark.parametrize("layout", ["read-only", "strided", "mirrored", "fortran", "channels"])
def test_memory_layout_is_no_matter(layout):
    """Law W.20: read-only, strided, mirrored, Fortran or (H, W, 1): the same, and the image is left alone."""
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
    """Law W.21: features come back from a pickle equal to the bit."""
    _, f = features("camera")
    assert_same(pickle.loads(pickle.dumps(f)), f)


@pytest.mark.parametrize("descriptor", ["uint8", "float32", "root"])
@given(shapes(1, 32), st.sampled_from([0, 77, 255]))
def test_flat_or_tiny_images_give_empty_tables(descriptor, shape, grey):
    """Law W.22: constant images of 1 × 1 px up give (0,) and (0, 128), in the type that was asked for."""
    k, d = sift(np.full(shape, grey, np.uint8), SIFTParams(descriptor=descriptor))
    assert len(k) == 0 and d.shape == (0, 128)
    assert d.dtype == (np.uint8 if descriptor == "uint8" else np.float32)
    assert {c.shape for c in (k.x, k.y, k.sigma, k.theta, k.response, k.octave, k.layer, k.offset)} == {(0,)}


@given(seeds, shapes(1, 32))
def test_images_of_any_size_pass(seed, shape):
    """Law W.23: noise of any size, down to one pixel, gives keypoints inside the picture, or none."""
    k, d = sift(np.rint(noise(seed, shape)).astype(np.uint8))
    assert d.shape == (len(k), 128)
    assert ((k.x >= 0) & (k.x <= shape[1] - 1) & (k.y >= 0) & (k.y <= shape[0] - 1)).all()
    assert ((k.theta >= 0) & (k.theta < 2 * np.pi)).all() and (k.response > 0).all()


@pytest.mark.parametrize("name", ["camera", "coins", "grass"])
def test_columns_agree_with_each_other(name):
    """Law W.24: rows are sorted and distinct; σ = σ₀·2^(octave + (layer + offset)/S), |offset| < ½."""
    _, (k, _) = features(name)
    assert (np.diff(k.x) >= 0).all() and len(row_set(k)) == len(k)
    depth = k.octave + (k.layer + k.offset.astype(float)) / 3
    np.testing.assert_allclose(k.sigma, 1.6 * 2**depth, rtol=1e-6)
    assert ((k.layer >= 1) & (k.layer <= 3) & (np.abs(k.offset) < 0.5)).all()
    placed = Keypoints.at(k.x, k.y, k.sigma, k.theta, k.response)
    np.testing.assert_allclose(placed.octave + (placed.layer + placed.offset) / 3, depth, atol=1e-5)


def test_descriptor_formats_tell_the_same():
    """Law W.25: bytes are 512 times the floats, RootSIFT the roots of their shares, keypoints the same."""
    image, (k, d) = features("camera")
    floats, roots = (sift(image, SIFTParams(descriptor=f)) for f in ("float32", "root"))
    assert floats.keypoints == roots.keypoints == k
    assert (np.abs(np.minimum(512 * floats.descriptors.astype(float), 255) - d) <= 0.5 + 1e-3).all()
    np.testing.assert_allclose((roots.descriptors.astype(float) ** 2).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose((floats.descriptors.astype(float) ** 2).sum(axis=1), 1, atol=1e-5)
