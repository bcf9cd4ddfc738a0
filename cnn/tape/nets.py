"""Three nets of the lab at any size: LeNet, a residual net of bottlenecks, a net of depthwise convolutions.

The lab trains its nets with torch (cnn/models/); these show that the tape trains the same, and are small by default.

imports: elementwise, layers
"""
from __future__ import annotations

import numpy as np

from cnn.tape.elementwise import relu
from cnn.tape.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)


def lenet(rng: np.random.Generator, classes: int = 10, dtype=np.float32) -> Sequential:
    """Build LeNet-5 in the form without padding: (N, 1, 28, 28) → (N, classes) logits; 44,426 parameters for 10.

    Source: Y. LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 86 (1998) 2278,
    §II.B, with ReLU, the largest of a window, and a linear end.
    """
    make = {"rng": rng, "dtype": dtype}
    return Sequential(
        Conv2d(1, 6, 5, **make), ReLU(), MaxPool2d(2),                     # (N, 6, 12, 12)
        Conv2d(6, 16, 5, **make), ReLU(), MaxPool2d(2),                    # (N, 16, 4, 4)
        Flatten(), Linear(256, 120, **make), ReLU(),
        Linear(120, 84, **make), ReLU(), Linear(84, classes, **make))


def _normed(inputs: int, outputs: int, kernel: int, make: dict, **how) -> tuple[Conv2d, BatchNorm2d]:
    """Convolve, keeping the size at stride 1, then batch norm, which makes a bias useless."""
    return (Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **how, **make),
            BatchNorm2d(outputs, dtype=make["dtype"]))


class Bottleneck(Layer):
    """x + body(x), then ReLU; the body narrows to `width` channels, convolves there, and widens to 4·width.

    Where the shape changes, x passes through a 1 × 1 convolution and batch norm.

    Source: K. He et al., Deep Residual Learning, arXiv:1512.03385, §3.3 and fig. 5; the stride is in the 3 × 3
    convolution.
    """

    def __init__(self, inputs: int, width: int, stride: int, **make):
        self.body = Sequential(*_normed(inputs, width, 1, make), ReLU(),
                               *_normed(width, width, 3, make, stride=stride), ReLU(),
                               *_normed(width, 4 * width, 1, make))
        same = inputs == 4 * width and stride == 1
        self.shortcut = Sequential() if same else Sequential(*_normed(inputs, 4 * width, 1, make, stride=stride))

    def __call__(self, x):
        """(N, inputs, H, W) → (N, 4·width, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return relu(self.body(x) + self.shortcut(x))


def bottleneck_resnet(rng: np.random.Generator, channels: int = 3, widths=(4, 8), depth: int = 1, classes: int = 10,
                      dtype=np.float32) -> Sequential:
    """Build a residual net: (N, channels, H, W) → (N, classes) logits.

    A 3 × 3 stem, then for each width `depth` bottlenecks, the first of which halves the image but for the first width.
    """
    make = {"rng": rng, "dtype": dtype}
    blocks, inputs = [], widths[0]
    for stage, width in enumerate(widths):
        for number in range(depth):
            blocks.append(Bottleneck(inputs, width, 2 if stage and not number else 1, **make))
            inputs = 4 * width
    return Sequential(*_normed(channels, widths[0], 3, make), ReLU(), *blocks,
                      AdaptiveAvgPool2d(1), Flatten(), Linear(inputs, classes, **make))


def mobilenet(rng: np.random.Generator, channels: int = 3, plan=((8, 1), (16, 2), (16, 1)), classes: int = 10,
              dtype=np.float32) -> Sequential:
    """Build a net of depthwise separable convolutions: (N, channels, H, W) → (N, classes) logits.

    For each (outputs, stride) of the plan: 3 × 3 in each channel alone, batch norm, ReLU, then 1 × 1 across channels,
    batch norm, ReLU.

    Source: A. Howard et al., MobileNets, arXiv:1704.04861, §3.1 and fig. 3.
    """
    make = {"rng": rng, "dtype": dtype}
    inputs = plan[0][0]
    layers = [*_normed(channels, inputs, 3, make, stride=2), ReLU()]
    for outputs, stride in plan:
        layers += [*_normed(inputs, inputs, 3, make, stride=stride, groups=inputs), ReLU(),
                   *_normed(inputs, outputs, 1, make), ReLU()]
        inputs = outputs
    return Sequential(*layers, AdaptiveAvgPool2d(1), Flatten(), Linear(inputs, classes, **make))
