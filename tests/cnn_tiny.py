"""Small data for the tests of cnn, as MNIST's files; they name this module in pytest_plugins."""
import gzip

import pytest

from cnn_bars import bars, idx


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
