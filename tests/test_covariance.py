"""Laws of the picture: when it changes so, its features change so (docs/laws.md, C)."""
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysift.params import SIFTParams
from pysift.pipeline import detect, sift
from pysift.scalespace import upsample
from strategies import blob, photo, plane, seeds, shapes, texture

PRECISE, OPENCV = SIFTParams(), SIFTParams.opencv()
SIDE = 257                      # 256 is a multiple of 2⁶: all 8 octaves sample alike about the centre
K = 2 ** (1 / 3)                # ratio of neighbouring scales at S = 3
few = settings(max_examples=8)  # for laws that run the whole several times over
modes = pytest.mark.parametrize("mode", [PRECISE, OPENCV], ids=["precise", "opencv"])


@functools.cache
def features(name):
    """Return the middle of a photograph, SIDE pixels square, and its features."""
    image = photo(name, SIDE, SIDE)
    return image, sift(image)


def wrapped(angle):
    """Bring differences of angles into −π … π."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def interior(keypoints, side):
    """Mark keypoints that the rim cannot reach: they read up to 11σ away, of pixels that saw 4σ further."""
    x, y = keypoints.x, keypoints.y
    return np.minimum.reduce([x, y, side - 1 - x, side - 1 - y]) > 16 * keypoints.sigma


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


@pytest.mark.parametrize("octave", [-1, 0, 1, 2])
@modes
@few
@given(data=st.data())
def test_planted_blob_is_found(octave, mode, data):
    """Law C.1: a Gaussian blob is found to 0.05 px of its octave, 2 % in σ; +¼ px if opencv doubles."""
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
@modes
def test_blob_on_a_pixel_of_its_octave_is_found_there(octave, mode):
    """Law C.2: where symmetry forbids an error there is none, at any octave; but +¼ px if opencv doubles."""
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
    """Law C.3: a quarter turn of the picture turns its keypoints and leaves their descriptors."""
    image, (k, d) = features(name)
    inside = interior(k, SIDE)
    x, y = k.x, k.y
    for _ in range(turns):                                                     # np.rot90 takes +x to −y
        x, y = y, SIDE - 1 - x
    turned = k.replace(x=x, y=y, theta=k.theta - turns * np.pi / 2)
    assert_found(turned[inside], d[inside], sift(np.rot90(image, turns)))


@pytest.mark.parametrize("name", ["camera", "coins", "gravel"])
def test_mirror_mirrors_the_keypoints(name):
    """Law C.4: a mirror takes x to W − 1 − x and θ to π − θ, turns cell rows about and angle bins back."""
    image, (k, d) = features(name)
    inside = interior(k, SIDE)
    cells = d.reshape(-1, 4, 4, 8)[:, ::-1][..., -np.arange(8) % 8].reshape(d.shape)
    mirrored = k.replace(x=SIDE - 1 - k.x, theta=np.pi - k.theta)
    assert_found(mirrored[inside], cells[inside], sift(image[:, ::-1]))


@modes
def test_shift_shifts_the_keypoints(mode):
    """Law C.5: cropping off 2ⁿ px shifts the keypoints of octaves up to n by as much, and no bit else."""
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
    """Law C.6: 255 − u has the keypoints of u, θ turned by π, and cells in reverse order."""
    image, (k, d) = features(name)
    reverse = d.reshape(-1, 4, 4, 8)[:, ::-1, ::-1].reshape(d.shape)
    assert_found(k.replace(theta=k.theta + np.pi), reverse, sift(255 - image))


@few
@given(seeds, st.integers(-4, 4))
def test_gain_of_image_and_threshold_cancels(seed, power):
    """Law C.7: 2ⁿ·u has the features of u, to the bit, if the threshold is 2ⁿ·C and no whole level."""
    image, gain = texture(seed, (60, 70)) / 255, np.float32(2.0**power)
    low, high = (SIFTParams(prefilter_floor=False, contrast_threshold=0.04 * a) for a in (1, float(gain)))
    f, g = sift(image, low, intensity_range=(0, 1)), sift(gain * image, high, intensity_range=(0, 1))
    np.testing.assert_array_equal(g.descriptors, f.descriptors)
    assert g.keypoints == f.keypoints.replace(response=f.keypoints.response * gain)


@few
@given(seeds, st.sampled_from(["uint16", "float32", "float64"]))
def test_number_type_is_no_matter(seed, dtype):
    """Law C.8: uint16, float32 and float64 images give what the uint8 image of the same grey gives."""
    image = np.rint(texture(seed, (60, 70))).astype(np.uint8)
    white = {"uint16": 65535, "float32": 1, "float64": 1}[dtype]
    same = (image * (white / 255)).astype(dtype)
    f, g = sift(image), sift(same)
    # float32 keeps u/255 to 6e-8, that is 1.5e-5 grey levels: less than the sums of C.3 lose
    assert len(f.keypoints) == len(g.keypoints)
    assert_found(f.keypoints, f.descriptors, g)


@few
@given(seeds, shapes(30, 60))
def test_doubling_first_is_doubling_inside(seed, shape):
    """Law C.9: a doubled image, taken as it is, gives the same features at twice x, y, σ, an octave on."""
    image = np.rint(texture(seed, shape))
    f = sift(image, intensity_range=(0, 255))
    g = sift(upsample(image), SIFTParams(first_octave=0, sigma_in=1.0), intensity_range=(0, 255))
    k = f.keypoints
    assert g.keypoints == k.replace(x=2 * k.x, y=2 * k.y, sigma=2 * k.sigma, octave=k.octave + 1)
    np.testing.assert_array_equal(g.descriptors, f.descriptors)
