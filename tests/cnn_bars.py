"""Images of bars whose place is the label, and IDX files of them."""
import numpy as np


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
