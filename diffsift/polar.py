"""Length and angle of a gradient, safe where there is none.

A vote m·φ(θ) of the gradient g = m·e_r has the derivative φ·e_r + φ'·e_θ, of length √(φ² + φ'²) for *every* m > 0:
m cancels the 1/m of the angle.  That holds only if both come from the same m, so nothing is added to either.

    singular point   m = 0, the tip of a cone: m := 0, θ := 0, both without a derivative (a choice; m has every
                     subgradient of length ≤ 1 there).  Below 10⁻¹⁵ grey levels a gradient counts as none.

imports: torch only
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

_NONE = 1e-30                                                 # m², where float32 still divides safely
# cv::hal::fastAtan2, coefficients in degrees
_P1, _P3, _P5, _P7 = 57.283627, -18.667446, 8.9140005, -2.5397246


def polar(dx: Tensor, dy: Tensor, *, exact: bool = False) -> tuple[Tensor, Tensor]:
    """Return (length, angle) of vectors (dx, dy): angle in degrees in [0, 360], from +x towards +dy.

    `exact` takes the arc tangent, else cv2's polynomial of it, off by at most 0.01°.  The jump at 360° moves the
    value by a whole turn and no derivative.

    >>> polar(torch.tensor([0.0, 3.0]), torch.tensor([0.0, -4.0]), exact=True)
    (tensor([0., 5.]), tensor([  0.0000, 306.8699]))
    """
    square = dx * dx + dy * dy
    none = square < _NONE
    length = torch.sqrt(torch.where(none, 1.0, square))
    x, y = torch.where(none, 1.0, dx), torch.where(none, 0.0, dy)
    angle = _turn(torch.atan2(y, x) * (180 / math.pi)) if exact else _fast_degrees(y, x)
    return torch.where(none, 0.0, length), angle


def _turn(angle: Tensor) -> Tensor:
    return angle + torch.where(angle < 0, 360.0, 0.0)


def _fast_degrees(y: Tensor, x: Tensor) -> Tensor:
    """p(c) = c·(p₁ + p₃c² + p₅c⁴ + p₇c⁶),  c = y/x or x/y, whichever is in [−1, 1].

    p is odd, so unlike min(|x|, |y|) / max(|x|, |y|) this keeps its derivative where a gradient lies along an axis.
    """
    wide = x.abs() >= y.abs()
    c = torch.where(wide, y, x) / torch.where(wide, x, y)
    cc = c * c
    p = (((_P7 * cc + _P5) * cc + _P3) * cc + _P1) * c
    along_x = p + torch.where(x < 0, 180.0, torch.where(y < 0, 360.0, 0.0))
    return torch.where(wide, along_x, torch.where(y < 0, 270.0, 90.0) - p)
