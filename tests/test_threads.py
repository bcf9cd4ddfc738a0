"""Splitting a range over threads: the pieces, their order, their errors, and results that no thread can change."""
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysift.image import grey_levels
from pysift.params import SIFTParams
from pysift.pipeline import sift
from pysift.scalespace import build_scalespace
from pysift.threads import get_num_threads, over, set_num_threads
from strategies import photo


@pytest.fixture(autouse=True)
def threads_as_before():
    before = get_num_threads()
    yield
    set_num_threads(before)


def piece(first, last):
    """Return the indices of a piece; earlier pieces take longer, so that they end last."""
    time.sleep(0.002 if first == 0 else 0)
    return list(range(first, last))


@given(st.integers(0, 400), st.integers(1, 100), st.integers(1, 8))
def test_pieces_are_the_range_in_order(n, grain, threads):
    """For any length, grain and number of threads every index comes once, and the results are in order."""
    set_num_threads(threads)
    pieces = over(n, piece, grain=grain)
    assert sum(pieces, []) == list(range(n))
    assert len(pieces) == 1 or min(len(p) for p in pieces) >= grain


def test_empty_range_is_one_call_on_nothing():
    for threads in (1, 4):
        set_num_threads(threads)
        assert over(0, lambda first, last: (first, last)) == [(0, 0)]


def test_arguments_come_before_the_range():
    set_num_threads(2)
    assert over(8, lambda *args: args, "a", "b", grain=8) == [("a", "b", 0, 8)]
    assert {args[:2] for args in over(8, lambda *args: args, "a", "b")} == {("a", "b")}


@pytest.mark.parametrize("threads", [1, 5, 2])
def test_as_many_threads_run_at_once_as_were_asked_for(threads):
    """A barrier lets nobody pass before that many have come; fewer than before are fewer indeed."""
    set_num_threads(threads)
    assert get_num_threads() == threads
    barrier = threading.Barrier(threads)
    names = over(4 * threads, lambda first, last: (barrier.wait(20), threading.get_ident())[1])
    assert len(set(names)) == threads
    assert threading.get_ident() in names                                # the caller is one of them


def test_small_ranges_are_not_split():
    """Pieces below the grain are not worth a thread: the caller does the work."""
    set_num_threads(4)
    assert over(99, lambda first, last: (first, last, threading.get_ident()), grain=50) == [
        (0, 99, threading.get_ident())]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_exception_reaches_the_caller_and_does_no_harm(threads):
    def fail(first, last):
        if last == 100:
            raise ZeroDivisionError(f"in {first} … {last}")
        return first

    set_num_threads(threads)
    with pytest.raises(ZeroDivisionError, match="… 100$"):
        over(100, fail)
    assert sum(over(100, piece), []) == list(range(100))


@pytest.mark.parametrize("n", [0, -1, 2.0, 1.5, "2", None, True, [2]])
def test_what_is_no_number_of_threads_is_refused_with_value_and_remedy(n):
    set_num_threads(3)
    with pytest.raises((ValueError, TypeError)) as error:
        set_num_threads(n)
    assert f"n={n!r}" in str(error.value) and "integer from 1" in str(error.value)
    assert get_num_threads() == 3


def test_numpy_integers_are_numbers_of_threads():
    set_num_threads(np.int64(2))
    assert get_num_threads() == 2 and type(get_num_threads()) is int


@pytest.mark.parametrize("mode", [SIFTParams.opencv(), SIFTParams(n_octave_layers=4, descriptor="float32")],
                         ids=["opencv", "float32"])
def test_any_number_of_threads_gives_the_same_features_to_the_bit(mode):
    image, found = photo("camera"), []
    for threads in (1, 2, 3, 7):
        set_num_threads(threads)
        found.append(sift(image, mode))
    for f in found[1:]:
        assert f.keypoints == found[0].keypoints and len(f.keypoints) > 500
        np.testing.assert_array_equal(f.descriptors, found[0].descriptors)


def test_any_number_of_threads_gives_the_same_scale_space_to_the_bit():
    grey, found = grey_levels(photo("coins")), []
    for threads in (1, 2, 3, 7):
        set_num_threads(threads)
        found.append(build_scalespace(grey))
    for octaves in found[1:]:
        for octave, expected in zip(octaves, found[0], strict=True):
            np.testing.assert_array_equal(octave.levels, expected.levels)
            np.testing.assert_array_equal(octave.dog, expected.dog)
