"""Feature files: what is written comes back, what is damaged is refused by name, and no file is ever half written."""
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysift.files import read_features, read_params, replacing, write_arrays, write_features
from pysift.keypoints import Features, Keypoints
from strategies import params
from test_layouts import features, some_features

TEXTS = {"lowe": ".key", "vlfeat": ".sift"}


@given(data=st.data(), params=params(), dtype=st.sampled_from([np.uint8, np.float32]))
def test_an_npz_file_gives_keypoints_descriptors_and_params_back_to_the_bit(tmp_path_factory, data, params, dtype):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    written = data.draw(features(dtype))
    write_features(path, written, params)
    read = read_features(path)
    assert read.keypoints == written.keypoints and read_params(path) == params
    assert read.descriptors.dtype == dtype and np.array_equal(read.descriptors, written.descriptors)


def test_a_keypoint_without_orientation_comes_back_from_npz_without_one(tmp_path):
    upright = Features(Keypoints.at([1], [2], 3.0), np.zeros((1, 128), np.uint8))
    write_features(tmp_path / "a.npz", upright)
    assert np.isnan(read_features(tmp_path / "a.npz").keypoints.theta[0])


@pytest.mark.parametrize("kind", TEXTS)
def test_a_file_of_any_suffix_is_read_as_the_kind_that_its_suffix_names(tmp_path, kind):
    written = some_features(1, 4)
    write_features(tmp_path / f"a{TEXTS[kind].upper()}", written)
    assert np.array_equal(read_features(tmp_path / f"a{TEXTS[kind].upper()}").descriptors, written.descriptors)
    write_features(tmp_path / "a.txt", written, kind=kind)
    assert (tmp_path / "a.txt").read_text() == (tmp_path / f"a{TEXTS[kind].upper()}").read_text()


@given(place=st.floats(0, 1, exclude_max=True))
def test_an_npz_file_cut_short_anywhere_is_a_value_error_that_names_it(tmp_path_factory, place):
    path = tmp_path_factory.mktemp("cut") / "a.npz"
    write_features(path, some_features(0, 3))
    path.write_bytes(path.read_bytes()[:int(place * path.stat().st_size)])
    with pytest.raises(ValueError, match="a.npz"):
        read_features(path)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_an_npz_file_with_a_flipped_bit_is_read_or_refused_and_raises_nothing_else(tmp_path_factory, place, bit):
    path = tmp_path_factory.mktemp("bit") / "a.npz"
    write_features(path, some_features(0, 3))
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    try:
        assert len(read_features(path).keypoints) == 3
    except ValueError as error:
        assert "a.npz" in str(error)


def columns(**changes):
    found = some_features(0, 3)
    arrays = {**vars(found.keypoints), "descriptors": found.descriptors, **changes}
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize("arrays, words", [
    (columns(theta=None), "no array called 'theta'"),
    (columns(descriptors=None), "no array called 'descriptors'"),
    (columns(x=np.zeros(2)), "must be one-dimensional and of the same length"),
    (columns(x=np.array(["a", "b", "c"])), "could not convert"),
    (columns(descriptors=np.zeros((2, 128), np.uint8)), "3 keypoints and descriptors uint8"),
    (columns(descriptors=np.zeros(3, np.uint8)), "3 keypoints and descriptors uint8"),
    (columns(descriptors=np.array([["a"]] * 3)), "3 keypoints and descriptors <U1"),
    (columns(x=np.array([None] * 3)), "pickle"),                             # pickles run code: never loaded
])
def test_an_npz_file_that_holds_something_else_says_what(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        read_features(tmp_path / "a.npz")


@pytest.mark.parametrize("stored", ["not json", "[]", '{"sigma": -1}', '{"of_a_later_version": 1}'])
def test_parameters_that_cannot_be_read_are_refused_and_the_features_are_not(tmp_path, stored):
    np.savez(tmp_path / "a.npz", **columns(params=stored))
    with pytest.raises(ValueError, match="a.npz keeps parameters"):
        read_params(tmp_path / "a.npz")
    assert len(read_features(tmp_path / "a.npz").keypoints) == 3


def test_files_without_parameters_have_none(tmp_path):
    np.savez(tmp_path / "a.npz", **columns())
    write_features(tmp_path / "a.key", some_features(0, 3))
    assert read_params(tmp_path / "a.npz") is None and read_params(tmp_path / "a.key") is None


@pytest.mark.parametrize("name, content", [("a.npz", b"text"), ("a.npz", b""), ("a.key", b"\x89PNG"),
                                           ("a.sift", "1 2 3 é".encode()), ("a.txt", b"1 2 3"), ("a", b"")])
def test_what_is_no_feature_file_is_a_value_error_that_names_it(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        read_features(tmp_path / name)


def test_a_bare_array_is_no_npz_file(tmp_path):
    with open(tmp_path / "a.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="a.npz is no npz file"):
        read_features(tmp_path / "a.npz")


def test_a_zip_file_of_something_else_is_no_feature_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match="a.npz"):
        read_features(tmp_path / "a.npz")


def test_a_missing_file_and_a_folder_are_os_errors_that_name_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.npz"):
        read_features(tmp_path / "missing.npz")
    (tmp_path / "folder.key").mkdir()
    with pytest.raises(IsADirectoryError, match="folder.key"):
        read_features(tmp_path / "folder.key")


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_layout_refuses_descriptors_that_are_no_128_bytes(tmp_path, kind):
    path = tmp_path / f"a{TEXTS[kind]}"
    for descriptors in (np.zeros((1, 128), np.float32), np.zeros((1, 72), np.uint8)):
        with pytest.raises(ValueError, match="128 integers"):
            write_features(path, Features(Keypoints.at([1], [2], 3.0), descriptors))
    assert not path.exists()


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'csv'"):
        write_features(tmp_path / "a.npz", some_features(0, 1), kind="csv")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    for failure in (RuntimeError, OSError, KeyboardInterrupt):
        with pytest.raises(failure), replacing(path) as part:
            part.write_text("half")
            raise failure
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_until_the_end_of_a_write_the_old_file_is_there_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old" and part.suffix == ".txt"
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["a.txt"]


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "a.npz", tmp_path / "link.npz"
    link.symlink_to(target)
    write_arrays(link, {"x": np.zeros(3)})
    assert link.is_symlink() and np.load(target)["x"].shape == (3,)


def test_a_folder_a_device_and_a_missing_folder_are_refused_by_name(tmp_path):
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)                                          # replacing it would be to remove a device
    for path, words in ((tmp_path, "is a folder"), (fifo, "device"), (tmp_path / "no" / "a", "its folder exists")):
        with pytest.raises(OSError, match=words) as error, replacing(path) as part:
            part.write_text("x")
        assert str(path) in str(error.value)
    assert not fifo.is_file() and os.listdir(tmp_path) == ["pipe"]
