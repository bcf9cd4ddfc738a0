"""The table of keypoints: its columns and rows, keypoints placed by hand, and cv2's packed octave."""
import functools
import pickle

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pysift.keypoints import Features, Keypoints
from pysift.params import SIFTParams
from pysift.pipeline import detect
from strategies import photo, seeds

COLUMNS = {"x": "float32", "y": "float32", "sigma": "float32", "theta": "float64", "response": "float32",
           "octave": "int32", "layer": "int32", "offset": "float32"}
sizes = st.integers(0, 12)
spaces = st.builds(SIFTParams, n_octave_layers=st.integers(1, 6), sigma=st.floats(0.8, 3),
                   first_octave=st.sampled_from([-1, 0]))


def table(seed, n):
    """Return n keypoints of random columns; every other θ is NaN."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.integers(-1, 9, n) if kind == "int32" else rng.normal(size=n)
               for name, kind in COLUMNS.items()}
    columns["theta"][::2] = np.nan
    return Keypoints(**columns)


def columns(keypoints):
    return [getattr(keypoints, name) for name in COLUMNS]


def assert_rows(keypoints, expected):
    """Columns equal a list of arrays to the bit."""
    for column, wanted in zip(columns(keypoints), expected, strict=True):
        np.testing.assert_array_equal(column, wanted)


@functools.cache
def opencv_keypoints():
    """Return cv2's keypoints of a photograph as columns: x, y, σ, θ, response and the packed octave."""
    cv2 = pytest.importorskip("cv2")
    found = cv2.SIFT_create().detect(photo("coins"), None)
    return np.array([(*k.pt, k.size / 2, np.deg2rad(k.angle), k.response, k.octave) for k in found]).T


@given(seeds, sizes)
def test_columns_have_their_types(seed, n):
    k = table(seed, n)
    assert {name: getattr(k, name).dtype.name for name in COLUMNS} == COLUMNS
    assert len(k) == n and all(c.shape == (n,) and c.flags.c_contiguous for c in columns(k))
    assert k.xy.dtype == np.float32
    np.testing.assert_array_equal(k.xy, np.stack([k.x, k.y], axis=1))


def test_empty_table_has_columns_of_their_types():
    k = Keypoints.empty()
    assert len(k) == 0 and {name: getattr(k, name).dtype.name for name in COLUMNS} == COLUMNS
    assert k.xy.shape == (0, 2) and k.packed_octave.shape == (0,) and list(k) == []


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_another_length_or_dimension_are_refused_by_name(name):
    for wrong in (np.zeros(2), np.zeros((3, 1)), np.zeros((1, 3))):
        with pytest.raises(ValueError, match=r"^Keypoints\.\w+ has shape .*same length") as error:
            Keypoints(**{**dict.fromkeys(COLUMNS, np.zeros(3)), name: wrong})
        assert str(wrong.shape) in str(error.value)


@given(seeds, st.integers(1, 12), st.data())
def test_indexing_selects_rows_as_it_does_in_numpy(seed, n, data):
    """By mask, indices, slice or one number, which leaves a table of one row."""
    k = table(seed, n)
    rows = data.draw(st.lists(st.integers(-n, n - 1)))
    mask = np.random.default_rng(seed).random(n) < 0.5
    for index in (mask, np.array(rows, int), slice(1, None, 2), slice(None, None, -1)):
        assert_rows(k[index], [c[index] for c in columns(k)])
    for i in (0, -1, np.int32(n - 1)):
        assert_rows(k[i], [c[[i]] for c in columns(k)])
    with pytest.raises(IndexError):
        k[n]


@given(seeds, sizes)
def test_iterating_gives_tables_of_one_row_that_concatenate_to_the_table(seed, n):
    k = table(seed, n)
    rows = list(k)
    assert [len(row) for row in rows] == [1] * n
    assert Keypoints.concatenate(rows) == k


@given(seeds, st.lists(sizes, max_size=4))
def test_concatenation_stacks_in_order(seed, lengths):
    parts = [table(seed + i, n) for i, n in enumerate(lengths)]
    whole = Keypoints.concatenate(parts)
    assert len(whole) == sum(lengths)
    ends = np.cumsum([0, *lengths])
    assert all(whole[a:b] == part for a, b, part in zip(ends, ends[1:], parts))


@given(seeds, st.integers(1, 12), st.sampled_from(list(COLUMNS)))
def test_equal_means_every_column_nan_included(seed, n, name):
    k = table(seed, n)
    assert k == table(seed, n) and pickle.loads(pickle.dumps(k)) == k
    changed = getattr(k, name).copy()
    changed[-1] = 99
    other = k.replace(**{name: changed})
    assert other != k and k == table(seed, n)                           # replace made a copy
    assert k != k[:-1] and k != "Keypoints" and (k == columns(k)) is False


def test_repr_tells_the_length():
    assert repr(table(0, 7)) == "Keypoints(N=7)"


def test_features_unpack_and_pickle():
    f = Features(table(0, 3), np.arange(384, dtype=np.uint8).reshape(3, 128))
    keypoints, descriptors = pickle.loads(pickle.dumps(f))
    assert keypoints == f.keypoints
    np.testing.assert_array_equal(descriptors, f.descriptors)


@given(spaces, st.floats(0.05, 300))
def test_placed_keypoint_takes_the_nearest_level(p, sigma):
    """Of all levels 1 … S from the first octave on, none is nearer to σ; a finer σ takes the first."""
    k, S = Keypoints.at(3, 4, sigma, params=p), p.n_octave_layers
    octaves, layers = np.meshgrid(range(p.first_octave, 12), range(1, S + 1), indexing="ij")
    distance = np.abs(np.log2(p.sigma * 2.0 ** (octaves + layers / S)) - np.log2(sigma))
    assert 1 <= k.layer[0] <= S and k.octave[0] >= p.first_octave
    assert distance[k.octave[0] - p.first_octave, k.layer[0] - 1] <= distance.min() + 1e-9
    assert -0.5 <= k.offset[0] <= 0.5


@given(spaces, st.floats(-0.5, 30))
def test_level_and_offset_of_a_placed_keypoint_give_its_sigma_back(p, depth):
    """σ = σ₀·2^(octave + (layer + offset)/S), from half a layer below the first level on."""
    S = p.n_octave_layers
    sigma = p.sigma * 2 ** (p.first_octave + (1 + depth) / S)
    k = Keypoints.at(0, 0, sigma, params=p)
    back = p.sigma * 2 ** (k.octave + (k.layer + k.offset.astype(float)) / S)
    np.testing.assert_allclose(back, sigma, rtol=1e-7)              # an offset below ½ in float32 is off by 2⁻²⁶
    np.testing.assert_array_equal(k.sigma, np.float32(sigma))


@given(st.floats(-1e4, 1e4))
@example(-1e-20)
@example(2 * np.pi)
def test_theta_is_brought_into_one_turn(theta):
    turned = Keypoints.at(0, 0, 2, theta).theta[0]
    assert 0 <= turned < 2 * np.pi
    assert np.hypot(np.cos(turned) - np.cos(theta), np.sin(turned) - np.sin(theta)) < 1e-11


def test_placed_keypoints_broadcast_and_have_no_angle_unless_it_is_given():
    k = Keypoints.at([1, 2, 3], 5, [2.0], response=[0.1, 0.2, 0.3])
    given = ([1, 2, 3], [5] * 3, [2] * 3, [np.nan] * 3, np.array([0.1, 0.2, 0.3], np.float32))
    assert_rows(k, [*given, k.octave, k.layer, k.offset])
    assert len(Keypoints.at([], [], 1)) == 0


@pytest.mark.parametrize("name", ["x", "y", "sigma"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_place_or_sigma_that_is_no_number_is_refused_with_its_index(name, bad):
    with pytest.raises(ValueError, match=rf"^{name}\[1\]={bad} is no keypoint: give a finite"):
        Keypoints.at(**{**dict.fromkeys(["x", "y", "sigma"], [1, 2]), name: [3, bad]})


@pytest.mark.parametrize("sigma", [0, -1.5])
def test_sigma_must_be_positive(sigma):
    with pytest.raises(ValueError, match=rf"^sigma\[0\]={float(sigma)} .* positive"):
        Keypoints.at(0, 0, sigma)


def test_packed_octave_is_that_of_opencv_on_a_photograph():
    packed = opencv_keypoints()[5]
    k = detect(photo("coins"), SIFTParams.opencv())
    assert len(k) > 500
    np.testing.assert_array_equal(k.packed_octave, packed)


def test_keypoint_placed_at_one_of_opencv_takes_its_level():
    """Octave and layer are cv2's, and so is the packed offset, but where σ's last bits decide a rounding."""
    x, y, sigma, theta, response, packed = opencv_keypoints()
    k, packed = Keypoints.at(x, y, sigma, theta, response), packed.astype(int)
    low = packed & 255
    np.testing.assert_array_equal(k.octave, low - 256 * (low > 127))
    np.testing.assert_array_equal(k.layer, packed >> 8 & 255)
    apart = (k.packed_octave >> 16) - (packed >> 16)
    assert (np.abs(apart) <= 1).all() and (apart == 0).mean() > 0.99
    np.testing.assert_allclose(k.theta, theta % (2 * np.pi))


@given(st.integers(-1, 20), st.integers(0, 30), st.floats(-0.5, 0.5, width=32))
@example(-1, 1, 0.0)                                                    # 127.5 becomes 128
def test_packed_octave_holds_octave_layer_and_offset(octave, layer, offset):
    """A signed byte, a byte, and (offset + ½)·255 to the nearest integer, halves to the even one."""
    k = Keypoints.at(0, 0, 1).replace(octave=[octave], layer=[layer], offset=[offset])
    assert k.packed_octave[0] == octave % 256 + 256 * layer + 65536 * round((offset + 0.5) * 255)
