"""Laws of step 1: blur, doubling, decimation, scale space and its differences (docs/laws.md, 1)."""
import math
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle
from pysift import scalespace
from pysift.extrema import find_extrema, scanner
from pysift.params import SIFTParams
from pysift.scalespace import (
    base_image,
    blur,
    borrowed_scalespace,
    build_scalespace,
    downsample,
    gaussian_kernel,
    upsample,
)
from pysift.threads import get_num_threads, set_num_threads
from strategies import blob, noise, noises, params, powers, seeds, shapes, texture

PRECISE, OPENCV = SIFTParams(), SIFTParams.opencv()
ULP = 2.0**-24                                 # half a last bit of float32, relative
sigmas = st.floats(1.2, 3.2)                   # below 1.2 px sampling alone breaks the semigroup law


def rounding(taps):
    """Largest error of a separable float32 blur of grey levels: as many roundings as taps, in two passes."""
    return 2 * (len(taps) + 1) * 255 * ULP


@given(noises(1, 40), sigmas, sigmas)
def test_two_blurs_are_one_wider_blur(image, first, second):
    """Law 1.1: blurs of σ₁ and σ₂ make one of √(σ₁² + σ₂²), up to the borders."""
    kernels = [gaussian_kernel(s) for s in (first, second, math.hypot(first, second))]
    twice, once = blur(blur(image, kernels[0]), kernels[1]), blur(image, kernels[2])
    # each of three kernels lacks a tail of erfc(4/√2) = 6.4e-5 and is rescaled by as much, in x and in y
    np.testing.assert_allclose(twice, once, atol=3 * 2 * 2 * 6.4e-5 * 255)


@given(noises(2, 40), sigmas)
def test_blur_keeps_the_mean(image, sigma):
    """Law 1.2: blur keeps the mean of the mirrored plane, where pixels of the rim are half inside."""
    def mean(a):
        return np.trapezoid(np.trapezoid(a.astype(float), axis=0), axis=0)

    kernel, area = gaussian_kernel(sigma), (image.shape[0] - 1) * (image.shape[1] - 1)
    assert mean(blur(image, kernel)) / area == pytest.approx(mean(image) / area, abs=rounding(kernel))


@given(shapes(1, 40), st.just(0.0) | st.floats(2.0**-100, 255, width=32), sigmas)      # a denormal's half is rounded
def test_constant_image_stays_constant(shape, grey, sigma):
    """Law 1.3: blurring or doubling a constant image gives the same constant."""
    image, kernel = np.full(shape, grey, np.float32), gaussian_kernel(sigma)
    np.testing.assert_allclose(blur(image, kernel), grey, atol=rounding(kernel))
    for mode in (PRECISE, OPENCV):
        doubled = upsample(image, mode)
        assert doubled.shape == (2 * shape[0], 2 * shape[1]) and (doubled == np.float32(grey)).all()


@given(st.floats(0.3, 8), st.floats(1, 6))
def test_kernel_is_a_normalised_gaussian(sigma, reach):
    """Law 1.4: the kernel is odd in length, symmetric, of sum 1, and a Gaussian within its reach."""
    kernel, p = gaussian_kernel(sigma, SIFTParams(kernel_reach=reach)), SIFTParams(kernel_reach=reach)
    assert len(kernel) % 2 == 1 and np.array_equal(kernel, kernel[::-1])
    np.testing.assert_allclose(kernel, oracle.gaussian_taps(sigma, p), rtol=2 * ULP, atol=1e-30)


@given(seed=seeds, height=st.integers(1, 40) | st.integers(60, 200),
       width=st.integers(1, 70) | st.integers(200, 600), sigma=st.floats(0.1, 4))
def test_blur_equals_opencv_to_the_bit(seed, height, width, sigma):
    """Law 1.5: blur equals cv2.GaussianBlur to the bit, at any width, odd or below a vector's."""
    image = noise(seed, (height, width))
    np.testing.assert_array_equal(blur(image, gaussian_kernel(sigma)), cv2.GaussianBlur(image, (0, 0), sigma))


@given(seed=seeds, shape=shapes(1, 40))
def test_doubling_equals_opencv_to_the_bit(seed, shape):
    """Law 1.6: doubling whole levels equals cv2.resize to the bit, or cv2.warpAffine if it is precise."""
    image, size = np.rint(noise(seed, shape)), (2 * shape[1], 2 * shape[0])        # cv2.SIFT reads uint8 only
    resized = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(upsample(image, OPENCV), resized)
    half = np.float32([[0.5, 0, 0], [0, 0.5, 0]])
    warped = cv2.warpAffine(image, half, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                            borderMode=cv2.BORDER_REFLECT)
    np.testing.assert_array_equal(upsample(image, PRECISE), warped)


@given(noises(1, 40))
def test_doubling_equals_the_oracle(image):
    """Law 1.7: doubling is linear interpolation, at j/2 if it is precise, else at (j + ½)/2 − ½."""
    for mode in (PRECISE, OPENCV):
        np.testing.assert_allclose(upsample(image, mode), oracle.upsample(image, mode), rtol=8 * ULP)


@given(noises(1, 40))
def test_precise_doubling_leaves_pixels_where_they_are(image):
    """Law 1.8: precise doubling puts pixel (x, y) at (2x, 2y), so that halving gives the image back."""
    np.testing.assert_array_equal(upsample(image, PRECISE)[::2, ::2], image)
    np.testing.assert_array_equal(downsample(upsample(image, PRECISE)), image)


@given(noises(1, 40))
def test_halving_keeps_every_second_pixel(image):
    """Law 1.9: halving keeps pixels (2x, 2y) and drops a last odd row or column."""
    np.testing.assert_array_equal(downsample(image), oracle.downsample(image))


@given(noises(1, 40), sigmas, st.booleans(), st.booleans())
def test_blur_commutes_with_flips_and_transposition(image, sigma, flip, transpose):
    """Law 1.10: to blur a mirrored or transposed image is to mirror or transpose the blurred one."""
    def move(a):
        a = a[:, ::-1] if flip else a
        return np.ascontiguousarray(a.T if transpose else a)

    kernel = gaussian_kernel(sigma)
    moved = blur(move(image), kernel)
    np.testing.assert_allclose(moved, move(blur(image, kernel)), atol=2 * rounding(kernel))


@given(noises(1, 40), params())
def test_scale_space_equals_the_oracle(image, p):
    """Law 1.11: every level and difference of every octave equals the slow formula; shapes and count too."""
    octaves, expected = build_scalespace(image, p), oracle.scale_space(image, p)
    assert [o.index for o in octaves] == list(range(p.first_octave, p.first_octave + len(expected)))
    for octave, levels in zip(octaves, expected, strict=True):
        assert octave.levels.dtype == octave.dog.dtype == np.float32
        # errors of a pixel add up over all blurs before it: at most 10 octaves of 8 levels of 39 taps
        bound = rounding(range(39)) * len(levels) * (octave.index - p.first_octave + 1)
        np.testing.assert_allclose(octave.levels, levels, atol=bound)
        np.testing.assert_array_equal(octave.dog, octave.levels[1:] - octave.levels[:-1])


@given(st.floats(4, 6), st.integers(1, 5), st.floats(-1, 1), st.floats(-1, 1))
def test_every_level_carries_its_blur(width, layers, dx, dy):
    """Law 1.12: level i of octave o widens a Gaussian blob to the variance its σ₀·2^(o + i/S) says."""
    p = SIFTParams(n_octave_layers=layers)
    # a blob of variance s² px², doubled with a tent of variance 1/2: 4s² + 1/2, of which σ_in stands for 4·¼
    before = 4 * width**2 + 0.5 - 4 * p.sigma_in**2
    octaves = build_scalespace(blob((160, 160), 79.5 + dx, 79.5 + dy, width, ground=0), p)[:2]
    for o, octave in enumerate(octaves):
        x = np.arange(octave.levels.shape[2])
        for i, level in enumerate(octave.levels):
            column = level.sum(axis=0, dtype=float) / level.sum(dtype=float)
            variance = (column * x**2).sum() - (column * x).sum() ** 2
            expected = before / 4**o + (p.sigma * 2 ** (i / layers)) ** 2
            # a Gaussian cut off at 4σ lacks 8φ(4) = 1.1e-3 of its variance
            assert variance == pytest.approx(expected, rel=1.5e-3)


@given(seeds, seeds, shapes(12, 40), powers)
def test_differences_are_linear_and_kill_constants(first, second, shape, gain):
    """Law 1.13: D(a·u) = a·D(u) to the bit for a = 2ⁿ; D(u + v) = D(u) + D(v) and D(c) = 0 up to rounding."""
    u, v = noise(first, shape), noise(second, shape)
    bound = 4 * rounding(range(27)) * 6 * 5              # two pictures, 6 levels of at most 27 taps, 5 octaves
    flat = build_scalespace(np.full(shape, 99, np.float32))
    octaves = [build_scalespace(image) for image in (u, v, u + v, np.float32(gain) * u)]
    for d_u, d_v, d_sum, d_gain, d_flat in zip(*octaves, flat, strict=True):
        np.testing.assert_array_equal(d_gain.dog, np.float32(gain) * d_u.dog)
        np.testing.assert_allclose(d_sum.dog, d_u.dog + d_v.dog, atol=bound)
        np.testing.assert_allclose(d_flat.dog, 0, atol=bound)


@pytest.mark.parametrize("side", range(1, 13))
def test_octaves_of_tiny_images(side):
    """Law 1.14: an image of n pixels has round(log₂ 2n − 2) + 1 octaves, down to none."""
    octaves = build_scalespace(noise(0, (side, 3 * side)))
    assert len(octaves) == max(round(math.log2(2 * side) - 2) + 1, 0)
    for i, octave in enumerate(octaves):
        assert octave.levels.shape == (6, 2 * side >> i, 6 * side >> i)


@given(noises(1, 40), params())
def test_base_is_the_first_level(image, p):
    """Law 1.15: base_image is level 0 of the first octave."""
    for octave in build_scalespace(image, p)[:1]:
        np.testing.assert_array_equal(octave.levels[0], base_image(image, p))


@contextmanager
def small_pieces(threads, rows, pixels):
    """Have levels built by so many threads, and in waves of so few rows that a small picture has several."""
    before, sizes = get_num_threads(), {"_ROWS": rows, "_GRAIN": pixels}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sizes.items():
            assert hasattr(scalespace, name)
            patch.setattr(scalespace, name, value)
        try:
            set_num_threads(threads)
            yield
        finally:
            set_num_threads(before)


def one_blur_after_the_other(octave, p):
    """Return the levels of an octave, each the blur of the one before it, a whole level at a time."""
    levels = [octave.levels[0]]
    for sigma in p.level_sigmas()[1:]:
        levels.append(blur(levels[-1], gaussian_kernel(sigma, p)))
    return np.array(levels)


waves = {"threads": st.integers(1, 5), "rows": st.integers(1, 30), "pixels": st.sampled_from([1, 400, 5000])}


@given(noises(1, 60) | noises(60, 150), params(), st.fixed_dictionaries(waves))
def test_levels_in_waves_are_one_blur_after_the_other(image, p, sizes):
    """Law 1.16: level i + 1 is the blur of level i, to the bit, whatever threads and waves they are built in."""
    with small_pieces(**sizes):
        octaves = build_scalespace(image, p)
    assert len(octaves) == p.n_octaves(*image.shape)
    for octave in octaves:
        np.testing.assert_array_equal(octave.levels, one_blur_after_the_other(octave, p))


@given(noises(1, 60) | noises(60, 150), params(), st.fixed_dictionaries(waves))
def test_visit_sees_each_row_once_and_as_it_stays(image, p, sizes):
    """Law 1.17: `visit` sees every row once, in order, when it and the rows next to it are as they stay."""
    def look(levels, first, last):
        return levels.ctypes.data, first, last, levels[:, max(first - 1, 0):last + 1].copy()

    with small_pieces(**sizes), borrowed_scalespace(image, p, look) as octaves:
        whole = build_scalespace(image, p)
        assert [o.levels.shape for o in octaves] == [          # the others have no room for an extremum
            o.levels.shape for o in whole if min(o.levels.shape[1:]) > 2 * p.border]
        for octave in octaves:
            addresses, firsts, lasts, _ = zip(*octave.seen)
            assert set(addresses) == {octave.levels.ctypes.data}
            assert [*firsts, octave.levels.shape[1]] == [0, *lasts]
            for _, first, last, then in octave.seen:
                np.testing.assert_array_equal(then, octave.levels[:, max(first - 1, 0):last + 1])


@given(seeds, shapes(24, 110), params(), st.fixed_dictionaries(waves))
def test_extrema_found_while_building_are_those_of_the_levels(seed, shape, p, sizes):
    """Law 1.18: a scan of rows as they come finds what a scan of the finished octave finds."""
    image = texture(seed, shape)
    with small_pieces(**sizes), borrowed_scalespace(image, p, scanner(p)) as octaves:
        for octave in octaves:
            found = np.concatenate(octave.seen)
            in_order = found[np.lexsort(found.T[::-1])]
            np.testing.assert_array_equal(in_order, find_extrema(octave.levels, p))
