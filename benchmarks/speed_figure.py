"""The picture of `speed`: time relative to cv2, a panel for each number of threads, log axis."""
from __future__ import annotations

from statistics import median
from textwrap import fill

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

_MARKS = {"pysift": ("o", "#d62728"), "pysift.SIFT_create": ("s", "#ff9896"), "kornia-rs": ("D", "#1f77b4"),
          "pycolmap": ("^", "#2ca02c"), "scikit-image": ("v", "#9467bd"), "kornia pyramid": ("P", "#8c564b"),
          "kornia patch": ("X", "#e377c2")}
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def draw(rows: list[dict]) -> Figure:
    """Draw the rows of speed.json: left of the line is faster than cv2 in the same process."""
    threads = sorted({row["threads"] for row in rows})
    sizes = list(dict.fromkeys(row["image"] for row in rows))
    figure = Figure(figsize=(9.5, 1.8 + 0.75 * len(sizes)), layout="constrained")
    panels = figure.subplots(1, len(threads), sharey=True, sharex=True, squeeze=False)[0]
    for axes, n in zip(panels, threads):
        for row in (row for row in rows if row["threads"] == n):
            _draw_row(axes, row, sizes.index(row["image"]))
        axes.axvline(1, color="black", linewidth=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_TICKS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_yticks(range(len(sizes)), sizes)
        axes.set_ylim(len(sizes) - 0.4, -0.6)
        axes.grid(axis="x", alpha=0.3)
        axes.set_title("1 thread" if n == 1 else f"{n} threads")
        axes.set_xlabel("time / time of cv2.SIFT in the same process")
    _legend(figure, panels[0], rows)
    return figure


def _draw_row(axes, row: dict, y: int) -> None:
    """One size: a dot a peer with its interval, one below the other, and the span of cv2's memory regimes."""
    peers = row["peers"]
    theirs = [median(steps["all"]["seconds"]["cv2"]) for steps in row["regimes"].values()]
    theirs = [seconds / median(peers["seconds"]["cv2"]) for seconds in theirs]
    axes.fill_betweenx([y - 0.4, y + 0.4], min(*theirs, 1), max(*theirs, 1), color="black", alpha=0.15, linewidth=0)
    names = [name for name in _MARKS if name in peers["ratios"]]
    for place, name in enumerate(names):
        value, (low, high) = peers["ratios"][name]
        mark, colour = _MARKS[name]
        at = y + 0.66 * ((place + 0.5) / len(names) - 0.5)
        axes.errorbar(1 / value, at, xerr=[[1 / value - 1 / high], [1 / low - 1 / value]], fmt=mark, color=colour,
                      markersize=5, linewidth=1)
    if peers["left_out"]:
        text = fill(f"left out, too slow: {', '.join(peers['left_out'])}", 36)
        axes.text(0.99, y + 0.48, text, fontsize=7, ha="right", va="bottom", transform=axes.get_yaxis_transform())


def _legend(figure: Figure, axes, rows: list[dict]) -> None:
    for name, (mark, colour) in _MARKS.items():
        if any(name in row["peers"]["ratios"] for row in rows):
            axes.plot([], [], mark, color=colour, label=name)
    axes.fill_between([], [], color="black", alpha=0.15, label="cv2, by the pages it gets")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
