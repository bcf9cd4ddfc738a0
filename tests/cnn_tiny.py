"""Small data for the tests of cnn: bright bars whose place is the label, as MNIST's files."""
import gzip

import numpy as np
import pytest


def idx(array):
    """Return an array of bytes as an IDX file."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def bars(n, seed):
    """Draw n images (n, 28, 28) of a bar in the row that the label says, under noise, and labels (n,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = rng.integers(0, 90, (n, 28, 28))
    rows = 4 + 2 * labels
    images[np.arange(n), rows, 6:22] = images[np.arange(n), rows + 1, 6:22] = 230
    return images, labels


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A folder in the layout of several sets, with 500 training and 100 test images of "MNIST"."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "mnist").mkdir()
    for half, n, seed in (("train", 500, 0), ("t10k", 100, 1)):
        images, labels = bars(n, seed)
        (folder / "mnist" / f"{half}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / "mnist" / f"{half}-labels-idx1-ubyte").write_bytes(idx(labels))      # gzip or not
    return folder
