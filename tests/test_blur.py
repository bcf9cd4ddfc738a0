"""The blur kernel: equal to cv2 to the bit at every size, whoever computes which rows, and the plain formula."""
import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import oracle
from pysift.kernels.blur import blur_rows, empty_blocks
from pysift.scalespace import blur, gaussian_kernel
from pysift.threads import get_num_threads, set_num_threads
from strategies import noise, noises, seeds, shapes

ULP = 2.0**-24                                 # half a last bit of float32, relative
RADII = range(25)                              # kernels of 1, 3, 5 … 49 taps: σ up to 6
sigmas = st.floats(0.1, 6)
radii = st.sampled_from(RADII)


def sigma_of(n):
    """Return the σ whose kernel has 2n + 1 taps, the reach being 4σ."""
    return n / 4 if n else 0.05


def blank_blocks(image, n):
    """Return blocks of NaN: whatever is read before it was written shows."""
    blocks = empty_blocks(image.shape[1], n)
    blocks[:] = np.nan
    return blocks


def blur_piece(image, kernel, out, blocks, fresh, first, last):
    """Blur rows first … last − 1 in one call of the kernel."""
    h, w = image.shape
    alone = np.ones(1, np.float32)
    along = kernel if w > 1 else alone, kernel if h > 1 else alone
    blur_rows(image, *along, (0,) * (len(kernel) // 2), out, blocks, fresh, first, last)


def run(image, kernel, *, bounds=None, keep=False):
    """Blur rows bounds[0] … bounds[-1] in pieces cut at the bounds, into a picture of NaN.

    With `keep` a piece goes on from the rows blurred along x that the piece before it left.
    """
    out, n = np.full_like(image, np.nan), len(kernel) // 2
    bounds = [0, len(image)] if bounds is None else bounds
    blocks, fresh = blank_blocks(image, n), True
    for first, last in zip(bounds, bounds[1:]):
        blocks, fresh = (blocks, fresh) if keep else (blank_blocks(image, n), True)
        blur_piece(image, kernel, out, blocks, fresh, first, last)
        fresh = False
    return out


@pytest.mark.parametrize("n", RADII)
def test_blur_equals_opencv_to_the_bit_at_every_size_up_to_40(n):
    picture, sigma = noise(n, (40, 40)), sigma_of(n)
    kernel = gaussian_kernel(sigma)
    assert len(kernel) == 2 * n + 1
    for height in range(1, 41):
        for width in range(1, 41):
            image = picture[:height, :width].copy()
            if not np.array_equal(blur(image, kernel), cv2.GaussianBlur(image, (0, 0), sigma)):
                pytest.fail(f"differs at {width} × {height} pixels")


# the work is cut into strips of columns and blocks of rows, both powers of two; cv2 takes 4 or 8 columns at a time
@pytest.mark.parametrize("width", [63, 127, 255, 256, 257, 263, 511, 512, 513, 515, 517, 519, 767, 1023, 1031, 1283])
def test_blur_equals_opencv_to_the_bit_across_strips_and_blocks(width):
    for height in (1, 31, 32, 33, 64, 65, 129):
        for n in (0, 1, 2, 3, 4, 6, 10, 13, 24):
            image, sigma = noise(height, (height, width)), sigma_of(n)
            np.testing.assert_array_equal(blur(image, gaussian_kernel(sigma)), cv2.GaussianBlur(image, (0, 0), sigma))


@given(seeds, shapes(1, 80), sigmas)
@example(0, (33, 31), 0.1)
@example(0, (33, 31), 6.0)
def test_blur_equals_opencv_to_the_bit_at_any_sigma(seed, shape, sigma):
    image = noise(seed, shape)
    np.testing.assert_array_equal(blur(image, gaussian_kernel(sigma)), cv2.GaussianBlur(image, (0, 0), sigma))


@given(seeds, shapes(1, 80), radii)
def test_blur_by_any_symmetric_taps_equals_opencv_to_the_bit(seed, shape, n):
    """cv2 sums any symmetric taps as it sums a Gaussian's; along one pixel there is nothing to sum."""
    half, image = np.random.default_rng(seed).uniform(0.1, 1, n + 1).astype(np.float32), noise(seed, shape)
    kernel, alone = np.concatenate([half[:0:-1], half]), np.ones(1, np.float32)
    along_x, along_y = kernel if shape[1] > 1 else alone, kernel if shape[0] > 1 else alone
    theirs = cv2.sepFilter2D(image, cv2.CV_32F, along_x, along_y, borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_array_equal(blur(image, kernel), theirs)


@given(noises(1, 40), sigmas)
def test_blur_equals_the_plain_formula_up_to_rounding(image, sigma):
    """Every tap costs a rounding, in two passes, and the taps themselves are rounded."""
    taps = oracle.gaussian_taps(sigma)
    plain = oracle.blur(image.astype(float), taps)
    np.testing.assert_allclose(blur(image, gaussian_kernel(sigma)), plain, atol=2 * (len(taps) + 1) * 255 * ULP)


@given(st.data(), seeds, shapes(1, 200), radii)
def test_pieces_make_the_whole_to_the_bit(data, seed, shape, n):
    """Each call writes its own rows and no other, and they do not depend on where the others were cut."""
    image, kernel = noise(seed, shape), gaussian_kernel(sigma_of(n))
    cuts = sorted(data.draw(st.lists(st.integers(0, shape[0]), max_size=6)))
    whole = run(image, kernel)
    np.testing.assert_array_equal(run(image, kernel, bounds=[0, *cuts, shape[0]]), whole)
    first, last = cuts[0] if cuts else 0, cuts[-1] if cuts else shape[0]
    piece = run(image, kernel, bounds=[first, last])
    np.testing.assert_array_equal(piece[first:last], whole[first:last])
    assert np.isnan(piece[:first]).all() and np.isnan(piece[last:]).all()


@pytest.mark.parametrize("n", [0, 1, 2, 6, 13])
def test_any_number_of_threads_gives_the_same_blur(n):
    image, kernel, before = noise(n, (700, 517)), gaussian_kernel(sigma_of(n)), get_num_threads()
    try:
        for threads in (1, 2, 3, 5, 8):
            set_num_threads(threads)
            np.testing.assert_array_equal(blur(image, kernel), run(image, kernel))
    finally:
        set_num_threads(before)


@given(st.data(), seeds, shapes(1, 200) | st.tuples(st.integers(1, 100), st.integers(500, 1100)), radii)
def test_pieces_that_keep_their_blocks_make_the_whole_to_the_bit(data, seed, shape, n):
    """What a call leaves in the blocks is what the next one needs, wherever it begins and ends."""
    image, kernel = noise(seed, shape), gaussian_kernel(sigma_of(n))
    cuts = sorted(data.draw(st.sets(st.integers(0, shape[0]), min_size=2, max_size=8) if shape[0] > 1
                            else st.just({0, 1})))
    pieces = run(image, kernel, bounds=cuts, keep=True)
    np.testing.assert_array_equal(pieces[cuts[0]:cuts[-1]], run(image, kernel)[cuts[0]:cuts[-1]])
    assert np.isnan(pieces[:cuts[0]]).all() and np.isnan(pieces[cuts[-1]:]).all()


@given(st.data(), seeds, st.integers(60, 150), st.integers(1, 80), radii)
def test_rows_that_stand_in_the_blocks_are_not_read_again(data, seed, height, width, n):
    """A call that goes on reads the image from n rows below its first row only: those above may be gone."""
    image, kernel = noise(seed, (height, width)), gaussian_kernel(sigma_of(n))
    cut = data.draw(st.integers(1, height - 2 * n - 1))
    whole, out, blocks = run(image, kernel), np.full_like(image, np.nan), blank_blocks(image, n)
    blur_piece(image, kernel, out, blocks, True, 0, cut)
    image[:cut + n] = np.nan
    blur_piece(image, kernel, out, blocks, False, cut, height)
    np.testing.assert_array_equal(out, whole)


@pytest.mark.parametrize("n", [0, 1, 2, 6])
@pytest.mark.parametrize("width", [1, 7, 16, 17, 64, 65, 511, 513, 530])
def test_blur_writes_its_own_pixels_and_no_other(n, width):
    """A frame of NaN about the picture stays, whatever is stored sixteen columns and four rows at a time."""
    for height in (1, 2, 3, 5, 34):
        image, kernel = noise(n, (height, width)), gaussian_kernel(sigma_of(n))
        framed = np.full((height + 8, width + 80), np.nan, np.float32)
        inner = slice(4, 4 + height), slice(40, 40 + width)
        blur_piece(image, kernel, framed[inner], blank_blocks(image, n), True, 0, height)
        np.testing.assert_array_equal(framed[inner], cv2.GaussianBlur(image, (0, 0), sigma_of(n)))
        framed[inner] = np.nan
        assert np.isnan(framed).all()


@given(noises(1, 40), sigmas)
def test_image_and_kernel_are_left_alone(image, sigma):
    kernel = gaussian_kernel(sigma)
    before, taps = image.copy(), kernel.copy()
    out = np.empty_like(image)
    assert blur(image, kernel, out=out) is out
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(kernel, taps)
