"""The picture of `cost`: time against pixels, keypoints and threads on log–log axes, with the fitted lines."""
from __future__ import annotations

from statistics import median

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

_COLOURS = {"cv2": "#1f77b4", "pysift": "#d62728"}
_TITLES = {"pixels": "megapixels, one thread", "keypoints": "keypoints of one picture, one thread",
           "threads": "threads"}


def draw(curves: dict[str, dict]) -> Figure:
    """Draw the curves of cost.json, a panel for each x."""
    figure = Figure(figsize=(14, 6.2), layout="constrained")
    for axes, (kind, title) in zip(figure.subplots(1, 3), _TITLES.items()):
        shown = {name: curve for name, curve in curves.items() if curve["x"] == kind}
        for (name, curve), mark, line in zip(shown.items(), "osD", ("-", "--", ":")):
            for who, colour in _COLOURS.items():
                label = f"{who}, {name.split(', ', 1)[1]}" if len(shown) > 1 else who
                _draw_curve(axes, curve, who, label, {"color": colour, "marker": mark, "linestyle": line})
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        if kind == "threads":
            _mark_threads(axes, shown)
        axes.set_xlabel(title)
        axes.set_ylabel("ms a call" if kind != "keypoints" else "ms a call beyond that without keypoints")
        axes.grid(alpha=0.3)
        axes.margins(x=0.1)
        axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return figure


def _draw_curve(axes, curve: dict, who: str, label: str, style: dict) -> None:
    """Medians as marks, the fitted line through them, the exponent in the legend."""
    if who not in curve["exponents"]:
        return
    x, time = np.array(curve["fitted"][who]).T * [[1e-6 if curve["x"] == "pixels" else 1], [1e3]]
    value, (low, high) = curve["exponents"][who]
    axes.plot(x, time, style["marker"], color=style["color"], markersize=5, markerfacecolor="none")
    axes.plot(x, np.exp(np.log(time).mean() + value * (np.log(x) - np.log(x).mean())), style["linestyle"],
              color=style["color"], linewidth=1)
    axes.plot([], [], **style, markersize=5, markerfacecolor="none", linewidth=1,
              label=f"{label}: p = {value:.2f} ({low:.2f} … {high:.2f})")


def _mark_threads(axes, curves: dict[str, dict]) -> None:
    """Name each number of threads, and draw what an exponent of −1 looks like."""
    numbers = sorted({p["x"] for curve in curves.values() for p in curve["points"]})
    axes.xaxis.set_major_locator(FixedLocator(numbers))
    axes.xaxis.set_minor_locator(NullLocator())
    top = max(1e3 * median(p["seconds"]["cv2"]) for curve in curves.values() for p in curve["points"])
    axes.plot(numbers, [1.3 * top / n for n in numbers], ":", color="black", linewidth=1, label="p = −1")
