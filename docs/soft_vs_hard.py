"""Write docs/soft_vs_hard.md, the two twins in columns: python docs/soft_vs_hard.py.

    pysift/step.py, diffsift/step.py → functions, each with the helpers it is the first to call → a row of two columns
    diffsift/step.py, its header     → Relaxed, Limit, Singular, Held fixed → the table at the top

Sources are read with `ast`, nothing is imported or run.  Of a docstring stays what comes before its first section:
the sentence and the formula.
"""
from __future__ import annotations

import ast
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "soft_vs_hard.md"
MODULES = ("scalespace", "extrema", "refine", "orientation", "descriptor", "selection", "pipeline")
FIELDS = ("Relaxed", "Limit", "Singular", "Held fixed")
_SECTION = re.compile(r"^ *(Parameters|Returns|Raises|Attributes|Notes|Examples|Source:|Source  |>>> )", re.MULTILINE)
_TOP = """# Soft and hard, side by side

Written by `python docs/soft_vs_hard.py` from the sources; not to be edited. On the left what finds cv2's keypoints, on
the right its differentiable twin. A function stands with the helpers that it is the first to call; docstrings are cut
to their formulas, argument by argument they are in the files. What the singular points mean for a derivative is in
[derivatives.md](derivatives.md).

| step | what was relaxed | limit | singular points, and what is taken there | held fixed |
|---|---|---|---|---|
"""


def tree(package: str, name: str) -> ast.Module:
    """Parse one module."""
    return ast.parse((ROOT / package / f"{name}.py").read_text(encoding="utf-8"))


def header_fields(name: str) -> dict[str, str]:
    """What the header of a soft step says under each of FIELDS, on one line; a field it lacks is absent.

    >>> list(header_fields("extrema"))
    ['Relaxed', 'Limit', 'Singular', 'Held fixed']
    """
    header = ast.get_docstring(tree("diffsift", name)) or ""
    found = re.findall(rf"^({'|'.join(FIELDS)})  +(.*(?:\n {{4,}}.*)*)", header, re.MULTILINE)
    return {field: " ".join(text.split()) for field, text in found}


def units(package: str, name: str) -> dict[str, str]:
    """Source of each public function and class of a module, followed by that of the helpers it is the first to call."""
    lines = (ROOT / package / f"{name}.py").read_text(encoding="utf-8").splitlines()
    nodes = {n.name: n for n in tree(package, name).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    taken: set[str] = set()
    found = {}
    for public in (n for n in nodes if not n.startswith("_")):
        parts = [public]
        for part in parts:                                      # grows while it is walked
            names = [n.id for n in ast.walk(nodes[part]) if isinstance(n, ast.Name)]
            fresh = [n for n in nodes if n in names and n.startswith("_") and n not in taken]
            parts += fresh
            taken.update(fresh)
        found[public] = "\n\n\n".join(source(nodes[part], lines) for part in parts)
    return found


def source(node: ast.FunctionDef | ast.ClassDef, lines: list[str]) -> str:
    """Lines of a function or class with its docstring cut before the first section."""
    first = min(n.lineno for n in (node, *node.decorator_list))
    docstring = node.body[0] if ast.get_docstring(node) else None
    if docstring is None:
        return "\n".join(lines[first - 1:node.end_lineno])
    kept = _SECTION.split("\n".join(lines[docstring.lineno - 1:docstring.end_lineno]), maxsplit=1)[0].rstrip()
    kept += "" if kept.endswith('"""') else '"""'
    return "\n".join([*lines[first - 1:docstring.lineno - 1], kept, *lines[docstring.end_lineno:node.end_lineno]])


def in_order(hard: list[str], soft: list[str]) -> list[str]:
    """Merge the functions of both: those of the hard twin as they stand, the others after the one they follow.

    >>> in_order(["a", "b", "c"], ["a", "x", "c"])
    ['a', 'x', 'b', 'c']
    """
    order = list(hard)
    for before, name in zip([None, *soft], soft):
        if name not in order:
            order.insert(order.index(before) + 1 if before else 0, name)
    return order


def columns(name: str) -> str:
    """One step: an HTML table with a row for each function."""
    hard, soft = units("pysift", name), units("diffsift", name)
    title = (ast.get_docstring(tree("diffsift", name)) or "").split("\n")[0].split("  ")[0].rstrip(".")
    rows = "".join(f"<tr><td valign=\"top\">\n\n{cell(hard.get(f))}\n\n</td><td valign=\"top\">\n\n{cell(soft.get(f))}"
                   "\n\n</td></tr>\n" for f in in_order(list(hard), list(soft)))
    return (f"## {name}\n\n{title}.\n\n<table>\n"
            f"<tr><th align=\"left\">\n\n[pysift/{name}.py](../pysift/{name}.py)\n\n</th>"
            f"<th align=\"left\">\n\n[diffsift/{name}.py](../diffsift/{name}.py)\n\n</th></tr>\n{rows}</table>\n")


def cell(code: str | None) -> str:
    """Code as Markdown inside HTML, which GitHub and MyST render alike where blank lines stand about it."""
    return f"```python\n{code}\n```" if code else "—"


def summary(name: str) -> str:
    """Return the row of one step in the table at the top."""
    said = header_fields(name)
    cells = [said.get(field, "—").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*") for field in FIELDS]
    return f"| [{name}](../diffsift/{name}.py) | {' | '.join(cells)} |\n"


def page() -> str:
    """Return the whole page."""
    return _TOP + "".join(map(summary, MODULES)) + "\n" + "\n".join(map(columns, MODULES))


def main() -> None:
    """Write it, at once or not at all."""
    part = PAGE.with_suffix(".part")
    part.write_text(page(), encoding="utf-8")
    os.replace(part, PAGE)


if __name__ == "__main__":
    main()
