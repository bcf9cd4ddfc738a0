"""What the thousand answers of a net for ImageNet are called."""
from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files


@cache
def class_names() -> tuple[str, ...]:
    """The first name of each of ImageNet's thousand classes, in the order of the logits.

    >>> class_names()[285], class_names()[967]
    ('Egyptian cat', 'espresso')
    """
    lines = (files("cnn") / "weights" / "synset_words.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line.split(" ", 1)[1].split(",")[0].strip() for line in lines)


def class_number(text: str, names: tuple[str, ...] | None = None) -> int:
    """Return the number of a class that is given by number or by name.

    Parameters
    ----------
    text : what a user wrote
    names : of the classes; None takes ImageNet's

    >>> class_number("espresso"), class_number("285")
    (967, 285)

    Raises
    ------
    ValueError : no class has this number or name; the message lists names that hold it.
    """
    names = names or class_names()
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    if text in names:
        return names.index(text)
    near = [f"{number} {name}" for number, name in enumerate(names) if text.lower() in name.lower()][:5]
    near = near or [f"{names.index(name)} {name}" for name in difflib.get_close_matches(text, names, 3)]
    raise ValueError(f"class {text!r} is unknown: give a number from 0 to {len(names) - 1}, or a name such as "
                     f"{', '.join(near) or f'0 {names[0]}'}")
