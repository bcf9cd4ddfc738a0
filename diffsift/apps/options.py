"""What the options of several applications have in common: numbers that must be possible, a crop with keypoints."""
from __future__ import annotations

import argparse
import math


def count(text: str) -> int:
    """Type of an option that takes a whole number of at least 1.

    >>> count("12")
    12
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def number(text: str) -> float:
    """Type of an option that takes any number but NaN and the infinities.

    >>> number("-0.5")
    -0.5
    """
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not finite")
    return value


def positive(text: str) -> float:
    """Type of an option that takes a number above 0.

    >>> positive("0.5")
    0.5
    """
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def require_keypoints(found: int, args, what: str = "keypoint") -> None:
    """Stop where an application has nothing to work on.

    Raises
    ------
    ValueError : `found` is 0
    """
    if not found:
        raise ValueError(f"there is no {what} in the middle {args.size} x {args.size} px of {args.image}: choose a "
                         "larger --size or another --image")
