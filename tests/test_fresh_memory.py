"""What a call does with memory: nothing is read before it was written, and its peak is the one foretold."""
import ctypes
import platform
import subprocess
import sys

import numpy as np
import pytest

from child_process import exit_of
from pysift.descriptor import describe_octave
from pysift.kernels.blur import empty_blocks
from pysift.orientation import angle_histogram, assign_orientations
from pysift.params import SIFTParams
from pysift.pipeline import peak_bytes, sift
from pysift.scalespace import build_scalespace, gaussian_kernel
from pysift.threads import get_num_threads, set_num_threads
from pysift.workspace import borrowed
from strategies import noise, photo

M_PERTURB = -6                                     # of glibc's malloc.h: fill memory with the complement of a byte
FILLS = (0xFF, 0x7E, 0xFE, 0x80, 0x3C)             # four of one are, in float32: NaN, 8e37, −2e38, −1e-38 and 0.01
needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc fills fresh memory on request")


def each_step(fill=0):
    """Run every step on few and on many keypoints; the scale space's memory is filled with a byte.  Returns all."""
    with borrowed(1 << 20) as values:
        values.view(np.uint8)[:] = fill
    level, rng = noise(7, (40, 50)), np.random.default_rng(8)
    few = [describe_octave(level[None], np.zeros(n, int), *rng.uniform(2, 38, (2, n)), np.linspace(1, 3, n),
                           rng.uniform(0, 360, n), SIFTParams(n_desc_bins=bins))
           for n in range(1, 6) for bins in (1, 8, 14, 15)]
    few += [assign_orientations(level[None], np.zeros(n, int), *rng.integers(2, 38, (2, n)), np.linspace(1, 3, n))[1]
            for n in range(1, 6)]
    octaves = build_scalespace(photo("coins", 45, 601).astype(np.float32))
    keypoints, descriptors = sift(photo("coins", 90, 101))
    assert len(keypoints) > 20
    return [*few, angle_histogram(level, 20, 20, 2.0), *(o.levels for o in octaves), keypoints.xy, keypoints.theta,
            descriptors]


@needs_glibc
@pytest.mark.parametrize("fill", FILLS)
def test_no_step_reads_memory_that_it_did_not_write(fill):
    """Whatever stood in fresh memory, the results are the same; addresses computed from it would end the process."""
    expected = each_step()

    def again():
        assert ctypes.CDLL(None).mallopt(M_PERTURB, fill ^ 0xFF) == 1
        assert (np.full(10**6, 5.0).astype(np.float32) == 5).all()
        for ours, theirs in zip(each_step(fill), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    before = get_num_threads()
    try:
        set_num_threads(1)                          # a pool of threads does not survive the fork
        assert exit_of(again) == 0
    finally:
        set_num_threads(before)


@needs_glibc
def test_fresh_memory_is_filled_on_request():
    """The test above would hold nothing if glibc did not heed it."""
    def look():
        ctypes.CDLL(None).mallopt(M_PERTURB, 0x7E ^ 0xFF)
        assert (empty_blocks(100, 3).view(np.uint8) == 0x7E).mean() > 0.99

    assert exit_of(look) == 0


GROWTH = """
import sys
import numpy as np
import pysift

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

height, width, octave = map(int, sys.argv[1:])
params, image = pysift.SIFTParams(first_octave=octave), np.full((height, width), 7, np.uint8)
pysift.set_num_threads(1)
pysift.sift(np.zeros((64, 64), np.uint8), params)                      # code is loaded, and is not counted
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")                          # the peak starts from here
pysift.sift(image, params)
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc for the peak of a process")
@pytest.mark.parametrize("height, width, octave", [(700, 900, -1), (350, 1900, -1), (1400, 1500, 0)])
def test_a_call_needs_the_memory_foretold_and_no_more(height, width, octave):
    """Rows blurred along x wait in blocks beside it, and Python and malloc take their pages: 1 MiB."""
    p = SIFTParams(first_octave=octave)
    done = subprocess.run([sys.executable, "-c", GROWTH, *map(str, (height, width, octave))],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    foretold = peak_bytes(height, width, p)
    taps = [len(gaussian_kernel(sigma, p)) for sigma in p.level_sigmas()]
    blocks = sum(empty_blocks(width * 2**-octave, n // 2).nbytes for n in taps)
    assert 0.99 * foretold < int(done.stdout) < foretold + blocks + 2**20
