"""What a map must pass before it is believed: it has to depend on what the net has learnt.

    randomisation    draw the weights of the last layer anew, then of the last two, …; after each the map is compared
                     with that of the trained net: their rank correlation must fall       [Adebayo et al. 2018, §3]
    labels           train on shuffled labels; the map must be another                    [§4]
    completeness     Σ attribution = S_c(x) − S_c(x₀)                                     [Sundararajan et al. 2017]
"""
from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator

import torch
from torch import Tensor, nn

from cnn.explain.score import Target, answering, classes


def cascade(model: nn.Module, seed: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """Yield the name of each layer that has weights, from the last to the first, and a net randomised down to there.

    Weights are drawn from N(0, the layer's own variance), so the signal keeps its scale; biases are 0, scales 1.
    The net that is yielded is one and the same, randomised further each time.
    """
    net = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    layers = [(name, module) for name, module in net.named_modules()
              if any(True for _ in module.parameters(recurse=False))]
    for name, module in reversed(layers):
        for kind, values in module.named_parameters(recurse=False):
            if values.dim() > 1:
                values.data = values.data.std() * torch.randn(values.shape, generator=generator).to(values)
            else:
                values.data = torch.full_like(values, float(kind == "weight"))
        yield name, net


def randomisation(model: nn.Module, images: Tensor, target: Target, explain: Callable[..., Tensor], seed: int = 0,
                  at: Collection[str] | None = None) -> dict[str, Tensor]:
    """Rank correlation of each image's map with that of the trained net, by the layer randomised down to: {name: (B,)}.

    Compared with their signs, maps of chance correlate by 0; the magnitudes of two gradients do not, because both are
    larger at the edges of the image.

    Parameters
    ----------
    explain : (model, images, target) → (B, …)
    seed : of the weights
    at : names of the layers at which maps are compared; None takes all
    """
    with answering(model), torch.no_grad():
        target = classes(model(images), target)
    trained = explain(model, images, target)
    return {name: rank_correlation(trained, explain(net, images, target))
            for name, net in cascade(model, seed) if at is None or name in at}


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's ρ of each pair of maps: (B, …) and (B, …) → (B,); 0 where one of them is flat.

    >>> rank_correlation(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[10.0, 1000.0, 100.0]]))
    tensor([0.5000], dtype=torch.float64)
    """
    x, y = (torch.stack([ranks(values) for values in maps.flatten(1)]) for maps in (a, b))
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    scale = (x.square().sum(1) * y.square().sum(1)).sqrt()
    return torch.where(scale > 0, (x * y).sum(1) / scale.clamp(min=1e-300), torch.zeros_like(scale))


def ranks(values: Tensor) -> Tensor:
    """Rank of each value, equal ones sharing their mean: (N,) → (N,) float64.

    >>> ranks(torch.tensor([5.0, 1.0, 5.0]))
    tensor([1.5000, 0.0000, 1.5000], dtype=torch.float64)
    """
    _, place, times = torch.unique(values, return_inverse=True, return_counts=True)
    last = times.cumsum(0).double() - 1
    return (last - (times.double() - 1) / 2)[place]


def completeness(model: nn.Module, images: Tensor, target: Target, attribution: Tensor,
                 baseline: Tensor | float = 0.0) -> Tensor:
    """How far Σ attribution is from S_c(x) − S_c(x₀), as a share of the latter's magnitude: (B,)."""
    with answering(model), torch.no_grad():
        logits = model(images)
        chosen = classes(logits, target)[:, None]
        start = torch.as_tensor(baseline).to(images).expand_as(images)
        change = (logits - model(start)).gather(1, chosen)[:, 0]
    return (attribution.flatten(1).sum(1) - change).abs() / change.abs()
