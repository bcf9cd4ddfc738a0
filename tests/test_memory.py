"""Memory of one call: the ruler measures what it says, and pysift needs what `peak_bytes` promises."""
import sys

import numpy as np
import pytest

from benchmarks.memory import CALLS, net, peak
from benchmarks.photographs import sized
from pysift.params import SIFTParams
from pysift.pipeline import peak_bytes

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process its peak")
TAKES = "def call(image): return len(np.ones({bytes}, np.uint8)) if len(image) > 64 else 0"
SMALL = np.zeros((100, 100), np.uint8)


def test_peak_is_that_of_an_allocation_of_known_size():
    """Law: 200 MB taken and given back by the call are 200 MB of net peak, to 1 MB."""
    measured = net(TAKES.format(bytes=200_000_000), SMALL)
    assert measured["keypoints"] == 200_000_000
    assert measured["net"] == pytest.approx(200_000_000, abs=1_000_000)


def test_peak_of_the_measuring_process_is_not_counted():
    """Law: a process that holds 300 MB measures the same child as one that does not; wait4 would say 300 MB."""
    held = np.ones(300_000_000, np.uint8)
    idle = net(TAKES.format(bytes=0), SMALL)["idle"][0]
    assert held.any() and 5_000_000 < idle < 200_000_000


def test_a_process_that_fails_says_why(tmp_path):
    np.save(tmp_path / "image.npy", SMALL)
    with pytest.raises(RuntimeError, match="(?s)ended with 1.*no memory today"):
        peak("def call(image): raise MemoryError('no memory today')", tmp_path / "image.npy", True)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_call_needs_what_the_formula_says(threads):
    """Law: not more, or check_memory lets pass what does not fit; not below three quarters, or it refuses what does.

    On top of the scale space come the keypoints on their way, some 2 kB each: 128 float32 twice and once more
    as uint8, and the arrays of the candidates, several to a keypoint.  Each thread keeps 32 + 2n rows blurred along
    x of each of the 5 levels, n up to 13, in strips of 528 float32 for 512 columns.
    """
    image = sized(1000, 1000)
    measured = net(CALLS["pysift"].format(threads=threads), image)
    formula = peak_bytes(1000, 1000, SIFTParams.opencv())
    assert measured["keypoints"] > 3000
    rows = threads * 5 * (32 + 2 * 13) * 528 * 4 * -(-2000 // 512)
    assert 0.75 * formula < measured["net"] < formula + rows + 2000 * measured["keypoints"]


@pytest.mark.parametrize("shape", [(512, 512), (333, 777), (1732, 2310)])
def test_a_picture_has_the_size_asked_for(shape):
    image = sized(*shape)
    assert image.shape == shape and image.dtype == np.uint8


def test_nothing_is_shown_twice_while_the_photographs_last():
    """Law: no column of a band comes again in 5.6 megapixels, flat ones apart; of 11.2 half are mirror images."""
    def distinct(image):
        columns = np.vstack([image[i:i + 250].T for i in range(0, len(image), 250)])
        columns = columns[np.ptp(columns, axis=1) > 16]
        return len({column.tobytes() for column in columns}) / len(columns)

    assert distinct(sized(2000, 2800)) == 1
    assert distinct(sized(4000, 2800)) == pytest.approx(0.5, abs=0.02)


def test_a_picture_larger_than_all_photographs_is_refused():
    with pytest.raises(ValueError, match="6000 × 5000 is more than 22 megapixels"):
        sized(5000, 6000)
