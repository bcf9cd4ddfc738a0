"""MobileNet-like: each 3 × 3 convolution split into one a channel and a 1 × 1 across channels; and its plain twin.

    separable    3×3 a channel  →  BN  →  ReLU  →  1×1  →  BN  →  ReLU        9·C + C·D weights     [Howard et al. 2017]
    plain        3×3            →  BN  →  ReLU                                9·C·D

The plain twin has the same table with a plain convolution a row: as many maps, of the same sizes.
"""
from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from cnn.models.start import he_start


class Row(NamedTuple):
    """Channels at width 1, and stride."""

    channels: int
    stride: int


STEM = 32
TABLE = (Row(64, 1), Row(128, 2), Row(128, 1), Row(256, 2), Row(256, 1), Row(512, 2),
         Row(512, 1), Row(512, 1), Row(512, 1), Row(512, 1), Row(512, 1), Row(1024, 2), Row(1024, 1))


class MobileNet(nn.Module):
    """3,216,650 parameters for grey images and ten classes at width 1, 215,498 at ¼; plain 28,278,762 and 1,771,650.

    Parameters
    ----------
    classes : how many logits
    width : factor on all channels
    separable : False gives the plain twin
    channels : of an image
    stem_stride : 2 as published, for 224 × 224; 1 for the small images of Fashion-MNIST
    """

    cam_layer = "features"

    def __init__(self, classes: int = 10, width: float = 1.0, separable: bool = True, channels: int = 1,
                 stem_stride: int = 1) -> None:
        super().__init__()
        if not width * STEM >= 1:
            raise ValueError(f"width={width!r} leaves no channel: use a factor such as 0.25, 0.5 or 1")
        inputs = int(STEM * width)
        self.features = nn.Sequential(_conv(channels, inputs, 3, stem_stride))
        for row in TABLE:
            outputs = int(row.channels * width)
            self.features.append(_separable(inputs, outputs, row.stride) if separable
                                 else _conv(inputs, outputs, 3, row.stride))
            inputs = outputs
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)
        he_start(self)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → (B, classes) logits."""
        return self.fc(self.avgpool(self.features(images)).flatten(1))


def _conv(inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def _separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(*_conv(inputs, inputs, 3, stride, groups=inputs), *_conv(inputs, outputs, 1, 1))
