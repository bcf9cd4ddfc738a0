"""Docstrings as the site shows them: an indented block is a formula or a listing, |x| is a length.

In the sources a formula is set off by an indent, as one would on paper.  To Sphinx that is a quotation, whose lines
it joins; `::` before it says otherwise.  And |x| would be the name of something to put in its place.
"""
import re


def as_written(app, what, name, obj, options, lines):
    """Mark the blocks above the first section as literal, free all other bars, drop the line of imports."""
    first_section = next((i - 1 for i, line in enumerate(lines) if i and re.fullmatch(r"-{3,}", line)), len(lines))
    shown, block = [], ""                                      # what kind of block the line belongs to
    for i, line in enumerate(lines):
        after_blank = i > 0 and not lines[i - 1].strip()
        if line.startswith("imports:"):
            continue
        if line.startswith("    ") and after_blank and i < first_section and block != "formula":
            shown += ["::", ""]
            block = "formula"
        elif line.lstrip().startswith(">>>"):
            block = "doctest"
        elif line.strip() and not line.startswith("    ") and (after_blank or block == "formula"):
            block = ""
        shown.append(line if block else re.sub(r"\|(\S|\S[^|`]*\S)\|", r"\\|\1\\|", line))
    lines[:] = shown


def unexplained(app, what, name, obj, skip, options):
    """Leave out the fields of a NamedTuple: all that is known of one is its number, and the class explains them."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None
