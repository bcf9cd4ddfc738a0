"""From image to grey levels: equal to cv2 where it has the step, and to laws where it has not."""
import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pysift import photos
from pysift.image import check_mask, grey_levels, resize_keep_aspect, to_gray

ACCEPTED = ("uint8", "uint16", "float32", "float64")


def picture(dtype="uint8", shape=(37, 53, 3), seed=0):
    """Noise over the whole range of a dtype: [0, 1] for floats."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("order, code", [("rgb", cv2.COLOR_RGB2GRAY), ("bgr", cv2.COLOR_BGR2GRAY)])
def test_integer_grey_equals_cv2_to_the_bit(dtype, order, code):
    image = picture(dtype, (400, 500, 3))
    image[:2, :8] = np.iinfo(dtype).max * np.indices((2, 2, 2)).T.reshape(8, 3)     # black, white, pure
    grey = to_gray(image, order=order)
    assert grey.dtype == dtype
    np.testing.assert_array_equal(grey, cv2.cvtColor(image, code))


@given(arrays(np.uint16, (3, 5, 3)))
def test_integer_grey_lies_between_the_channels(image):
    grey = to_gray(image)
    assert (image.min(axis=2) <= grey).all() and (grey <= image.max(axis=2)).all()


@pytest.mark.parametrize("dtype, tolerance", [("float32", 3e-7), ("float64", 3e-16)])
def test_float_grey_is_the_weighted_sum_in_its_own_precision(dtype, tolerance):
    image = picture(dtype)
    grey = to_gray(image)
    assert grey.dtype == dtype
    np.testing.assert_allclose(grey, np.tensordot(image.astype(np.longdouble), [0.299, 0.587, 0.114], 1),
                               rtol=0, atol=tolerance)
    np.testing.assert_allclose(grey, cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY), atol=3e-7)


@pytest.mark.parametrize("dtype", ACCEPTED)
def test_alpha_is_ignored_whatever_it_holds(dtype):
    image = picture(dtype, (9, 7, 4))
    plain = to_gray(image[..., :3])
    image[..., 3] = 0 if np.dtype(dtype).kind == "u" else np.nan
    np.testing.assert_array_equal(to_gray(image), plain)


@pytest.mark.parametrize("dtype", ACCEPTED)
def test_one_channel_comes_back_as_a_copy_of_itself(dtype):
    image = picture(dtype, (9, 7))
    for given_ in (image, image[..., None]):
        grey = to_gray(given_)
        np.testing.assert_array_equal(grey, image)
        assert grey.shape == (9, 7) and not np.shares_memory(grey, image)


LAYOUTS = {
    "read-only": lambda a: (a.setflags(write=False), a)[1],
    "every second pixel of a larger image": lambda a: np.repeat(np.repeat(a, 2, 0), 2, 1)[::2, ::2],
    "negative strides": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "negative channel stride": lambda a: a[..., ::-1].copy()[..., ::-1],
    "Fortran order": np.asfortranarray,
    "channels first, moved last": lambda a: np.moveaxis(np.moveaxis(a, 2, 0).copy(), 0, 2),
    "the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "three of four channels": lambda a: np.dstack([a, a[..., :1]])[..., :3],
}


@pytest.mark.parametrize("dtype", ACCEPTED)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_changes_nothing_and_the_input_stays_as_it_was(layout, dtype):
    plain = picture(dtype)
    laid = LAYOUTS[layout](plain.copy())
    shrink, keep = (lambda a: resize_keep_aspect(a, 20)), (lambda a: resize_keep_aspect(a, 99))
    for step in (to_gray, grey_levels, shrink, keep):
        result = step(laid)
        np.testing.assert_array_equal(result, step(plain))
        assert result.flags.c_contiguous and result.flags.writeable and result.dtype.isnative
        assert not np.shares_memory(result, laid)
        np.testing.assert_array_equal(laid, plain)


ZEROS = np.zeros((4, 5, 3))
REFUSED = {                         # name: (image, error, what the message must name)
    "None": (None, TypeError, "None.*load_image"),
    "a path": ("cat.png", TypeError, "str.*load_image"),
    "a list": ([[0.5, 1.0]], TypeError, "list.*np.asarray"),
    "bool": (ZEROS > 0, TypeError, r"bool.*\* 255"),
    "complex": (ZEROS + 1j, TypeError, "complex128.*np.abs"),
    "object": (ZEROS.astype(object), TypeError, "object.*rows"),
    "int64": (ZEROS.astype(int), TypeError, "int64.*uint8 or uint16"),
    "int8": (ZEROS.astype(np.int8), TypeError, "int8.*uint8"),
    "uint32": (ZEROS.astype(np.uint32), TypeError, "uint32.*uint16"),
    "float16": (ZEROS.astype(np.float16), TypeError, r"float16.*astype\(np.float32\)"),
    "longdouble": (ZEROS.astype(np.longdouble), TypeError, r"astype\(np.float32\)"),
    "4-D": (ZEROS[None], ValueError, r"\(1, 4, 5, 3\).*one image"),
    "1-D": (ZEROS[0, 0], ValueError, r"\(3,\)"),
    "0-D": (np.array(0.5), ValueError, r"\(\)"),
    "2 channels": (ZEROS[..., :2], ValueError, r"\(4, 5, 2\).*1\|3\|4"),
    "channels first": (np.zeros((3, 40, 50)), ValueError, r"\(3, 40, 50\).*channels last"),
    "no rows": (ZEROS[:0], ValueError, r"\(0, 5, 3\).*no pixel"),
    "no columns": (ZEROS[:, :0, 0], ValueError, r"\(4, 0\).*no pixel"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("step", [to_gray, grey_levels, resize_keep_aspect])
def test_what_is_no_image_is_refused_by_value_and_remedy(step, name):
    image, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        step(image)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("step", [to_gray, grey_levels, resize_keep_aspect])
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3)])
def test_non_finite_pixels_are_counted_and_the_first_is_named(step, value, shape):
    image = np.zeros(shape, np.float32)
    image.reshape(4, 6, -1)[[2, 3], [5, 0], -1] = value              # in one channel of several
    with pytest.raises(ValueError, match=r"NaN or inf in 2 of 24 pixels.*\(x, y\) = \(5, 2\).*nan_to_num"):
        step(image)


def test_an_unknown_channel_order_is_refused():
    with pytest.raises(ValueError, match="'grb'.*'rgb' or 'bgr'"):
        to_gray(ZEROS, order="grb")


@pytest.mark.parametrize("order, code", [("rgb", cv2.COLOR_RGB2GRAY), ("bgr", cv2.COLOR_BGR2GRAY)])
def test_levels_of_uint8_are_the_integers_of_cv2(order, code):
    image = picture()
    levels = grey_levels(image, order=order)
    assert levels.dtype == np.float32
    np.testing.assert_array_equal(levels, cv2.cvtColor(image, code))


@pytest.mark.parametrize("convert", [lambda a: a.astype(np.uint16) * 257, lambda a: a / 255,
                                     lambda a: (a / 255).astype(np.float32)], ids=["uint16", "f64", "f32"])
def test_every_grey_level_of_8_bits_survives_any_dtype_exactly(convert):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(grey_levels(convert(levels)), levels)


@given(low=st.floats(-1e4, 1e4), span=st.floats(1e-2, 1e4))
def test_an_intensity_range_undoes_any_gain_and_offset(low, span):
    image = picture("float64", (5, 7))
    levels = grey_levels(image * span + low, (low, low + span))
    np.testing.assert_allclose(levels, image * 255, atol=1e-4 + 1e-9 * abs(low) / span)


def test_an_intensity_range_holds_for_integers_too():
    image = picture()
    np.testing.assert_array_equal(grey_levels(image, (0, 255)), grey_levels(image))
    for dtype, white in (("uint8", 15), ("uint16", 4095)):
        few_bits = np.array([[0, white]], dtype)
        np.testing.assert_array_equal(grey_levels(few_bits, (0, white)), [[0, 255]])


@pytest.mark.parametrize("bounds, error", [
    ((1, 1), ValueError), ((2, 1), ValueError), ((0, np.inf), ValueError), ((np.nan, 1), ValueError),
    ((-1.7e308, 1.7e308), ValueError), (255, TypeError), ((0, 1, 2), TypeError), (("a", "b"), TypeError)])
def test_a_range_that_is_none_is_refused_by_value(bounds, error):
    with pytest.raises(error, match=re.escape(f"intensity_range={bounds!r}") + r".*\(0, 255\)"):
        grey_levels(ZEROS, bounds)


@pytest.mark.parametrize("image, named", [(ZEROS + 255, "255"), (ZEROS - 0.6, "-0.6"), (ZEROS + 1.6, "1.6")])
def test_floats_far_outside_0_to_1_are_refused_with_both_remedies(image, named):
    with pytest.raises(ValueError, match=named + r".*divide.*intensity_range"):
        grey_levels(image)


def test_floats_that_overshoot_a_little_are_kept_unclipped():
    np.testing.assert_allclose(grey_levels(np.array([[-0.1, 1.2]])), [[-25.5, 306]], rtol=1e-6)


@pytest.mark.parametrize("value", [3e38, -3e38])
def test_values_that_would_overflow_the_pipeline_are_refused(value):
    with pytest.raises(ValueError, match=r"3e\+38.*far outside \(0, 1\)"):
        grey_levels(np.full((2, 2), value, np.float32), (0, 1))


@pytest.mark.parametrize("dtype", [np.uint8, bool])
def test_a_mask_is_true_where_it_is_not_zero(dtype):
    mask = np.array([[0, 1, 255], [7, 0, 0]]).astype(dtype)
    checked = check_mask(mask[:, ::-1], (2, 3))
    assert checked.dtype == bool and checked.flags.c_contiguous
    np.testing.assert_array_equal(checked, [[True, True, False], [False, False, True]])
    assert check_mask(None, (2, 3)) is None


@pytest.mark.parametrize("mask, error, message", [
    (np.ones((3, 2), bool), ValueError, r"\(3, 2\).*\(2, 3\)"),
    (np.ones((2, 3, 1), bool), ValueError, r"\(2, 3, 1\)"),
    (np.ones((2, 3)), TypeError, "float64.*!= 0"),
    (np.ones((2, 3), int), TypeError, "int64.*!= 0"),
    ([[1, 1, 1], [1, 1, 1]], TypeError, "list.*np.asarray"),
])
def test_a_mask_of_another_shape_or_dtype_is_refused(mask, error, message):
    with pytest.raises(error, match=message):
        check_mask(mask, (2, 3))


def seed_resize(image, max_dim):
    """The notebook's own function, on cv2: what ours has to equal."""
    h, w = image.shape[:2]
    scale = min(1.0, max_dim / max(h, w))
    size = max(1, int(w * scale)), max(1, int(h * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], *image.shape[2:])


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
@pytest.mark.parametrize("max_dim", [300, 257, 150, 31, 1])
def test_a_photograph_shrinks_as_with_cv2_inter_area(name, max_dim):
    image = photos.photo(name)
    ours, theirs = resize_keep_aspect(image, max_dim), seed_resize(image, max_dim)
    exact = seed_resize(image.astype(np.float64), max_dim)
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    np.testing.assert_allclose((exact % 1)[ours != theirs], 0.5, atol=2e-3)       # halves may round apart


@given(height=st.integers(1, 60), width=st.integers(1, 60), max_dim=st.integers(1, 70),
       dtype=st.sampled_from(ACCEPTED), channels=st.sampled_from([(), (1,), (3,), (4,)]))
def test_every_size_dtype_and_channel_count_shrinks_as_with_cv2(height, width, max_dim, dtype, channels):
    image = picture(dtype, (height, width, *channels))
    ours, theirs = resize_keep_aspect(image, max_dim), seed_resize(image, max_dim)
    assert ours.dtype == dtype and ours.shape == theirs.shape
    if np.dtype(dtype).kind == "u":
        assert np.abs(ours.astype(int) - theirs).max() <= 1
    else:
        np.testing.assert_allclose(ours, theirs, atol=3e-6)


@given(height=st.integers(1, 40), width=st.integers(1, 40), max_dim=st.integers(1, 50))
def test_resizing_never_enlarges_and_commutes_with_transposition(height, width, max_dim):
    image = picture("float64", (height, width))
    small = resize_keep_aspect(image, max_dim)
    assert max(small.shape) <= max_dim and (np.array(small.shape) <= image.shape).all()
    np.testing.assert_allclose(resize_keep_aspect(image.T, max_dim), small.T, atol=1e-12)
    if max(height, width) <= max_dim:
        np.testing.assert_array_equal(small, image)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resizing_keeps_the_mean_and_any_constant(dtype):
    image = picture(dtype, (90, 120, 3))
    np.testing.assert_allclose(resize_keep_aspect(image, 28).mean(), image.mean(), rtol=1e-6)   # to 21 × 28
    np.testing.assert_allclose(resize_keep_aspect(np.full((70, 90), 0.1, dtype), 37), 0.1, rtol=1e-6)


@pytest.mark.parametrize("max_dim, error", [
    (0, ValueError), (-3, ValueError), (2.5, TypeError), ("8", TypeError), (None, TypeError)])
def test_a_max_dim_that_is_no_size_is_refused_by_value(max_dim, error):
    with pytest.raises(error, match=f"max_dim={re.escape(repr(max_dim))}"):
        resize_keep_aspect(ZEROS, max_dim)
