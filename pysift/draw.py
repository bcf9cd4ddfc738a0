"""Pictures: keypoints, matches, distances, the scale space, and one keypoint step by step.

Every function draws on the Axes it is given, or on a Figure of its own, and returns what it drew on.
No pyplot: nothing is shown and no state is left behind, so `result.figure.savefig("out.png")` is the
caller's word.  Lines carry a black halo and colours are Okabe and Ito's, which colour-blind people
tell apart, so that marks show on light and on dark ground.

imports: keypoints, matching, orientation, params, scalespace, trace
"""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pysift.keypoints import Keypoints
from pysift.matching import Matches
from pysift.orientation import peak_angles
from pysift.params import SIFTParams
from pysift.scalespace import Octave

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from pysift.trace import Story

_YELLOW, _BLUE, _RED = "#F0E442", "#56B4E9", "#D55E00"
_CYCLE = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#D55E00", "#CC79A7")
_RADIUS = 3.0                         # of a keypoint's circle, in σ: one cell of the descriptor


def plot_keypoints(image: np.ndarray, keypoints: Keypoints, *, ax: Axes | None = None,
                   n: int | None = None) -> Axes:
    """Draw the n strongest keypoints: a circle of radius 3σ with a line from its centre towards θ.

    Parameters
    ----------
    image : (H, W) or (H, W, 1 | 3 | 4), any real dtype, colours in RGB order
    keypoints : Keypoints of length N; one without orientation gets no line
    ax : Axes to draw on; without it a new Figure is made
    n : how many to draw, by response; None draws all

    Returns
    -------
    Axes : what was drawn on; `.figure` saves it.

    Raises
    ------
    ImportError : matplotlib is not installed.
    ValueError : `image` is no picture, or `n` is negative.

    >>> plot_keypoints(np.zeros((40, 60)), Keypoints.at([8], [5], sigma=[2])).get_title()
    '1 keypoint'
    """
    shown = keypoints[np.argsort(-keypoints.response, kind="stable")[:_at_most(n)]]
    picture = _picture(image)
    ax = ax or _figure(8, 8 * picture.shape[0] / picture.shape[1] + 0.3).add_subplot()
    _show(ax, picture)
    turn = np.nan_to_num(shown.theta)[:, None] + np.linspace(0, 2 * np.pi, 49)
    rim = shown.xy[:, None] + _RADIUS * shown.sigma[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=2)
    start = np.where(np.isnan(shown.theta)[:, None], rim[:, 0], shown.xy)
    _lines(ax, np.concatenate([start[:, None], rim], axis=1), _YELLOW, width=1.2)
    ax.set_title(_counted(shown, "strongest", keypoints, "keypoint", "keypoints"))
    return ax


def plot_matches(image0: np.ndarray, keypoints0: Keypoints, image1: np.ndarray, keypoints1: Keypoints,
                 matches: Matches, *, ax: Axes | None = None, n: int | None = 50) -> Axes:
    """Draw two images side by side and a line for each of the first n matches, which are the nearest.

    Parameters and errors as in `plot_keypoints`; `matches[mask]` draws a choice.

    >>> image, points = np.zeros((40, 60)), Keypoints.at([8], [5], sigma=[2])
    >>> plot_matches(image, points, image, points, Matches([0], [0], [0], [0])).get_title()
    '1 match'
    """
    shown, left, right = matches[:_at_most(n)], _picture(image0), _picture(image1)
    shift = 1.02 * left.shape[1]
    height, width = max(left.shape[0], right.shape[0]), shift + right.shape[1]
    ax = ax or _figure(12, 12 * height / width + 0.3).add_subplot()
    _show(ax, left)
    _show(ax, right, shift)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    ends = np.stack([keypoints0.xy[shown.index0], keypoints1.xy[shown.index1] + [shift, 0]], axis=1)
    _lines(ax, ends, _CYCLE, width=1.2)
    ax.scatter(*ends.reshape(-1, 2).T, s=14, c=np.repeat(np.resize(_CYCLE, len(ends)), 2), edgecolors="black",
               linewidths=0.6, zorder=3)
    ax.set_title(_counted(shown, "nearest", matches, "match", "matches"))
    return ax


def plot_distances(matches: Matches, *, ax: Axes | None = None) -> Axes:
    """Draw the histogram of the distances, in 30 bins, with their mean.

    >>> plot_distances(Matches.empty()).get_title()
    '0 matches'
    """
    ax = ax or _figure(7, 4).add_subplot()
    if len(matches):
        mean = matches.stats()["mean"]
        ax.hist(matches.distance, bins=30, color=_BLUE, edgecolor="white", linewidth=0.5)
        ax.axvline(mean, color=_RED, linestyle="--", linewidth=2, label=f"mean {mean:.4g}")
        ax.legend(frameon=False)
    ax.set(xlabel="distance of the descriptors", ylabel="matches", title=_counted(matches, "", matches, "match", "matches"))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_scalespace(octaves: list[Octave], *, params: SIFTParams = SIFTParams()) -> Figure:
    """Draw one row an octave: the blurred levels L, then their differences D.

    Parameters
    ----------
    octaves : list of Octave, from `build_scalespace` or `trace`; `octaves[:4]` draws four
    params : SIFTParams the octaves were built with; reads sigma and n_octave_layers, for the titles

    Raises
    ------
    ImportError : matplotlib is not installed.
    ValueError : `octaves` is empty.
    """
    if not octaves:
        raise ValueError("octaves=[] has nothing to draw: the image was too small for an octave")
    n_levels, n_dogs = len(octaves[0].levels), len(octaves[0].dog)
    height, width = octaves[0].levels.shape[1:]
    side = 1.5
    fig = _figure(side * (n_levels + n_dogs) + 1.5, (side * height / width + 0.3) * len(octaves) + 0.2)
    grid = fig.subplots(len(octaves), n_levels + n_dogs, squeeze=False)
    reach = max(np.percentile(np.abs(o.dog), 99.5) for o in octaves) or 1.0
    for octave, row in zip(octaves, grid):
        for i, ax in enumerate(row):
            if i < n_levels:
                sigma = params.sigma * 2 ** (octave.index + i / params.n_octave_layers)
                ax.imshow(octave.levels[i], cmap="gray", vmin=0, vmax=255)
                ax.set_title(f"L{i}  σ {sigma:.3g}", fontsize=8)
            else:
                tinted = ax.imshow(octave.dog[i - n_levels], cmap="PuOr", vmin=-reach, vmax=reach)
                ax.set_title(f"D{i - n_levels}", fontsize=8)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(f"octave {octave.index}\n{octave.levels.shape[2]} × {octave.levels.shape[1]}", fontsize=8)
    fig.colorbar(tinted, ax=grid, label="D [grey levels]", shrink=0.8, pad=0.01)
    return fig


def plot_keypoint(story: Story, *, params: SIFTParams = SIFTParams()) -> Figure:
    """Draw how one keypoint came about: its patch with the grid, the DoG cube, orientations, descriptor.

    Parameters
    ----------
    story : Story of one keypoint, from `trace(image).story(i)`
    params : SIFTParams it was found with; reads cell_width and ori_peak
    """
    k = story.keypoint
    fig = _figure(11, 9.5)
    fig.suptitle(f"keypoint at ({k.x[0]:.2f}, {k.y[0]:.2f})   σ {k.sigma[0]:.2f} px   θ {np.rad2deg(k.theta[0]):.1f}°"
                 f"   octave {k.octave[0]}, layer {k.layer[0]}   response {k.response[0]:.4f}")
    patch, cube, orientation, descriptor = fig.subfigures(2, 2).flat
    _draw_patch(patch.add_subplot(), story, params)
    _draw_cube(cube, story)
    _draw_histogram(orientation.add_subplot(), story, params)
    _draw_descriptor(descriptor.add_subplot(), story.descriptor)
    return fig


def _draw_patch(ax: Axes, story: Story, params: SIFTParams) -> None:
    """The level about the keypoint, the cells of the descriptor, and an arrow towards θ."""
    k, d = story.keypoint, len(story.descriptor)
    left, right, top, bottom = story.extent
    ax.imshow(story.patch, cmap="gray", extent=(left, right, bottom, top))
    c, s = np.cos(k.theta[0]), np.sin(k.theta[0])
    turn = params.cell_width * k.sigma[0] * np.array([[c, s], [-s, c]])       # rows: one cell along, one across
    ticks = np.arange(d + 1) - d / 2
    bars = np.array([[[t, -d / 2], [t, d / 2]] for t in ticks])
    _lines(ax, k.xy[0] + np.concatenate([bars, bars[:, :, ::-1]]) @ turn, _BLUE, width=1.4)
    _lines(ax, k.xy[0] + np.array([[[0, 0], [d / 2 + 0.5, 0]]]) @ turn, _RED, width=2.6)
    ax.plot(*k.xy[0], "o", color=_RED, markeredgecolor="black")
    ax.set(xlim=(left, right), ylim=(bottom, top), xlabel="x [input px]", ylabel="y [input px]",
           title=f"its level, {d} × {d} cells of {params.cell_width:g}σ, θ in red")


def _draw_cube(fig: SubFigure, story: Story) -> None:
    """The 27 differences that were compared, a panel a layer; the candidate is framed."""
    reach = np.abs(story.cube).max() or 1.0
    axes = fig.subplots(1, 3)
    fig.suptitle("D and its 26 neighbours [grey levels]")
    for ax, plane, step in zip(axes, story.cube, (-1, 0, 1)):
        ax.imshow(plane, cmap="PuOr", vmin=-reach, vmax=reach)
        for (row, col), value in np.ndenumerate(plane):
            ax.text(col, row, f"{value:.1f}", ha="center", va="center", fontsize=9,
                    color="white" if abs(value) > 0.6 * reach else "black")
        ax.set(xticks=[], yticks=[], title=f"layer {story.keypoint.layer[0] + step}")
    _lines(axes[1], np.array([[[-.5, -.5], [.5, -.5], [.5, .5], [-.5, .5], [-.5, -.5]]]), _RED, width=3)


def _draw_histogram(ax: Axes, story: Story, params: SIFTParams) -> None:
    """The orientation histogram over clockwise angles; the bins that became keypoints are red."""
    h, peaks = np.asarray(story.histogram), peak_angles(story.histogram, params)
    n = len(h)
    chosen = np.isin(np.arange(n), np.rint(-peaks * n / 360).astype(int) % n)        # bins count the other way
    ax.bar(-np.arange(n) * 360 / n % 360, h, width=324 / n, color=np.where(chosen, _RED, _BLUE))
    ax.axhline(params.ori_peak * h.max(), color="gray", linestyle="--", label=f"{params.ori_peak:g} of the highest")
    theta = np.rad2deg(story.keypoint.theta[0])
    ax.axvline(theta, color="black", linewidth=1.5, label=f"this keypoint, {theta:.1f}°")
    ax.set(xlim=(-180 / n, 360 - 180 / n), ylim=(0, 1.25 * h.max() or 1), xticks=range(0, 360, 45),
           xlabel="clockwise from +x [°]", ylabel="weight", title=f"gradient angles in {n} bins, peaks in red")
    ax.legend(frameon=False, loc="upper right", ncols=2, fontsize=9)


def _draw_descriptor(ax: Axes, descriptor: np.ndarray) -> None:
    """A star a cell, a ray a bin; counter-clockwise bins turn against y, which points down."""
    d, n = len(descriptor), descriptor.shape[2]
    row, col, bin_ = np.indices(descriptor.shape)
    turn = -2 * np.pi * bin_ / n
    length = 0.5 * descriptor / (descriptor.max() or 1)
    centre = np.stack([col, row], axis=-1).astype(float)
    tip = centre + length[..., None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    for edge in np.arange(d + 1) - 0.5:
        ax.plot([edge, edge], [-0.5, d - 0.5], [-0.5, d - 0.5], [edge, edge], color="lightgray", linewidth=0.8)
    _lines(ax, np.stack([centre, tip], axis=-2).reshape(-1, 2, 2), _BLUE, width=2.5)
    ax.set(xlim=(-0.6, d - 0.4), ylim=(d - 0.4, -0.6), aspect="equal", xticks=[], yticks=[], xlabel="along θ  →",
           title=f"descriptor: {d} × {d} cells × {n} angles, in the frame of θ")


def _figure(width: float, height: float) -> Figure:
    """Make a Figure of this size in inches that no pyplot knows of."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('drawing needs matplotlib: pip install "siftgrad[plot]"') from None
    return Figure(figsize=(width, height), layout="constrained")


def _picture(image: np.ndarray) -> np.ndarray:
    """Bring a picture to (H, W) or (H, W, 3) in 0 … 1."""
    image = np.asarray(image)
    if image.dtype.kind not in "buif" or image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(f"image is {image.dtype} of shape {image.shape}: "
                         "give numbers of shape (H, W) or (H, W, 1 | 3 | 4)")
    white = 255 if image.dtype == np.uint8 else max(image.max(), 1)          # 12 bits in uint16 stay bright
    picture = np.clip(image / white, 0, 1)
    return picture[..., 0] if image.shape[2:] == (1,) else picture[..., :3] if image.ndim == 3 else picture


def _show(ax: Axes, picture: np.ndarray, left: float = 0.0) -> None:
    """Show a picture with the centre of its first pixel at (left, 0)."""
    height, width = picture.shape[:2]
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=(left - 0.5, left + width - 0.5, height - 0.5, -0.5))
    ax.set_axis_off()


def _lines(ax: Axes, segments: np.ndarray, colors: str | tuple[str, ...], width: float) -> None:
    """Draw polylines (N, points, 2) with a black halo."""
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import withStroke
    halo = withStroke(linewidth=width + 1.6, foreground="black", alpha=0.7)
    ax.add_collection(LineCollection(segments, colors=colors, linewidths=width, path_effects=[halo]), autolim=False)


def _at_most(n: int | None) -> int | None:
    if n is not None and n < 0:
        raise ValueError(f"n={n} is negative: say how many to draw, or None for all")
    return n


def _counted(shown, which: str, rows, one: str, many: str) -> str:
    total = f"{len(rows)} {one if len(rows) == 1 else many}"
    return total if len(shown) == len(rows) else f"the {len(shown)} {which} of {total}"
