"""ResNet with basic or bottleneck blocks, and the same net without its shortcuts.

    image  →  stem  →  stages of blocks  →  mean over the map  →  logits            [He et al. 2016, table 1]

    basic        x  →  3×3  →  3×3  →  + x                        two weighted layers
    bottleneck   x  →  1×1  →  3×3  →  1×1, four times wider  →  + x      three

Every convolution is followed by batch norm, all but a block's last by ReLU, the sum by ReLU.  Where a block changes
width or stride its shortcut is a 1 × 1 convolution (option B).  The names of parameters are torchvision's.
[2, 2, 2, 2] basic blocks are 18 weighted layers; the task's [2, 2, 2, 2] bottleneck blocks are 26.
"""
from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from cnn.models.start import he_start


class Stage(NamedTuple):
    """Blocks of one width; the first of them has the stride."""

    width: int
    blocks: int
    stride: int


STAGES = (Stage(64, 2, 1), Stage(128, 2, 2), Stage(256, 2, 2), Stage(512, 2, 2))


class Basic(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut; shortcut=None leaves it out."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, shortcut: nn.Module | None, batch_norm: bool = True):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=not batch_norm)
        self.bn1 = norm(width, batch_norm)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=not batch_norm)
        self.bn2 = norm(width, batch_norm)
        self.downsample = shortcut
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, width, H / stride, W / stride)."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu2(y if self.downsample is None else y + self.downsample(x))


class Bottleneck(nn.Module):
    """1 × 1 to a narrow map, 3 × 3 on it, 1 × 1 to four times its width; shortcut=None leaves it out."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, shortcut: nn.Module | None):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = norm(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = norm(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = norm(4 * width)
        self.downsample = shortcut
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) → (B, 4·width, H / stride, W / stride)."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu3(y if self.downsample is None else y + self.downsample(x))


class ResNet(nn.Module):
    """What ResNet18, BottleneckResNet and PlainCNN have in common.

    Parameters
    ----------
    block : Basic | Bottleneck
    classes : how many logits
    stem : "7x7", stride 2 and a pooling, for ImageNet and as the task says; "3x3", stride 1, for small images
    stages : width, number of blocks and stride of each
    shortcuts : False leaves all of them out
    channels : of an image
    """

    def __init__(self, block: type[Basic] | type[Bottleneck], classes: int, stem: str, stages: tuple[Stage, ...],
                 shortcuts: bool, channels: int) -> None:
        super().__init__()
        if stem not in ("7x7", "3x3"):
            raise ValueError(f"stem={stem!r} is unknown: use 7x7 or 3x3")
        large, width = stem == "7x7", stages[0].width
        self.conv1 = nn.Conv2d(channels, width, 7 if large else 3, 2 if large else 1, 3 if large else 1, bias=False)
        self.bn1 = norm(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.stages = [f"layer{number}" for number in range(1, len(stages) + 1)]
        for name, stage in zip(self.stages, stages):
            self.add_module(name, blocks(block, width, stage, shortcuts))
            width = stage.width * block.expansion
        self.cam_layer = self.stages[-1]
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)
        he_start(self)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → (B, classes) logits."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return self.fc(self.avgpool(x).flatten(1))


class ResNet18(ResNet):
    """Eight basic blocks, 18 weighted layers: 11,181,642 parameters with the 7×7 stem, 11,173,962 with the 3×3."""

    def __init__(self, classes: int = 10, stem: str = "7x7", stages: tuple[Stage, ...] = STAGES,
                 channels: int = 3) -> None:
        super().__init__(Basic, classes, stem, stages, True, channels)


class BottleneckResNet(ResNet):
    """Eight bottleneck blocks, 26 weighted layers, 13,966,666 parameters: what the task calls ResNet-18."""

    def __init__(self, classes: int = 10, stem: str = "7x7", stages: tuple[Stage, ...] = STAGES,
                 channels: int = 3) -> None:
        super().__init__(Bottleneck, classes, stem, stages, True, channels)


class PlainCNN(ResNet):
    """ResNet18 without shortcuts: the same 18 weighted layers; with bottleneck=True the same 26."""

    def __init__(self, classes: int = 10, stem: str = "7x7", stages: tuple[Stage, ...] = STAGES, channels: int = 3,
                 bottleneck: bool = False) -> None:
        super().__init__(Bottleneck if bottleneck else Basic, classes, stem, stages, False, channels)


class CifarResNet(nn.Module):
    """He's family for CIFAR-10 [2016, §4.2]: 6n + 2 layers, widths 16, 32 and 64 on maps of 32, 16 and 8 pixels.

    Shortcuts have no parameters (option A), so a plain net has exactly those of its residual twin: 269,722 at depth
    20, 853,018 at 56.

    Parameters
    ----------
    depth : 8, 14, 20, 32, 56, …
    shortcuts : False gives the plain net
    batch_norm : False gives convolutions with biases instead
    classes, channels : of the data
    """

    cam_layer = "layer3"

    def __init__(self, depth: int = 20, shortcuts: bool = True, batch_norm: bool = True, classes: int = 10,
                 channels: int = 3) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth={depth} must be 6n + 2: 8, 14, 20, 26, 32, …")
        n = (depth - 2) // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=not batch_norm)
        self.bn1 = norm(16, batch_norm)
        self.relu = nn.ReLU()
        self.layer1 = blocks(Basic, 16, Stage(16, n, 1), shortcuts, pad=True, batch_norm=batch_norm)
        self.layer2 = blocks(Basic, 16, Stage(32, n, 2), shortcuts, pad=True, batch_norm=batch_norm)
        self.layer3 = blocks(Basic, 32, Stage(64, n, 2), shortcuts, pad=True, batch_norm=batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, classes)
        he_start(self)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) → (B, classes) logits."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


class PadShortcut(nn.Module):
    """Option A: every stride-th pixel, and channels of zeros behind those that there are."""

    def __init__(self, more: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C + more, H / stride, W / stride)."""
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.more))


def blocks(block: type[Basic] | type[Bottleneck], inputs: int, stage: Stage, shortcuts: bool, pad: bool = False,
           **options) -> nn.Sequential:
    """The blocks of one stage, with identities, projections or padding as shortcuts, or none."""
    made, outputs = [], stage.width * block.expansion
    for number in range(stage.blocks):
        stride = stage.stride if number == 0 else 1
        shortcut = None
        if shortcuts and inputs == outputs and stride == 1:
            shortcut = nn.Identity()
        elif shortcuts and pad:
            shortcut = PadShortcut(outputs - inputs, stride)
        elif shortcuts:
            shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))
        made.append(block(inputs, stage.width, stride, shortcut, **options))
        inputs = outputs
    return nn.Sequential(*made)


def norm(width: int, batch_norm: bool = True) -> nn.Module:
    """Batch norm, or nothing."""
    return nn.BatchNorm2d(width) if batch_norm else nn.Identity()
