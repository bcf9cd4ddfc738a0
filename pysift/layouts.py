"""The text layouts of Lowe and of VLFeat: Features to text and back.

    kind     a file                               a keypoint                                      numbers
    lowe     "N 128", then N keypoints            row column σ angle, then 128, 20 a line         convert.to_lowe
    vlfeat   a line a keypoint                    x y σ θ, then 128, each cell's bins reversed    convert.to_vlfeat

Neither has room for response, octave and layer, which return as in pysift.convert, nor for float descriptors.
Nine digits hold a float32 to the bit; Lowe's own program writes two after the point.

Source: the README of D. Lowe's demonstration program, 2005; the manual page of VLFeat's `sift`.
imports: convert, keypoints
"""
from __future__ import annotations

import numpy as np

from pysift.convert import convert_descriptors, from_lowe, from_vlfeat, to_lowe, to_vlfeat
from pysift.keypoints import Features

_WIDTH = 4 + 128                      # numbers that a layout has of a keypoint


def to_text(features: Features, kind: str) -> str:
    """Write N keypoints with (N, 128) uint8 descriptors in a layout, "lowe" or "vlfeat".

    >>> from pysift.keypoints import Keypoints
    >>> text = to_text(Features(Keypoints.at([8], [5], 2), np.ones((1, 128), np.uint8)), "lowe")
    >>> text.splitlines()[:3]
    ['1 128', '5 8 2 0', ' 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1']
    """
    keypoints, descriptors = features
    if kind == "vlfeat":
        rows = zip(to_vlfeat(keypoints), convert_descriptors(descriptors, "opencv", "vlfeat").tolist())
        return "".join(f"{_digits(frame)} {' '.join(map(str, d))}\n" for frame, d in rows)
    lines = [f"{len(keypoints)} 128"]
    for frame, d in zip(to_lowe(keypoints), descriptors.tolist()):
        lines += [_digits(frame), *("".join(f" {v}" for v in d[i:i + 20]) for i in range(0, 128, 20))]
    return "\n".join(lines) + "\n"


def from_text(text: str, kind: str, name: str) -> Features:
    """Read what `to_text`, or the program that the layout comes from, wrote.

    Parameters
    ----------
    text : the content of the file
    kind : "lowe" or "vlfeat"
    name : the name that messages give the file

    Raises
    ------
    ValueError : the text is none of that layout; the message begins with name:line.

    >>> from_text("0 128", "lowe", "empty.key").descriptors.shape
    (0, 128)
    """
    if kind == "vlfeat":
        _check_lines(text, name)
        table = _table(text, 0, name)
        frames, layout = from_vlfeat(table[:, :4]), "vlfeat"
    else:
        _check_count(text, name)
        table = _table(text, 2, name)
        frames, layout = from_lowe(table[:, :4]), "opencv"
    return Features(frames, convert_descriptors(table[:, 4:].astype(np.uint8), layout, "opencv"))


def _digits(frame: np.ndarray) -> str:
    return " ".join(f"{v:.9g}" for v in frame)


def _check_count(text: str, name: str) -> None:
    """Lowe's first line must be "N 128" and count what follows."""
    words = text.split()
    if len(words) < 2 or not words[0].isdecimal() or words[1] != "128":
        raise ValueError(f"{name}:1: {' '.join(words[:2])!r} is not 'N 128': check that it is one of Lowe's .key files")
    n, stored = int(words[0]), len(words) - 2
    if stored < _WIDTH * n:
        raise ValueError(f"{name}:{len(text.splitlines())}: ends in keypoint {stored // _WIDTH + 1} of {n}: "
                         "copy or write it again")
    if stored > _WIDTH * n:
        raise ValueError(f"{name}:{_line(text, 2 + _WIDTH * n)}: goes on after keypoint {n}, the last that line 1 "
                         "counts: correct the count, or write it again")


def _check_lines(text: str, name: str) -> None:
    """Each of VLFeat's lines must be a keypoint, or empty."""
    for number, line in enumerate(text.splitlines(), 1):
        count = len(line.split())
        if count not in (0, _WIDTH):
            raise ValueError(f"{name}:{number}: {count} numbers, not x y σ θ and 128 of the descriptor: "
                             "copy or write it again")


def _table(text: str, header: int, name: str) -> np.ndarray:
    """Return the numbers after the first `header` words, (N, 132) float64, each checked for its place."""
    words = text.split()[header:]
    try:
        table = np.array(words, np.float64).reshape(-1, _WIDTH)
    except ValueError:
        first = next(i for i, word in enumerate(words) if not _is_number(word))
        raise ValueError(f"{name}:{_line(text, header + first)}: {words[first]!r} is no number: "
                         "copy or write it again") from None
    single = np.finfo(np.float32)
    good = np.abs(table) <= single.max                                        # false for NaN
    good[:, 2] &= table[:, 2] >= single.tiny
    good[:, 4:] &= table[:, 4:] == np.clip(np.rint(table[:, 4:]), 0, 255)
    if not good.all():
        first = int(np.argmin(good))
        raise ValueError(f"{name}:{_line(text, header + first)}: {words[first]!r} cannot stand there: places and "
                         "angles are finite, σ is above 0, descriptors are integers of 0 … 255")
    return table


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _line(text: str, index: int) -> int:
    """Return the number of the line that holds the word of this index."""
    for number, line in enumerate(text.splitlines(), 1):
        index -= len(line.split())
        if index < 0:
            return number
    raise IndexError(index)
