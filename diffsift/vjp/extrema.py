"""Derivative of step 2, the soft extremum.

imports: extrema, softness, vjp, pysift.params          Forward  diffsift/extrema.py
"""
from __future__ import annotations

import torch
from torch import Tensor

from diffsift.extrema import _threshold
from diffsift.softness import Softness
from diffsift.vjp.relax import log_gate_vjp, log_membership_vjp
from pysift.params import SIFTParams


def is_extremum_vjp(out_bar: Tensor, cube: Tensor, params: SIFTParams = SIFTParams(),
                    softness: Softness = Softness()) -> Tensor:
    """Of l = log a + log σ(β'·(|D| − T)),  g_j = s·(D − D_j), s = sign D:   (…) → (…, 3, 3, 3).

        D̄_j = −s·ḡ_j,    D̄ = s·(Σ_j ḡ_j + m̄),      ḡ_j = l̄·β·p_j,   m̄ = l̄·β'·σ(−β'm);   all in units of 255

    Singular at D = 0, where s jumps: s = 0 there, no derivative.  At a tie all is smooth, at any finite β.
    """
    flat = cube.flatten(-3)
    sign = torch.sign(flat[..., 13:14])
    others = torch.cat([flat[..., :13], flat[..., 14:]], -1)
    gaps_bar = log_membership_vjp(out_bar, sign * (flat[..., 13:14] - others) / 255, softness.extremum / softness.gap)
    strength = ((sign * flat[..., 13:14]).squeeze(-1) - _threshold(params)) / 255
    strength_bar = log_gate_vjp(out_bar, strength, softness.prefilter / softness.gap)
    others_bar = -sign * gaps_bar / 255
    centre_bar = sign * (gaps_bar.sum(-1, keepdim=True) + strength_bar[..., None]) / 255
    return torch.cat([others_bar[..., :13], centre_bar, others_bar[..., 13:]], -1).unflatten(-1, (3, 3, 3))
