"""SqueezeNet 1.1 [Iandola et al. 2016]: small enough for its ImageNet weights to come with the package.

    fire    1×1 to few channels  →  ReLU  →  (1×1  beside  3×3)  →  ReLU  →  both, one behind the other

    image  →  conv  →  fire × 8  →  1×1 to a map a class  →  ReLU  →  mean over the map: the logits

Names of parameters and modules are torchvision's.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn

from cnn.models.pictures import Input
from cnn.models.start import he_start
from cnn.models.weights import load_squeezenet

POOL = None
TABLE = (POOL, (16, 64), (16, 64), POOL, (32, 128), (32, 128), POOL,                # squeezed, expanded (twice)
         (48, 192), (48, 192), (64, 256), (64, 256))


class Fire(nn.Module):
    """(B, inputs, H, W) → (B, 2·expanded, H, W)."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Squeeze, then expand."""
        x = self.squeeze_activation(self.squeeze(x))
        return torch.cat([self.expand1x1_activation(self.expand1x1(x)),
                          self.expand3x3_activation(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    """1,235,496 parameters for a thousand classes; `SqueezeNet.imagenet()` knows them, without a network.

    Parameters
    ----------
    classes : how many logits
    """

    cam_layer = "features.12"
    input = Input(side=227, mean=(123.0, 117.0, 104.0), std=(1.0, 1.0, 1.0), crop=1.0)

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features, inputs = nn.Sequential(nn.Conv2d(3, 64, 3, 2), nn.ReLU()), 64
        for row in TABLE:
            self.features.append(nn.MaxPool2d(3, 2, ceil_mode=True) if row is POOL else Fire(inputs, *row))
            inputs = inputs if row is POOL else 2 * row[1]
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(inputs, classes, 1), nn.ReLU(),
                                        nn.AdaptiveAvgPool2d(1))
        he_start(self)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, classes) logits, none below zero."""
        return self.classifier(self.features(images)).flatten(1)

    @classmethod
    def imagenet(cls) -> SqueezeNet:
        """The net with the ImageNet weights that come with the package, in eval mode.

        Examples
        --------
        >>> sum(p.numel() for p in SqueezeNet.imagenet().parameters())
        1235496
        """
        net = cls()
        load_squeezenet(net)
        return net.eval()
