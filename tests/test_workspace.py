"""The buffer that outlives a call: lent to one at a time, whatever stands in it, and the system's when it needs it."""
import mmap
import resource
import sys

import numpy as np
import pytest

from pysift import workspace
from pysift.pipeline import sift
from pysift.workspace import borrowed
from strategies import photo

needs_mark = pytest.mark.skipif(not hasattr(mmap, "MADV_FREE"), reason="this system cannot mark memory as free")
LARGE = workspace._UNMARKED // 4 + 1000                       # float32 of a buffer that is kept only if marked


@pytest.fixture(autouse=True)
def no_spare():
    workspace._spare.clear()
    yield
    workspace._spare.clear()


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


@pytest.mark.parametrize("first, second, same", [(5000, 5000, True), (5000, 3000, True), (3000, 5000, False)])
def test_the_next_call_gets_the_same_buffer_if_it_is_large_enough(first, second, same):
    with borrowed(first) as a:
        a[:] = 7
    with borrowed(second) as b:
        assert b.shape == (second,) and b.dtype == np.float32
        assert np.shares_memory(a, b) == same
        b[:] = 8                                              # all of it can be written


def test_two_at_a_time_never_share():
    with borrowed(1000) as a, borrowed(1000) as b, borrowed(1000) as c:
        assert not np.shares_memory(a, b) and not np.shares_memory(b, c) and not np.shares_memory(a, c)
    assert len(workspace._spare) == 1


def test_an_error_inside_gives_the_buffer_back():
    with pytest.raises(KeyError), borrowed(1000) as a:
        raise KeyError
    with borrowed(1000) as b:
        assert np.shares_memory(a, b)


def test_of_nothing_there_is_nothing():
    with borrowed(0) as values:
        assert values.shape == (0,)


def test_more_than_there_is_is_refused():
    with pytest.raises(MemoryError, match="GiB to give: resize"), borrowed(1 << 48):
        pass


@needs_mark
def test_a_large_buffer_costs_no_fresh_pages_a_second_time():
    """Law: while no one else needs the memory, a marked buffer is written to without page faults."""
    with borrowed(LARGE) as values:
        values[:] = 1
    before = faults()
    with borrowed(LARGE) as values:
        values[:] = 2
    assert faults() - before < LARGE * 4 // mmap.PAGESIZE / 20


@needs_mark
def test_what_the_system_took_is_replaced(monkeypatch):
    """Law: the pages of a marked buffer may vanish between two calls; the next call gets fresh ones, and its result."""
    image = photo("coins", 90, 101)
    expected = sift(image)
    monkeypatch.setattr(workspace, "_UNMARKED", 0)
    sift(image)
    buffer = workspace._spare[0]
    buffer.pages.madvise(mmap.MADV_DONTNEED)                  # as a system short of memory does with marked pages
    assert not buffer.values.any()
    found = sift(image)
    assert workspace._spare[0] is buffer
    np.testing.assert_array_equal(found.descriptors, expected.descriptors)


def test_where_there_is_no_mark_a_large_buffer_is_not_kept(monkeypatch):
    monkeypatch.delattr(mmap, "MADV_FREE", raising=False)
    monkeypatch.setattr(workspace, "_UNMARKED", 4000)
    with borrowed(1000):
        pass
    assert len(workspace._spare) == 1
    with borrowed(1001):
        pass
    assert not workspace._spare


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows what a mapping is marked as")
@needs_mark
def test_a_large_buffer_is_marked_and_a_small_one_is_not(monkeypatch):
    """Oracle: LazyFree of /proc/self/smaps, the kernel's own count of marked pages."""
    def marked():
        with open("/proc/self/smaps") as file:
            return 1024 * sum(int(line.split()[1]) for line in file if line.startswith("LazyFree:"))

    with borrowed(1 << 20) as values:
        values[:] = 1
    small = marked()
    monkeypatch.setattr(workspace, "_UNMARKED", 0)
    with borrowed(1 << 20) as values:
        values[:] = 1
    assert marked() - small > 0.9 * (4 << 20)
