"""Step 2 of 5: the extrema of the differences of Gaussians.              [Lowe §3.1; Anatomy Alg. 4]

    L (B, S + 3, H, W) → the pixels of largest bound on their weight → candidates and log a

Relaxed      [D ≥ its 26 neighbours] becomes a = 1/(1 + Σ_j exp(−β·gap_j)), the weight of D in a softmax over the
             27, gap_j = s·(D − D_j), s = sign D; [|D| > threshold] becomes σ(β·margin).
Limit        β = inf: 1 where the rule holds, 0 elsewhere.  On the way 1 − a ≤ 26·exp(−β·gap) for an extremum, and
             a ≤ exp(−β·|gap|) for any other pixel: no other pixel can pass in disguise.
Singular     nowhere; at a tie with m neighbours a → 1/(1 + m), where the rule's `≥` says 1.
Held fixed   s; the margin of `border` pixels; which cells are looked at: the `count` of largest *upper bound* on a,
             so a cell is left out only if `count` others could weigh more.

imports: learned, planes, relax, softness, pysift.params          Hard twin  pysift/extrema.py
"""
from __future__ import annotations

import torch
from torch import Tensor

from diffsift.learned import static
from diffsift.planes import as_planes
from diffsift.relax import log_gate, log_membership
from diffsift.softness import Softness
from pysift.params import SIFTParams


def find_extrema(levels: Tensor, params: SIFTParams = SIFTParams(), softness: Softness = Softness(), *,
                 count: int) -> tuple[Tensor, Tensor]:
    """Find the candidates of one octave.

    Parameters
    ----------
    levels : (B, S + 3, H, W), grey levels
    params : SIFTParams; reads border [px], contrast_threshold, prefilter, prefilter_floor
    softness : Softness; reads extremum, gap, prefilter
    count : how many to look at; fewer come back only where the octave has fewer cells

    Returns
    -------
    candidates : (B, N, 3) int64, rows (layer, y, x), 1 ≤ layer ≤ S, those of the largest bound first
    log_weight : (B, N), log a + log of the gate on |D|

    Source: [Lowe §3.1].

    >>> levels = torch.zeros(1, 6, 16, 16); levels[0, 3:, 8, 7] = 9
    >>> candidates, log_weight = find_extrema(levels, count=2)
    >>> candidates[0, 0], log_weight.shape
    (tensor([2, 8, 7]), torch.Size([1, 2]))
    """
    with torch.no_grad():
        bound = _bounds(levels.detach(), params, softness)
        b, n_layers, h, w = bound.shape
        best = bound.flatten(1).topk(min(count, n_layers * h * w)).indices
        margin = params.border
        candidates = torch.stack([best // (h * w) + 1, best // w % h + margin, best % w + margin], -1)
    cube = as_planes(levels).cubes(*candidates.unbind(-1))
    return candidates, is_extremum(cube, params, softness)


def is_extremum(cube: Tensor, params: SIFTParams = SIFTParams(), softness: Softness = Softness()) -> Tensor:
    """log of: |D| > threshold, and D ≥ all 26 neighbours if it is positive, ≤ if negative.

    Parameters
    ----------
    cube : (…, 3, 3, 3) grey levels, the value in its middle
    softness : Softness; reads extremum, gap, prefilter

    Returns
    -------
    (…) log weight, at most 0

    >>> is_extremum(torch.zeros(3, 3, 3).index_put([torch.tensor(1)] * 3, torch.tensor(9.0)), softness=Softness.hard())
    tensor(0.)
    """
    flat = cube.flatten(-3)
    centre = flat[..., 13:14]
    sign = torch.sign(centre).detach()
    gaps = sign * (centre - torch.cat([flat[..., :13], flat[..., 14:]], -1)) / 255
    strength = ((sign * centre).squeeze(-1) - _threshold(params)) / 255
    return (log_membership(gaps, softness.extremum / softness.gap)
            + log_gate(strength, softness.prefilter / softness.gap))


def _threshold(params: SIFTParams):
    """Least |D| of a candidate, grey levels; rounded down to a whole one it has no derivative."""
    if params.prefilter_floor:
        return static(params).candidate_threshold()
    return params.prefilter * params.contrast_threshold / params.n_octave_layers * 255


def _bounds(levels: Tensor, params: SIFTParams, softness: Softness) -> Tensor:
    """Upper bound on log weight, plus |D| so that among sure ones the strong come first: (B, S, H − 2m, W − 2m).

    The largest of all 27 values is D itself for an extremum, whose bound is then 0.
    """
    m = params.border
    inner = levels[:, :, m - 1:levels.shape[2] - m + 1, m - 1:levels.shape[3] - m + 1]
    dog = inner[:, 1:] - inner[:, :-1]
    value = dog[:, 1:-1, 1:-1, 1:-1].abs()
    largest, smallest = _largest_of_27(dog), _largest_of_27(-dog)
    gap = (value - torch.where(dog[:, 1:-1, 1:-1, 1:-1] >= 0, largest, smallest)) / 255
    strength = (value - static(params).candidate_threshold()) / 255
    return (log_gate(gap, softness.extremum / softness.gap, closed=True).clamp(min=_LEAST) +
            log_gate(strength, softness.prefilter / softness.gap).clamp(min=_LEAST) + value / 255)


_LEAST = -1e6                                       # still ranks what a hard gate has turned down


def _largest_of_27(dog: Tensor) -> Tensor:
    """Largest value of each cell and its neighbours, (B, S + 2, H, W) → (B, S, H − 2, W − 2)."""
    for axis in (3, 2, 1):
        n = dog.shape[axis] - 2
        dog = torch.maximum(torch.maximum(dog.narrow(axis, 0, n), dog.narrow(axis, 1, n)), dog.narrow(axis, 2, n))
    return dog
