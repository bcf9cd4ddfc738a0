"""VGG16 [Simonyan & Zisserman 2015, table 1, D]: thirteen 3 × 3 convolutions, five poolings, three dense layers.

    image  →  features  →  7 × 7 map  →  classifier  →  logits

The names of parameters are torchvision's (features.0.weight, …, classifier.6.bias), so its weight file fits.
"""
from __future__ import annotations

from os import PathLike

from torch import Tensor, nn

from cnn.models.pictures import Input
from cnn.models.start import he_start
from cnn.models.weights import VGG16_SHA256, VGG16_URL, load_torchvision

POOL = 0
TABLE = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512, POOL)  # channels


class VGG16(nn.Module):
    """138,357,544 parameters for a thousand classes.

    An image smaller than 224 × 224 passes too: its map is stretched to 7 × 7, but ImageNet's weights know no such.

    Parameters
    ----------
    classes : how many logits
    """

    cam_layer = "features.29"
    input = Input(side=224, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), crop=0.875)

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features, inputs = nn.Sequential(), 3
        for channels in TABLE:
            if channels == POOL:
                self.features.append(nn.MaxPool2d(2, 2))
            else:
                self.features.extend([nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU()])
                inputs = channels
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(),
                                        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, classes))
        he_start(self)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, classes) logits."""
        return self.classifier(self.avgpool(self.features(images)).flatten(1))

    @classmethod
    def imagenet(cls, source: str | PathLike[str] = VGG16_URL, sha256: str | None = VGG16_SHA256) -> VGG16:
        """The net with ImageNet's weights, in eval mode; downloads 528 MB once unless `source` is a file.

        Parameters
        ----------
        source : path or address of torchvision's vgg16-397923af.pth
        sha256 : its checksum; None accepts any, for a file of your own with the same names

        Raises
        ------
        OSError, ValueError : see `cnn.models.weights.load_torchvision`
        """
        net = cls(1000)
        load_torchvision(net, source, sha256)
        return net.eval()
