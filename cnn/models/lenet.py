"""LeNet-5 as the notebook has it, and the notebook's small net: two convolutions, two poolings, then dense.

    image  →  (Conv  →  ReLU  →  MaxPool) × 2  →  Flatten  →  Dense …  →  logits

LeCun, Bottou, Bengio & Haffner 1998 have 32 × 32 images, average pooling and radial basis functions; the notebook
takes the 28 × 28 of MNIST as they are, max pooling, ReLU and dense layers.  Its softmax is left to the loss.
"""
from __future__ import annotations

from torch import nn

from cnn.models.rows import Conv, Dense, Flatten, MaxPool, Shape, chain
from cnn.models.start import he_start

LENET = (                        # of 1 × 28 × 28
    Conv(6, 5),                  # 6 × 24 × 24
    MaxPool(2, 2),               # 6 × 12 × 12
    Conv(16, 5),                 # 16 × 8 × 8
    MaxPool(2, 2),               # 16 × 4 × 4
    Flatten(),                   # 256
    Dense(120),
    Dense(84),
)
SIMPLE = (                       # of 3 × 64 × 64
    Conv(16, 3, same=True),      # 16 × 64 × 64
    MaxPool(2, 2),               # 16 × 32 × 32
    Conv(32, 3, same=True),      # 32 × 32 × 32
    MaxPool(2, 2),               # 32 × 16 × 16
    Flatten(),                   # 8192
)


class LeNet(nn.Sequential):
    """44,426 parameters for 28 × 28 grey images and ten classes.

    Parameters
    ----------
    classes : how many logits
    shape : channels, height and width of an image

    Examples
    --------
    >>> import torch
    >>> LeNet()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    cam_layer = "relu2"

    def __init__(self, classes: int = 10, shape: Shape = (1, 28, 28)) -> None:
        super().__init__(chain(LENET, shape, classes))
        he_start(self)


class SimpleCNN(nn.Sequential):
    """46,053 parameters for 64 × 64 colour images and five classes: the notebook's net of two convolutions."""

    cam_layer = "relu2"

    def __init__(self, classes: int = 5, shape: Shape = (3, 64, 64)) -> None:
        super().__init__(chain(SIMPLE, shape, classes))
        he_start(self)
