"""The picture of `tape`: time of a convolution relative to torch, a panel for each direction, log axis."""
from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

_COLOURS = {1: "#1f77b4", 2: "#d62728"}


def draw(rows: list[dict]) -> Figure:
    """Draw the rows of tape.json: left of the solid line is faster than torch, of the dotted one within the aim."""
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    figure = Figure(figsize=(9.5, 1.6 + 0.32 * len(shapes)), layout="constrained")
    for axes, step in zip(figure.subplots(1, 2, sharey=True, sharex=True), ("forward", "backward")):
        for row in rows:
            value, (low, high) = row[step]["ratio"], row[step]["interval"]
            y = shapes.index(row["shape"]) + 0.15 * (1 if row["threads"] == 2 else -1)
            axes.errorbar(value, y, xerr=[[value - low], [high - value]], fmt="o", markersize=4, linewidth=1,
                          color=_COLOURS[row["threads"]])
        axes.axvline(1, color="black", linewidth=1)
        axes.axvline(5, color="black", linewidth=1, linestyle=":")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator((0.2, 0.5, 1, 2, 5, 10, 20)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_yticks(range(len(shapes)), shapes)
        axes.set_ylim(len(shapes) - 0.4, -0.6)
        axes.grid(axis="x", alpha=0.3)
        axes.set_title(step)
        axes.set_xlabel("time of the tape / time of torch")
    for threads, colour in _COLOURS.items():
        axes.plot([], [], "o", color=colour, markersize=4, label=f"{threads} thread{'s' * (threads > 1)}")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure
