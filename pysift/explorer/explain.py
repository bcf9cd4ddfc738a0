"""One place of an image as a figure: how the keypoint there came about, or which test there is none for.

    Trace, (x, y) → the nearest keypoint, or the nearest candidate, or the differences of every octave → Figure

imports: draw, explorer.points, explorer.replay, descriptor, scalespace, tracing
"""
from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pysift.descriptor import describe_octave
from pysift.draw import new_figure, plot_angles, plot_cube, plot_descriptor, plot_patch
from pysift.explorer.points import clipped, unit
from pysift.explorer.replay import replay
from pysift.scalespace import Octave
from pysift.tracing import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_PASS, _FAIL, _MARK = "#009E73", "#D55E00", "#CC79A7"
_AROUND = 24                    # pixels of the octave shown on each side of a candidate
_LINES = 10                     # of what happened near by


class Check(NamedTuple):
    """A number that decides, and what it is compared with."""

    name: str
    value: float
    threshold: float
    passed: bool
    asked: str                  # "≥", "<" or ">"


def explain(seen: Trace, x: float, y: float, radius: float = 3.0) -> Figure:
    """Draw what became of the place (x, y).

    Parameters
    ----------
    seen : Trace
    x, y : input pixels
    radius : how far from there to look, input pixels

    Returns
    -------
    matplotlib Figure: of the nearest keypoint within the radius; else of the nearest candidate; else of D in every
    octave

    Raises
    ------
    ImportError : matplotlib is not installed.
    ValueError : as `Trace.why`

    >>> from pysift.photos import photo
    >>> from pysift.tracing import trace
    >>> explain(trace(photo("chelsea")), 200, 20).get_suptitle()
    'no keypoint at (200, 20)'
    """
    keypoints, candidates = seen.near(x, y, radius)
    figure = new_figure(11, 9.2 if len(keypoints) else 6.6)
    left, right = _parts(figure, 1, 2, width_ratios=[1, 1.3])
    if len(keypoints):
        i = int(keypoints[0])
        figure.suptitle(f"keypoint {i} at ({seen.keypoints.x[i]:.2f}, {seen.keypoints.y[i]:.2f})")
        ax, words = _keypoint(left, right, seen, i)
    elif len(candidates):
        c = int(candidates[0])
        figure.suptitle(f"no keypoint at ({x:g}, {y:g}): {seen.candidates.step[c]}")
        ax, words = _candidate(left, right, seen, c)
    else:
        figure.suptitle(f"no keypoint at ({x:g}, {y:g})")
        ax, words = _nothing(left, right, seen, x, y)
    _write(words, seen.why(x, y, radius), 72)
    ax.plot(x, y, "+", color="white", markersize=14, markeredgewidth=3.4)
    ax.plot(x, y, "+", color="black", markersize=13, markeredgewidth=1.4)
    return figure


def checks(seen: Trace, c: int) -> list[Check]:
    """Return the tests that candidate c went through, in their order, as far as it came.

    >>> from pysift.photos import photo
    >>> from pysift.tracing import trace
    >>> t = trace(photo("chelsea"))
    >>> [check.passed for check in checks(t, int(np.flatnonzero(t.candidates.step == "edge")[0]))]
    [True, True, True, False]
    """
    octave, cell, params = *_home(seen, c), seen.params
    r = replay(octave.levels, cell[None], params)
    offset = float(np.abs(r.offsets[r.visited[0] - 1, 0]).max())
    contrast, ratio, limit = float(r.contrast[0]), float(r.ratio[0]), _edge_limit(params.edge_threshold)
    least, start = params.candidate_threshold(), abs(float(octave.dog[tuple(cell)]))
    rows = [Check("|D| [grey levels]", start, least, start > least, ">"),
            Check("largest |δ| [px, layers]", offset, params.accept_offset, not np.isnan(contrast), "<"),
            Check("S·|D(p + δ)| [range]", contrast, params.contrast_threshold,
                 contrast >= float(np.float32(params.contrast_threshold)), "≥"),
            Check("tr²/det", ratio, limit, 0 < ratio < limit, "<")]
    came = next((i for i, check in enumerate(rows) if not check.passed), len(rows) - 1)
    return rows[:came + 1]


def _edge_limit(r: float) -> float:
    return float((np.float32(r) + 1) ** 2 / np.float32(r)) if r > 0 else np.inf


def _home(seen: Trace, c: int) -> tuple[Octave, np.ndarray]:
    """The octave of candidate c, and its layer, row and column there."""
    found = seen.candidates
    octave = next(o for o in seen.octaves if o.index == found.octave[c])
    return octave, np.array([found.layer[c], found.row[c], found.col[c]], np.int32)


def _keypoint(left: SubFigure, right: SubFigure, seen: Trace, i: int) -> tuple[Axes, SubFigure]:
    story, params = seen.story(i), seen.params
    place, tried, words = _parts(left, 3, 1, height_ratios=[2, 1.2, 0.7])
    ax = place.add_subplot()
    plot_patch(ax, story, params)
    _plot_checks(tried.add_subplot(), checks(seen, int(seen.source[i])))
    cube, angles, bottom = _parts(right, 3, 1, height_ratios=[1, 1.1, 1.35])
    plot_cube(cube.subplots(1, 3), story.cube, story.keypoint.layer[0])
    plot_angles(angles.add_subplot(), story, params)
    k, octave = story.keypoint, _home(seen, int(seen.source[i]))[0]
    pixel = 2.0**octave.index
    raw = describe_octave(octave.levels, k.layer, k.x / pixel, k.y / pixel, k.sigma / pixel, np.rad2deg(k.theta),
                          params)
    before, after = bottom.subplots(1, 2)
    uncut = unit(raw).reshape(story.descriptor.shape)
    longest = max(float(uncut.max()), float(story.descriptor.max()))           # one scale, so that the two compare
    plot_descriptor(before, uncut, longest)
    plot_descriptor(after, story.descriptor, longest)
    over = clipped(raw, params)[0]
    before.set_title(f"before clipping: {over} above {params.desc_clip:g}")
    after.set_title(f"clipped, norm 1 again: largest {story.descriptor.max():.3f}")
    return ax, words


def _candidate(left: SubFigure, right: SubFigure, seen: Trace, c: int) -> tuple[Axes, SubFigure]:
    place, words = _parts(left, 2, 1, height_ratios=[2.2, 1])
    ax = place.add_subplot()
    octave, cell = _home(seen, c)
    r = replay(octave.levels, cell[None], seen.params)
    layer, row, col = r.end[0]
    _plot_level(ax, octave, layer, row, col)
    ax.plot(col * 2.0**octave.index, row * 2.0**octave.index, "s", markersize=11, fillstyle="none", color=_MARK)
    cube, tried, way = _parts(right, 3, 1, height_ratios=[1.3, 1.2, 0.8])
    plot_cube(cube.subplots(1, 3), octave.dog[layer - 1:layer + 2, row - 1:row + 2, col - 1:col + 2], layer)
    _plot_checks(tried.add_subplot(), checks(seen, c))
    steps = [f"step {k + 1}   at layer {at[0]}, row {at[1]}, column {at[2]}   δ = ({dx:+.3f}, {dy:+.3f}, {ds:+.3f})"
             for k, (at, (dx, dy, ds)) in enumerate(zip(r.cells[:r.visited[0], 0], r.offsets[:, 0]))]
    _write(way, "\n".join(steps), 90)
    return ax, words


def _nothing(left: SubFigure, right: SubFigure, seen: Trace, x: float, y: float) -> tuple[Axes, SubFigure]:
    """D at the place in every octave and layer; those beyond the threshold are framed."""
    place, words = _parts(left, 2, 1, height_ratios=[2.2, 1.6])
    ax = place.add_subplot()
    if not seen.octaves:
        ax.imshow(seen.grey, cmap="gray")
        return ax, words
    _plot_level(ax, seen.octaves[0], 1, round(y / 2.0**seen.octaves[0].index), round(x / 2.0**seen.octaves[0].index))
    values = np.array([[o.dog[layer, min(round(y / 2.0**o.index), o.dog.shape[1] - 1),
                              min(round(x / 2.0**o.index), o.dog.shape[2] - 1)]
                        for layer in range(1, seen.params.n_octave_layers + 1)] for o in seen.octaves])
    table, least = right.add_subplot(), seen.params.candidate_threshold()
    most = max(float(np.abs(values).max()), least) or 1
    table.imshow(values, cmap="PuOr_r", vmin=-1.6 * most, vmax=1.6 * most, aspect="auto")
    for (row, col), value in np.ndenumerate(values):
        beyond = abs(value) > least
        table.text(col, row, f"{value:.2f}", ha="center", va="center", weight="bold" if beyond else "normal",
                   bbox={"edgecolor": _MARK if beyond else "none", "facecolor": "none", "linewidth": 2})
    table.set(xticks=range(values.shape[1]), xticklabels=range(1, values.shape[1] + 1), xlabel="layer",
              yticks=range(len(values)), yticklabels=[o.index for o in seen.octaves], ylabel="octave",
              title=f"D here [grey levels], framed where |D| > {least:g}")
    return ax, words


def _plot_level(ax: Axes, octave: Octave, layer: int, row: int, col: int) -> None:
    """A level of an octave about a pixel, in input pixels."""
    level, pixel = octave.levels[layer], 2.0**octave.index
    top, left = max(row - _AROUND, 0), max(col - _AROUND, 0)
    part = level[top:row + _AROUND + 1, left:col + _AROUND + 1]
    x0, y0 = (left - 0.5) * pixel, (top - 0.5) * pixel
    ax.imshow(part, cmap="gray", extent=(x0, x0 + part.shape[1] * pixel, y0 + part.shape[0] * pixel, y0))
    ax.set(xlabel="x [input px]", ylabel="y [input px]", title=f"octave {octave.index}, level {layer}")


def _plot_checks(ax: Axes, rows: list[Check]) -> None:
    """A bar a check: the value in units of its threshold, on a logarithmic scale."""
    names, width = [check.name for check in rows], 30.0
    share = [min(max(t.value / t.threshold, 1 / width), width) if t.threshold > 0 and t.value > 0 else 1 / width
             for t in rows]
    ax.barh(names, np.array(share) - 1 / width, left=1 / width, height=0.5, log=True,
            color=[_PASS if t.passed else _FAIL for t in rows])
    ax.axvline(1, color="black")
    for i, t in enumerate(rows):
        said = f"{t.value:.4g} {'✓' if t.passed else '✗'} asked {t.asked} {t.threshold:.4g}"
        ax.text(1 / width * 1.1, i - 0.42, said, va="center", fontsize=9)
    ax.set(xlim=(1 / width, width), ylim=(len(rows) - 0.4, -0.7), xlabel="value / threshold",
           title="tests, in their order")


def _parts(figure: Figure | SubFigure, rows: int, columns: int, *, width_ratios: list[float] | None = None,
           height_ratios: list[float] | None = None) -> list[SubFigure]:
    return list(figure.subfigures(rows, columns, squeeze=False, width_ratios=width_ratios,
                                  height_ratios=height_ratios).ravel())


def _write(place: SubFigure, text: str, width: int) -> None:
    from textwrap import fill
    lines = text.splitlines()
    shown = lines[:_LINES] + [f"… and {len(lines) - _LINES} more"] * (len(lines) > _LINES)
    text = "\n".join(fill(line, width, subsequent_indent="    ") for line in shown)
    place.text(0.03, 0.97, text, va="top", fontsize=8.5)
