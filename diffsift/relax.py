"""The relaxations: each hard rule of SIFT as a smooth one that becomes the rule in a stated limit.

    hard rule                            soft rule                                        limit
    v > threshold                        σ(β·margin), as its logarithm      log_gate      β = ∞
    larger than all neighbours           weight of v in a softmax           log_membership   β = ∞
    arg max                              Σ p_i x_i, p = softmax(β v)        soft_argmax   β = ∞
    min(x, t)                            t − τ·softplus((t − x)/τ) − …      soft_clip     τ = 0
    nearest bin                          two votes, a smooth step between   soft_bin      width = 0
    two linear votes (a hat)             four votes, a cubic B-spline, C²   bspline       none: in mode "smooth" only
    |g|                                  |g|²/√(|g|² + ε²), C¹              soft_length   ε = 0
    round                                identity in the backward pass      round_through    none

Every limit is taken exactly, without a division by 0 or a product ∞·0: β = inf and width = 0 are values like
any other.  σ is the logistic function, β an inverse temperature, a Python float.

imports: torch only
"""
from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

_NEVER = -math.inf


def log_gate(margin: Tensor, beta: float, *, closed: bool = False) -> Tensor:
    """Log σ(β·margin): how surely a test is passed by this margin; gates multiply, so their logarithms add.

    Limit β = inf: 0 where margin > 0 (≥ 0 if `closed`), −inf elsewhere, both without a gradient.
    Never singular: the derivative β·σ(−β·margin) lies between 0 and β.

    >>> log_gate(torch.tensor([-1.0, 0.0, 2.0]), math.inf, closed=True)
    tensor([-inf, 0., 0.])
    """
    if math.isinf(beta):
        passed = margin >= 0 if closed else margin > 0
        return torch.where(passed, 0.0, _NEVER).to(margin.dtype)
    return logsigmoid(beta * margin)


def log_membership(gaps: Tensor, beta: float) -> Tensor:
    """Log a of the weight a that a value has among its neighbours, from the gaps g_j to them.

        a = 1 / (1 + Σ_j exp(−β g_j)) = softmax weight of the value among itself and its neighbours

    So with the least gap g > 0:  1 − a ≤ n·exp(−βg);  with g < 0:  a ≤ exp(−β|g|).  (n neighbours, last axis.)
    Limit β = inf: 0 where every gap is ≥ 0, −inf elsewhere.  Never singular.

    >>> log_membership(torch.zeros(1, 26), 5.0).exp() * 27              # all equal: one share of 27
    tensor([1.0000])
    """
    if math.isinf(beta):
        return torch.where((gaps >= 0).all(-1), 0.0, _NEVER).to(gaps.dtype)
    own = torch.zeros_like(gaps[..., :1])
    return -torch.logsumexp(torch.cat([own, -beta * gaps], -1), -1)


def soft_argmax(values: Tensor, positions: Tensor, beta: float) -> Tensor:
    """Σ_i p_i x_i with p = softmax(β·values): (…, n) values at (n, d) positions → (…, d).

    Limit β = inf: the mean of the positions that hold the largest value.  Singular there: at a tie the limit
    is a set, of which this takes the mean.  It is a whole pixel, not SIFT's refined point: the steps use
    `log_membership` times the quadratic offset instead, and this stays for comparison.

    >>> soft_argmax(torch.tensor([0.0, 3.0, 3.0]), torch.tensor([[0.0], [1.0], [2.0]]), math.inf)
    tensor([1.5000])
    """
    if math.isinf(beta):
        largest = (values == values.amax(-1, keepdim=True)).to(values.dtype)
        return (largest / largest.sum(-1, keepdim=True)) @ positions
    return torch.softmax(beta * values, -1) @ positions


def soft_clip(x: Tensor, t, tau: float) -> Tensor:
    """Smooth min(x, t), with 0 ↦ 0:  s(x) − s(0),  s(x) = t − τ·softplus((t − x)/τ).

        ds/dx = σ((t − x)/τ)  in (0, 1);   off by at most 2·τ·log 2

    `t` is a number or a tensor.  Limit τ = 0: min(x, t), whose kink at t takes both sides half and half.

    >>> soft_clip(torch.tensor([0.0, 0.1, 0.9]), 0.2, 0.0)
    tensor([0.0000, 0.1000, 0.2000])
    """
    t = torch.as_tensor(t, dtype=x.dtype, device=x.device)
    if tau == 0:
        return torch.minimum(x, t)
    return tau * (logsigmoid((x - t) / tau) - logsigmoid(-t / tau))


def soft_clip_notebook(x: Tensor, t: float) -> Tensor:
    """(t·tanh(x/t) + t) / 2, the soft clip of the notebook; kept to show what is wrong with it, used nowhere.

    It has no limit: 0 becomes t/2 and t becomes 0.88·t, so an empty histogram turns into a full one.

    >>> soft_clip_notebook(torch.tensor([0.0, 0.2]), 0.2)
    tensor([0.1000, 0.1762])
    """
    return (t * torch.tanh(x / t) + t) / 2


def smooth_step(t: Tensor) -> Tensor:
    """0 for t ≤ 0, 1 for t ≥ 1, t³(10 − 15t + 6t²) between: C² everywhere.

    >>> smooth_step(torch.tensor([-1.0, 0.5, 2.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    t = t.clamp(0, 1)
    return t * t * t * (10 + t * (6 * t - 15))


def soft_bin(position: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Share a vote at `position`, in bins, between the bins below and above it.

        the upper one, ⌊position⌋ + 1, gets  S((f − ½)/width + ½),  f = position − ⌊position⌋,  S = smooth_step

    Returns (⌊position⌋ int64, share of the upper); the shares sum to 1.  Width 1 is a smooth hat, C² for width
    below 1; limit width = 0: the nearest bin takes all, halves going to the even one as in cv2.

    >>> soft_bin(torch.tensor([1.4, 1.6, 2.5]), 0.0)
    (tensor([1, 1, 2]), tensor([0., 1., 0.]))
    """
    lower = torch.floor(position).detach()
    if width == 0:
        return lower.long(), (torch.round(position) - lower).detach()
    return lower.long(), smooth_step((position - lower - 0.5) / width + 0.5)


def bspline(t: Tensor) -> Tensor:
    """Cubic B-spline, C², support |t| < 2; its integer shifts sum to 1.

        ⅔ − t² + |t|³/2  for |t| ≤ 1,   (2 − |t|)³/6  for 1 ≤ |t| ≤ 2

    >>> bspline(torch.tensor([-1.5, -0.5, 0.5, 1.5])).sum()
    tensor(1.)
    """
    a, near = t.abs(), t.clamp(-1, 1)
    outer = (2 - a).clamp(min=0)                        # t² and not |t|², whose second derivative torch takes as 0 at 0
    return torch.where(a < 1, 2 / 3 - near * near + near * near * near.abs() / 2, outer * outer * outer / 6)


def bspline_slope(t: Tensor) -> Tensor:
    """First derivative of `bspline`, C¹.

    >>> bspline_slope(torch.tensor([-1.0, 0.5, 1.0]))
    tensor([ 0.5000, -0.6250, -0.5000])
    """
    a, near = t.abs(), t.clamp(-1, 1)
    outer = (2 - a).clamp(min=0)
    return torch.where(a < 1, near * (1.5 * near.abs() - 2), -torch.sign(t) * outer * outer / 2)


def soft_length(length: Tensor, floor: float) -> Tensor:
    """m²/√(m² + ε²) of a length m: C¹ as a function of the vector, where m itself has a cone's tip at 0.

    Limit ε = 0: m.

    >>> soft_length(torch.tensor([0.0, 3.0]), 4.0)
    tensor([0.0000, 1.8000])
    """
    if floor < 1e-15:                                           # its square would vanish in float32
        return length
    square = length * length
    return square / torch.sqrt(square + floor * floor)


def round_through(x: Tensor) -> Tensor:
    """Round, halves to even, with the derivative of the identity ("straight through").

    >>> round_through(torch.tensor([0.4, 1.5]))
    tensor([0., 2.])
    """
    return x + (torch.round(x) - x).detach()
