"""He's family for CIFAR-10 [He et al. 2016, §4.2]: 6n + 2 layers, residual or plain, with batch norm or without.

    image  →  3×3  →  n blocks of 16  →  n of 32, half the side  →  n of 64, a quarter  →  mean over the map  →  logits

Shortcuts have no parameters (option A), so a plain net has exactly those of its residual twin.  The net of depth 8
comes trained on CIFAR-10, for what wants to explain a small net without training one.
"""
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from cnn.models.pictures import Input
from cnn.models.resnet import Basic, Stage, blocks, norm
from cnn.models.start import he_start
from cnn.models.weights import load_trained

STAGES = (Stage(16, 1, 1), Stage(32, 1, 2), Stage(64, 1, 2))             # of depth 8: n = 1


class CifarResNet(nn.Module):
    """269,722 parameters at depth 20, 853,018 at 56, for ten classes.

    Parameters
    ----------
    depth : 8, 14, 20, 32, 56, …
    shortcuts : False gives the plain net
    batch_norm : False gives convolutions with biases instead
    classes, channels : of the data
    """

    cam_layer = "layer3"
    input = Input(side=32, mean=(125.3, 123.0, 113.9), std=(63.0, 62.1, 66.7), crop=1.0)
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(self, depth: int = 20, shortcuts: bool = True, batch_norm: bool = True, classes: int = 10,
                 channels: int = 3) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth={depth} must be 6n + 2: 8, 14, 20, 26, 32, …")
        n, width = (depth - 2) // 6, STAGES[0].width
        self.conv1 = nn.Conv2d(channels, width, 3, 1, 1, bias=not batch_norm)
        self.bn1 = norm(width, batch_norm)
        self.relu = nn.ReLU()
        for number, stage in enumerate(STAGES, 1):
            self.add_module(f"layer{number}", blocks(Basic, width, stage._replace(blocks=n * stage.blocks),
                                                     PadShortcut if shortcuts else None, batch_norm=batch_norm))
            width = stage.width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)
        he_start(self)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → (B, classes) logits."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))

    @classmethod
    def cifar10(cls) -> CifarResNet:
        """The residual net of depth 8 with the CIFAR-10 weights that come with the package, in eval mode."""
        net = cls(8)
        load_trained(net, "cifar_resnet8_fp16.npz")
        return net.eval()


class PadShortcut(nn.Module):
    """Option A: every stride-th pixel, and channels of zeros behind those that there are."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = outputs - inputs, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, outputs, H / stride, W / stride)."""
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.more))
