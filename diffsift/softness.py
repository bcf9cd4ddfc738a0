"""How soft each rule is: the one home of every inverse temperature and width.

A gate is σ(β·margin).  Its β is given as a pure number times 1/unit, where the unit is the margin that is typical
of the rule, so that β = 10 passes a typical margin with 1 − e⁻¹⁰ in every one of them.

imports: nothing of diffsift
"""
from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

_GATES = ("extremum", "prefilter", "contrast", "settle", "edge", "peak")
_WIDTHS = ("ori_bin", "clip", "length", "norm", "root")


@dataclass(frozen=True, kw_only=True)
class Softness:
    """Inverse temperatures [1/unit] and widths; `Softness.hard()` is the limit, where SIFT is cv2's.

    Raises
    ------
    ValueError : a field is negative or NaN, or the gap is not positive

    Examples
    --------
    >>> Softness.hard().extremum, Softness().sharper(10).extremum
    (inf, 140.0)
    """

    # inverse temperatures of the gates: inf is hard, 0 lets everything pass by half
    extremum: float = 14.0      # β  larger than 26 neighbours, margin D − D_j             [1 / gap]
    gap: float = 1.4e-4         #    median margin of strong extrema, measured             [range]
    prefilter: float = 14.0     # β  |D| of the pixel above the candidate threshold        [1 / gap]
    contrast: float = 30.0      # β  S·|D| of the refined point above C                    [1 / 1 % of the range]
    settle: float = 100.0       # β  every |offset| below ½                                [1 / px]
    edge: float = 100.0         # β  E/((r+1)²·|H|²), E = (r+1)²·det − r·tr²; a blob has ⅓  [1]
    peak: float = 100.0         # β  a bin above its neighbours, and above 0.8 of the highest   [1 / highest bin]

    # widths: 0 is hard
    ori_bin: float = 0.0        #    transition between two orientation bins, at most 1    [bins]      mode="opencv"
    clip: float = 2e-4          # τ  of the soft clip                                      [norm]
    length: float = 0.1         # ε  below which a gradient counts as none                 [grey levels] mode="smooth"
    norm: float = 0.1           # ε  below which a descriptor counts as none               [grey levels]
    root: float = 1e-4          # ε  below which an entry of a RootSIFT counts as none     [sum of entries]

    # mode="smooth" only: its bins are cubic B-splines of these widths; 1/√2 spreads a vote as far as cv2's hat
    cell_kernel: float = math.sqrt(0.5)         # descriptor, in space                     [cells]
    angle_kernel: float = math.sqrt(0.5)        # descriptor, in angle                     [bins]
    rounding: bool = False      #    round as cv2 does, levels to its float32 and descriptors to whole numbers, with
    #                                the derivatives of what is not rounded ("straight through")

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                raise ValueError(f"{field.name}={value!r} must be a number of at least 0")
        for name in ("gap", "cell_kernel", "angle_kernel"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name}={value!r} must be positive and finite")
        if self.ori_bin > 1:
            raise ValueError(f"ori_bin={self.ori_bin!r} must be at most 1, the distance of two bins")

    @classmethod
    def hard(cls) -> Softness:
        """The limit: every β = inf, every width 0, and cv2's rounding."""
        return cls(**dict.fromkeys(_GATES, math.inf), **dict.fromkeys(_WIDTHS, 0.0), rounding=True)

    def sharper(self, factor: float) -> Softness:
        """Multiply every β by `factor` and divide every width by it: factor → inf is `hard`.

        >>> Softness(ori_bin=0.5).sharper(2).ori_bin
        0.25
        """
        changes = {name: getattr(self, name) * factor for name in _GATES}
        changes |= {name: getattr(self, name) / factor for name in _WIDTHS}
        return self.replace(**{**changes, "ori_bin": min(changes["ori_bin"], 1.0)})

    def replace(self, **changes) -> Softness:
        """Return a copy with some fields changed."""
        return replace(self, **changes)
