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

from collections.abc import Callable

import torch
from torch import Tensor

from diffsift.learned import static
from diffsift.planes import Planes, as_planes
from diffsift.relax import log_gate, log_membership
from diffsift.softness import Softness
from pysift.params import SIFTParams


def find_extrema(levels: Tensor | Planes, params: SIFTParams = SIFTParams(), softness: Softness = Softness(), *,
                 count: int) -> tuple[Tensor, Tensor]:
    """Find the candidates of one octave, or of each.

    Parameters
    ----------
    levels : (B, S + 3, H, W), grey levels, or Planes
    params : SIFTParams; reads border [px], contrast_threshold, prefilter, prefilter_floor
    softness : Softness; reads extremum, gap, prefilter
    count : how many to look at in an octave; fewer come back only where it has fewer cells

    Returns
    -------
    candidates : (B, N, 3) int64, rows (layer, y, x), those of an octave's largest bound first; 1 ≤ layer ≤ S, which
        counts on through octaves as in `Planes`
    log_weight : (B, N), log a + log of the gate on |D|

    Source: [Lowe §3.1].

    >>> levels = torch.zeros(1, 6, 16, 16); levels[0, 3:, 8, 7] = 9
    >>> candidates, log_weight = find_extrema(levels, count=2)
    >>> candidates[0, 0], log_weight.shape
    (tensor([2, 8, 7]), torch.Size([1, 2]))
    """
    planes = as_planes(levels)
    with torch.no_grad():
        candidates = torch.cat([_likeliest(planes, o, params, softness, count) for o in range(len(planes.sizes))], 1)
    return candidates, is_extremum(planes.cubes(*candidates.unbind(-1)), params, softness)


def is_extremum(cube: Tensor, params: SIFTParams = SIFTParams(), softness: Softness = Softness()) -> Tensor:
    """Log of: |D| > threshold, and D ≥ all 26 neighbours if it is positive, ≤ if negative.

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


def _likeliest(planes: Planes, octave: int, params: SIFTParams, softness: Softness, count: int) -> Tensor:
    """The `count` cells of largest bound in one octave, (B, N, 3)."""
    bound = _bounds(planes.levels(octave).detach(), params, softness)
    _, n_layers, h, w = bound.shape
    best = bound.flatten(1).topk(min(count, n_layers * h * w)).indices
    margin, first = params.border, octave * planes.per_octave + 1
    return torch.stack([best // (h * w) + first, best // w % h + margin, best % w + margin], -1)


def _bounds(levels: Tensor, params: SIFTParams, softness: Softness) -> Tensor:
    """Upper bound on log weight, plus |D| so that among sure ones the strong come first: (B, S, H − 2m, W − 2m).

        log a ≤ −β·(what D lacks to be the largest of the 27),   log σ(β·margin) ≤ −β·(what |D| lacks to the threshold)

    The largest of all 27 values is D itself for an extremum, which lacks nothing.  In grey levels.
    """
    m = params.border
    inner = levels[:, :, m - 1:levels.shape[2] - m + 1, m - 1:levels.shape[3] - m + 1]
    dog = inner[:, 1:] - inner[:, :-1]
    value = dog[:, 1:-1, 1:-1, 1:-1]
    lacks = torch.where(value >= 0, _of_27(dog, torch.maximum) - value, value - _of_27(dog, torch.minimum))
    strength = value.abs()
    weak = (static(params).candidate_threshold() - strength).clamp(min=0)
    strength = strength.sub(lacks, alpha=min(softness.extremum, _STEEP) / softness.gap)
    return strength.sub(weak, alpha=min(softness.prefilter, _STEEP) / softness.gap)


_STEEP = 1e6                                        # still ranks what a hard gate has turned down


def _of_27(dog: Tensor, larger: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Largest (or smallest) value of each cell and its neighbours, (B, S + 2, H, W) → (B, S, H − 2, W − 2)."""
    for axis in (1, 3, 2):                          # layers first: it leaves S of S + 2
        n = dog.shape[axis] - 2
        dog = larger(larger(dog.narrow(axis, 0, n), dog.narrow(axis, 1, n)), dog.narrow(axis, 2, n))
    return dog
