"""What `diffsift.sift` says of its memory holds: so many bytes a pixel, so many a slot."""
import re
import sys

import pytest

import diffsift
from benchmarks.gradients import picture
from benchmarks.memory import net

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a process its peak")
CALL = """
import torch
torch.set_num_threads(1)
from benchmarks.gradients import as_images
import diffsift

def call(image):
    images, slots = as_images(image).requires_grad_({derivatives}), {slots} if len(image) > 64 else 4
    with torch.set_grad_enabled({derivatives}):
        x, *_, descriptors = diffsift.sift(images, max_keypoints=slots, mode={mode!r})
        if {derivatives}:
            (x.sum() + (descriptors * descriptors[..., :1]).sum()).backward()
    return x.shape[1]
"""


def stated(derivatives):
    """Bytes a pixel and bytes a slot, as the docstring has them."""
    text = " ".join(diffsift.sift.__doc__.split())
    numbers = re.search(r"with derivatives at most ([\d.]+) kB a pixel of the input and ([\d.]+) MB a slot, without "
                        r"([\d.]+) kB and ([\d.]+) MB", text).groups()
    pixel, slot = map(float, numbers[:2] if derivatives else numbers[2:])
    return 1e3 * pixel, 1e6 * slot


@pytest.mark.parametrize("side, slots, mode, derivatives", [
    (256, 512, "smooth", True), (512, 64, "opencv", True), (512, 64, "smooth", False)])
def test_a_call_needs_what_it_says(side, slots, mode, derivatives):
    """Law: not more, or a user runs out of memory; at least half, or what is said is of no use."""
    measured = net(CALL.format(slots=slots, mode=mode, derivatives=derivatives), picture(side))
    pixel, slot = stated(derivatives)
    assert measured["keypoints"] == slots
    assert 0.5 < measured["net"] / (pixel * side**2 + slot * slots) < 1
