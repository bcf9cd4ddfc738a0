"""What a net is made of: output, parameters and multiply–adds, layer by layer.

    convolution       H'·W'·D · (C / groups)·k²           multiply–adds an image
    fully connected   D · C

Biases, batch norm, activations and pooling are left out, as in [Howard et al. 2017] and [He et al. 2016].
"""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Layer(NamedTuple):
    """One call of one module that has no modules inside."""

    name: str
    kind: str
    output: tuple[int, ...]                  # without the batch
    parameters: int
    multiply_adds: int


def count(net: nn.Module) -> int:
    """How many parameters a net has, each counted once.

    >>> count(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in net.parameters())


def summary(net: nn.Module, shape: tuple[int, ...]) -> list[Layer]:
    """List the layers in the order in which they are called; a layer called again has its parameters counted once.

    Parameters
    ----------
    net : left as it was, on its device
    shape : of one image: channels, height, width

    Examples
    --------
    >>> summary(nn.Sequential(nn.Conv2d(3, 8, 3)), (3, 10, 10))
    [Layer(name='0', kind='Conv2d', output=(8, 8, 8), parameters=224, multiply_adds=13824)]
    """
    layers, seen = [], set()

    def note(name: str, module: nn.Module, output: Tensor) -> None:
        own = [parameter for parameter in module.parameters() if id(parameter) not in seen]
        seen.update(id(parameter) for parameter in own)
        layers.append(Layer(name, type(module).__name__, tuple(output.shape[1:]),
                            sum(parameter.numel() for parameter in own), multiply_adds(module, output)))

    hooks = [module.register_forward_hook(lambda module, _, output, name=name: note(name, module, output))
             for name, module in net.named_modules() if not list(module.children())]
    modes = [(module, module.training) for module in net.modules()]
    like = next(net.parameters(), torch.zeros(()))
    try:
        net.eval()
        with torch.no_grad():
            net(like.new_zeros(1, *shape))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
    return layers


def multiply_adds(module: nn.Module, output: Tensor) -> int:
    """Of one call with a batch of one."""
    if isinstance(module, nn.Conv2d):
        return output.numel() * module.weight[0].numel()
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    return 0


def weighted_layers(net: nn.Module) -> int:
    """Depth as papers count it: convolutions and fully connected layers, but not the 1 × 1 of a shortcut."""
    return sum(isinstance(module, (nn.Conv2d, nn.Linear)) and "downsample" not in name
               for name, module in net.named_modules())


def table(layers: list[Layer]) -> str:
    """Print the layers that have parameters, and the sums.

    >>> print(table(summary(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), (3, 10, 10))))
    layer  kind    output     parameters  multiply–adds
    0      Conv2d  8 × 8 × 8         224         13,824
    total                            224         13,824
    """
    rows = [(layer.name, layer.kind, " × ".join(map(str, layer.output)), f"{layer.parameters:,}",
             f"{layer.multiply_adds:,}") for layer in layers if layer.parameters]
    rows.insert(0, ("layer", "kind", "output", "parameters", "multiply–adds"))
    rows.append(("total", "", "", f"{sum(layer.parameters for layer in layers):,}",
                 f"{sum(layer.multiply_adds for layer in layers):,}"))
    wide = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join("  ".join(cell.ljust(n) if column < 3 else cell.rjust(n)
                               for column, (cell, n) in enumerate(zip(row, wide))) for row in rows)
