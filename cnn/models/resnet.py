"""ResNet with basic or bottleneck blocks, and the same net without its shortcuts.

    image  →  stem  →  stages of blocks  →  mean over the map  →  logits            [He et al. 2016, table 1]

    basic        x  →  3×3  →  3×3  →  + x                        two weighted layers
    bottleneck   x  →  1×1  →  3×3  →  1×1, four times wider  →  + x      three

Every convolution is followed by batch norm, all but a block's last by ReLU, the sum by ReLU.  Where a block changes
width or stride its shortcut is a 1 × 1 convolution (option B).  The names of parameters are torchvision's.
[2, 2, 2, 2] basic blocks are 18 weighted layers; the task's [2, 2, 2, 2] bottleneck blocks are 26.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

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
            self.add_module(name, blocks(block, width, stage, project if shortcuts else None))
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


def blocks(block: type[Basic] | type[Bottleneck], inputs: int, stage: Stage,
           shortcut: Callable[[int, int, int], nn.Module] | None, **options) -> nn.Sequential:
    """The blocks of one stage; where width or stride change, shortcut(inputs, outputs, stride) leads past a block.

    Elsewhere the identity does; shortcut=None leaves out all.
    """
    made, outputs = [], stage.width * block.expansion
    for number in range(stage.blocks):
        stride = stage.stride if number == 0 else 1
        past = None
        if shortcut is not None:
            same = inputs == outputs and stride == 1
            past = nn.Identity() if same else shortcut(inputs, outputs, stride)
        made.append(block(inputs, stage.width, stride, past, **options))
        inputs = outputs
    return nn.Sequential(*made)


def project(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Option B: a 1 × 1 convolution and its batch norm."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))


def norm(width: int, batch_norm: bool = True) -> nn.Module:
    """Batch norm, or nothing."""
    return nn.BatchNorm2d(width) if batch_norm else nn.Identity()
