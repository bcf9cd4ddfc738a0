"""The numbers that docs/constants.md states, looked up in docs/constants.json: single ones, and the table of leads."""
from __future__ import annotations

import numpy as np

from docs.constants_figure import SHARES, constant, share

MEASURES = {**{name: (part, whole) for name, (part, whole, _) in SHARES.items()}, "correct matches": ("correct", None)}


def number(record: dict, field: str, measure: str, value: float) -> float:
    """Return a measure of one setting.

    Parameters
    ----------
    measure : "repeated", "matched", "right", shares in per cent: of the places, of the keypoints, of the matches;
        "correct", matches of all pairs; "larger_" and a change, per cent of σ; or a name in the rows of the record
    value : of the number that is known: 4.5, not 3, for ori_reach
    """
    c = constant(record, field)
    row = c["rows"][[known * c["times"] for known in c["values"]].index(value)]
    if measure in ("repeated", "matched", "right"):
        part, whole = list(MEASURES.values())[("repeated", "matched", "right").index(measure)]
        return 100 * share(row, part, whole)
    if measure.startswith("larger_"):
        return row["larger_percent"][measure.removeprefix("larger_").replace("_", " ")]
    return float(np.sum(row[measure]))


def best(c: dict, part: str, whole: str | None = None) -> tuple[float, float, int]:
    """Return the best value of a constant, its lead over the number in use, and in how many pairs it leads.

    The lead is a difference of shares, or with no `whole` the ratio of two counts, less 1.  Of equals it is the number
    in use.
    """
    used = c["rows"][c["values"].index(c["default"])]

    def total(row):
        return share(row, part, whole) if whole else float(np.sum(row[part]))

    def each(row):
        return np.array(row[part]) / np.maximum(row[whole], 1) if whole else np.array(row[part])
    totals = [total(row) for row in c["rows"]]
    most = int(np.nanargmax(totals)) if np.nanmax(totals) > total(used) else c["values"].index(c["default"])
    lead = totals[most] - total(used) if whole else totals[most] / total(used) - 1
    return c["values"][most] * c["times"], lead, int((each(c["rows"][most]) > each(used)).sum())


def table(record: dict) -> str:
    """Return a Markdown table: the number in use beside the best of those tried, by each share and by count."""
    n = len(record["pairs"])
    lines = ["| constant | in use | " + " | ".join(MEASURES) + " |", "|---" * (2 + len(MEASURES)) + "|"]
    for c in record["constants"]:
        cells = []
        for part, whole in MEASURES.values():
            value, lead, pairs = best(c, part, whole)
            gain = f"{100 * lead:+.1f} points" if whole else f"{100 * lead:+.1f} %"
            cells.append("this" if value == c["default"] * c["times"] else f"{value:g} ({gain}, {pairs} of {n})")
        lines.append(f"| `{c['field']}` | {c['default'] * c['times']:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
