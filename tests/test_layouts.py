"""The text layouts: what is written comes back, their own programs can read it, and a damaged text says where."""
import io
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysift.keypoints import Features, Keypoints
from pysift.layouts import from_text, to_text
from strategies import seeds

kinds = st.sampled_from(["lowe", "vlfeat"])


def some_features(seed, n, dtype=np.uint8):
    """N keypoints as a detector leaves them, float32 throughout, θ in [0, 2π)."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 4000, (2, n))
    sigma = rng.uniform(0.5, 200, n).astype("f4")
    theta = np.deg2rad(rng.uniform(0, 360, n).astype(np.float32).astype(float))
    descriptors = rng.integers(0, 256, (n, 128)) if dtype == np.uint8 else rng.random((n, 128))
    return Features(Keypoints.at(x, y, sigma, theta, rng.random(n)), descriptors.astype(dtype))


def features(dtype=np.uint8):
    return st.builds(some_features, seeds, st.integers(0, 6), st.just(dtype))


@given(written=features(), kind=kinds)
def test_a_text_layout_gives_place_size_and_descriptor_back_to_the_bit_and_the_angle_to_nine_digits(written, kind):
    read = from_text(to_text(written, kind), kind, "a")
    for name in ("x", "y", "sigma", "octave", "layer"):
        assert np.array_equal(getattr(read.keypoints, name), getattr(written.keypoints, name)), name
    turn = np.angle(np.exp(1j * (read.keypoints.theta - written.keypoints.theta)))
    assert np.abs(turn).max(initial=0) < 1e-8
    assert read.descriptors.dtype == np.uint8 and np.array_equal(read.descriptors, written.descriptors)


@given(written=features())
def test_lowes_own_way_of_reading_finds_row_column_scale_and_minus_theta(written):
    """His readers take words one by one: N, 128, then four floats and 128 integers a keypoint."""
    text = to_text(written, "lowe")
    words = iter(text.split())
    n, length = int(next(words)), int(next(words))
    assert (n, length) == (len(written.keypoints), 128)
    for keypoint, descriptor in zip(written.keypoints, written.descriptors):
        row, col, scale, angle = (np.float32(next(words)) for _ in range(4))
        assert (col, row, scale) == (keypoint.x[0], keypoint.y[0], keypoint.sigma[0])
        assert -np.pi <= angle <= np.pi + 1e-6
        assert abs(np.exp(1j * angle) - np.exp(-1j * keypoint.theta[0])) < 1e-6
        assert [int(next(words)) for _ in range(128)] == descriptor.tolist()
    assert not list(words)
    assert [len(line.split()) for line in text.splitlines()[1:]] == [4, *[20] * 6, 8] * n


@given(seed=seeds, n=st.integers(1, 5))
def test_numpy_reads_a_vlfeat_file_as_x_y_sigma_theta_and_cells_whose_bins_run_the_other_way(seed, n):
    keypoints, descriptors = some_features(seed, n)
    table = np.loadtxt(io.StringIO(to_text(Features(keypoints, descriptors), "vlfeat")), ndmin=2)
    assert np.array_equal(table[:, :3].astype(np.float32), np.stack([keypoints.x, keypoints.y, keypoints.sigma], 1))
    np.testing.assert_allclose(table[:, 3], keypoints.theta, atol=1e-8)
    ours, theirs = descriptors.reshape(-1, 16, 8), table[:, 4:].reshape(-1, 16, 8)
    assert np.array_equal(theirs, ours[:, :, [0, 7, 6, 5, 4, 3, 2, 1]])


def test_a_file_with_the_few_digits_of_lowes_program_is_read():
    text = "1 128\n 22.43 101.50 4.05 -1.571\n" + "\n".join(" " + " ".join(["7"] * n) for n in [20] * 6 + [8])
    keypoints, descriptors = from_text(text, "lowe", "a.key")
    assert (keypoints.x[0], keypoints.y[0]) == (101.5, np.float32(22.43))
    np.testing.assert_allclose(keypoints.theta, 1.571)
    assert (descriptors == 7).all()


def swap(text, line, word, new):
    lines = text.splitlines()
    words = lines[line - 1].split()
    words[word] = new
    return "\n".join([*lines[:line - 1], " ".join(words), *lines[line:]])


DAMAGED = [                                      # kind, damage, what the message says after the name
    ("lowe",   lambda t: "",                            ":1: '' is not 'N 128'"),
    ("lowe",   lambda t: swap(t, 1, 0, "x"),            ":1: 'x 128' is not 'N 128'"),
    ("lowe",   lambda t: swap(t, 1, 1, "64"),           ":1: '3 64' is not 'N 128'"),
    ("lowe",   lambda t: swap(t, 1, 0, "4"),            ":25: ends in keypoint 4 of 4"),
    ("lowe",   lambda t: swap(t, 1, 0, "2"),            ":18: goes on after keypoint 2"),
    ("lowe",   lambda t: "\n".join(t.splitlines()[:9]), ":9: ends in keypoint 2 of 3"),
    ("lowe",   lambda t: swap(t, 10, 2, "two"),         ":10: 'two' is no number"),
    ("lowe",   lambda t: swap(t, 10, 2, "0"),           ":10: '0' cannot stand there"),
    ("lowe",   lambda t: swap(t, 10, 0, "nan"),         ":10: 'nan' cannot stand there"),
    ("lowe",   lambda t: swap(t, 10, 3, "inf"),         ":10: 'inf' cannot stand there"),
    ("lowe",   lambda t: swap(t, 12, 19, "256"),        ":12: '256' cannot stand there"),
    ("lowe",   lambda t: swap(t, 12, 0, "-1"),          ":12: '-1' cannot stand there"),
    ("lowe",   lambda t: swap(t, 25, 7, "1.5"),         ":25: '1.5' cannot stand there"),
    ("vlfeat", lambda t: t + "1 2 3 4",                 ":4: 4 numbers"),
    ("vlfeat", lambda t: "1 2 3\n" + t,                 ":1: 3 numbers"),
    ("vlfeat", lambda t: swap(t, 2, 131, "many"),       ":2: 'many' is no number"),
    ("vlfeat", lambda t: swap(t, 2, 2, "-3"),           ":2: '-3' cannot stand there"),
    ("vlfeat", lambda t: swap(t, 3, 2, "1e-60"),        ":3: '1e-60' cannot stand there"),
    ("vlfeat", lambda t: swap(t, 3, 0, "1e60"),         ":3: '1e60' cannot stand there"),
]


@pytest.mark.parametrize("kind, damage, words", DAMAGED)
def test_a_damaged_text_is_refused_with_the_line(kind, damage, words):
    with pytest.raises(ValueError) as error:
        from_text(damage(to_text(some_features(0, 3), kind)), kind, "a.txt")
    assert str(error.value).startswith(f"a.txt{words}")


@given(kind=kinds, place=st.floats(0, 1), length=st.integers(0, 40),
       new=st.text(string.digits + string.ascii_letters + " .-\n\t", max_size=12))
def test_a_text_with_any_edit_is_read_or_refused_with_a_line_and_raises_nothing_else(kind, place, length, new):
    text = to_text(some_features(0, 3), kind)
    start = int(place * len(text))
    try:
        read = from_text(text[:start] + new + text[start + length:], kind, "a")
    except ValueError as error:
        assert str(error).startswith("a:")
    else:
        assert read.descriptors.shape == (len(read.keypoints), 128) and np.isfinite(read.keypoints.xy).all()
