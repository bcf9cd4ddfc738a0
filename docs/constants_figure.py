"""The figures and the table of docs/constants.md, from docs/constants.json alone.

Each constant has three panels: how well it goes, how many are found, and what the constant is about.  They are
pictures of their own, side by side where there is room and one below the other on a phone.
"""
from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

SHARES = {                                                   # name → of what, over what, colour
    "places repeated": ("repeated", "places", "C0"),
    "keypoints matched correctly": ("correct", "keypoints", "C2"),
    "matches that are correct": ("correct", "matches", "C1"),
}
ZOOMS = ("shrunk to 0.4", "shrunk to 0.6", "magnified to 1.6", "magnified to 2.3")


def constant(record: dict, field: str) -> dict:
    """Return what was recorded of one constant, by the name of its field."""
    return next(c for c in record["constants"] if c["field"] == field)


def share(row: dict, part: str, whole: str, chosen=slice(None)) -> float:
    """Return Σ part / Σ whole over the chosen pairs; NaN where there is nothing."""
    below = np.sum(np.array(row[whole])[chosen])
    return float(np.sum(np.array(row[part])[chosen]) / below) if below else float("nan")


def show(record: dict, field: str):
    """Return the three panels of a constant as HTML that wraps."""
    from IPython.display import HTML
    pictures = []
    for panel in panels(record, field):
        file = io.BytesIO()
        panel.savefig(file, format="png", dpi=130, pil_kwargs={"optimize": True})
        alt = f"{panel.axes[0].get_title()} against {panel.axes[0].get_xlabel()}"
        pictures.append(f'<img alt="{alt}" style="flex: 1 1 230px; min-width: 0; max-width: 420px" '
                        f'src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">')
    return HTML(f'<div style="display: flex; flex-wrap: wrap; gap: 4px">{"".join(pictures)}</div>')


def panels(record: dict, field: str) -> list[Figure]:
    """Draw the three panels of a constant.

    A thin line is one photograph, a thick one all of them; the dashed line is the number in use.
    """
    c = constant(record, field)
    x = np.array(c["values"], float) * c["times"]
    figures = []
    for draw in (_shares, _counts, ABOUT[field]):
        figures.append(Figure(figsize=(3.5, 3.2), layout="constrained"))
        axes = figures[-1].subplots()
        draw(axes, record, c, x)
        axes.axvline(c["default"] * c["times"], color="0.2", lw=1, ls="--", zorder=0)
        if c["logarithmic"]:
            axes.set_xscale("log")
            ticks = x[c["values"].index(c["default"]) % 2::2]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(c["shown"])
        axes.grid(color="0.92")
        axes.spines[["top", "right"]].set_visible(False)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend(fontsize=8, framealpha=0.8)
    return figures


def _shares(axes, record: dict, c: dict, x: np.ndarray) -> None:
    photographs = np.array([name for name, _ in record["pairs"]])
    for name, (part, whole, colour) in SHARES.items():
        for photograph in record["photographs"]:
            chosen = photographs == photograph
            axes.plot(x, [share(row, part, whole, chosen) for row in c["rows"]], color=colour, lw=0.7, alpha=0.5)
        axes.plot(x, [share(row, part, whole) for row in c["rows"]], "o-", ms=3, lw=2, color=colour, label=name)
    axes.set(title="how well", ylabel="share", ylim=(0, 1.02))


def _counts(axes, record: dict, c: dict, x: np.ndarray) -> None:
    for key, colour, name in (("keypoints", "0.4", "keypoints in both"), ("correct", "C2", "correct matches")):
        axes.plot(x, [np.mean(row[key]) for row in c["rows"]], "o-", ms=3, color=colour, label=name)
    axes.set(title="how many", ylabel="a pair, mean", ylim=(0, None))


def _one(key: str, title: str, unit: str) -> Callable:
    """Return a function that draws one number a setting."""
    def draw(axes, record, c, x):
        axes.plot(x, [row[key] for row in c["rows"]], "o-", ms=3, color="C3", label=title)
        axes.set(title=title, ylabel=unit, ylim=(0, None))
    return draw


def _scales(axes, record: dict, c: dict, x: np.ndarray) -> None:
    for change, colour in zip(ZOOMS, ("C4", "C0", "C1", "C3")):
        axes.plot(x, [row["larger_percent"][change] for row in c["rows"]], "o-", ms=3, color=colour, label=change)
    axes.axhline(0, color="0.6", lw=0.8)
    axes.set(title="σ found, against the true one", ylabel="too large by, median [%]")


def _groups(axes, record: dict, c: dict, x: np.ndarray) -> None:
    for (group, changes), colour in zip(record["groups"].items(), ("C0", "C4", "C1", "C3")):
        chosen = np.array([change in changes for _, change in record["pairs"]])
        axes.plot(x, [share(row, "correct", "keypoints", chosen) for row in c["rows"]], "o-", ms=3, color=colour,
                  label=group)
    axes.set(title="matched correctly, by change", ylabel="share of the keypoints", ylim=(0, None))


def _entries(axes, record: dict, c: dict, x: np.ndarray) -> None:
    for key, colour, name in (("zeros", "C0", "0"), ("saturated", "C3", "255, the largest")):
        axes.plot(x, [row[key] for row in c["rows"]], "o-", ms=3, color=colour, label=f"entries that are {name}")
    axes.set(title="what the rounding loses", ylabel="share of the entries", ylim=(0, 1.02))


_PLACE = _one("off_px", "how far off in the picture", "median [px]")
_ANGLE = _one("off_degrees", "how far off in angle", "median [°]")
ABOUT: dict[str, Callable] = {
    "sigma_in": _scales, "sigma": _PLACE, "contrast_threshold": _PLACE, "edge_threshold": _PLACE,
    "n_octave_layers": _one("off_percent", "how far off in σ", "median [%]"),
    "ori_sigma": _ANGLE, "ori_reach": _ANGLE, "ori_peak": _one("orientations", "orientations", "a place, mean"),
    "cell_width": _groups, "desc_clip": _groups, "desc_scale": _entries,
}
