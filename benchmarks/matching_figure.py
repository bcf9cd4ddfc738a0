"""The figure of the matching benchmark: a column a sequence, a line an implementation."""
from __future__ import annotations

import numpy as np

_ROWS = (("repeatability", "repeatability"), ("within 3 px", "share within 3 px"),
         ("correct", "correct matches"), ("corner errors", "median corner error [px]"))
_MARKERS = "osD^v<>PX*"


def draw(rows: list[dict]):
    """Draw every measure over the number of the second image; returns the matplotlib Figure.

    Implementations whose numbers are equal throughout share a line, and its label names them all.
    """
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    sequences = list(dict.fromkeys(row["sequence"] for row in rows))
    groups = _alike(rows)
    colours = plt.get_cmap("tab10").colors
    figure, axes = plt.subplots(len(_ROWS), len(sequences), figsize=(2.75 * max(len(sequences), 3), 8.5),
                                sharex="col", squeeze=False, layout="constrained")
    for column, sequence in enumerate(sequences):
        for line, (key, label) in enumerate(_ROWS):
            ax = axes[line, column]
            for n, names in enumerate(groups):
                chosen = [row for row in rows if row["sequence"] == sequence and row["peer"] == names[0]]
                ax.plot([row["pair"] for row in chosen], [_value(row, key) for row in chosen],
                        ms=5 if n < 2 else 3, lw=2.5 if n < 2 else 1.0,      # broad, as others lie on top of them
                        marker=_MARKERS[n % 10], color=colours[n % 10], label=" = ".join(names))
            ax.set_xticks(sorted({row["pair"] for row in rows}))
            _finish(ax, key, label if column == 0 else "", sequence if line == 0 else "")
        axes[-1, column].set_xlabel("image 1 against image …")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _finish(ax, key: str, label: str, title: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter
    ax.set_ylabel(label)
    ax.set_title(title)
    ax.grid(color="0.9")
    if key == "corner errors":
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        ax.set_ylim(bottom=0)


def _value(row: dict, key: str) -> float:
    if key == "corner errors":
        value = float(np.median([np.inf if e is None else e for e in row[key]]))
        return value if np.isfinite(value) else np.nan
    return np.nan if row[key] is None else row[key]


def _alike(rows: list[dict]) -> list[list[str]]:
    """Group the names of the implementations whose drawn numbers are equal."""
    groups: dict[tuple, list[str]] = {}
    for name in dict.fromkeys(row["peer"] for row in rows):
        numbers = tuple(repr(_value(row, key)) for row in rows if row["peer"] == name for key, _ in _ROWS)
        groups.setdefault(numbers, []).append(name)
    return list(groups.values())
