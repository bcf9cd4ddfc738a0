"""Where training starts: He's random weights, zero biases.

    W ~ N(0, 2 / fan_in),   b = 0,   γ = 1,   β = 0          [He et al. 2015, §2.2]

fan_in counts what one output sums: of a depthwise 3 × 3 convolution 9, whatever its channels.
"""
from __future__ import annotations

from torch import nn


def he_start(net: nn.Module) -> None:
    """Draw all weights of convolutions and fully connected layers anew, from torch's generator."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
