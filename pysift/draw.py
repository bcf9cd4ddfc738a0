"""Pictures: keypoints, matches, distances, the scale space, and one keypoint step by step.

Every function draws on the Axes it is given or on a Figure of its own, and returns what it drew on;
`ax.figure.savefig("out.png")` keeps it.  No pyplot: nothing is shown, no state is left behind.  Lines
have a black halo, to show on light and dark; colours are Okabe and Ito's, for the colour-blind too.

imports: keypoints, matching, orientation, params, scalespace, tracing
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
    from matplotlib.figure import Figure

    from pysift.tracing import Story

_YELLOW, _BLUE, _RED = "#F0E442", "#56B4E9", "#D55E00"
_CYCLE = ("#56B4E9", "#E69F00", "#009E73", "#F0E442", "#D55E00", "#CC79A7")


def plot_keypoints(image: np.ndarray, keypoints: Keypoints, *, ax: Axes | None = None,
                   n: int | None = None) -> Axes:
    """Draw the n strongest keypoints: a circle of radius 3σ with a line from its centre towards θ.

    Parameters
    ----------
    image : (H, W) or (H, W, 1 | 3 | 4), any real dtype, colours in RGB order
    keypoints : Keypoints of length N; one without orientation gets no line
    ax : Axes to draw on; without it a new Figure is made
    n : how many to draw, by response; None draws all

    Raises
    ------
    ImportError : matplotlib is not installed.
    ValueError : `image` is no picture, or `n` is negative.

    >>> plot_keypoints(np.zeros((40, 60)), Keypoints.at([8], [5], sigma=[2])).get_title()
    '1 keypoint'
    """
    by_response = keypoints[np.argsort(-keypoints.response, kind="stable")]
    shown, title = _choose(by_response, n, "strongest", "keypoint", "keypoints")
    picture = _picture(image)
    ax = ax or new_figure(8, 8 * picture.shape[0] / picture.shape[1] + 0.3).add_subplot()
    ax.imshow(picture)
    turn = np.nan_to_num(shown.theta)[:, None] + np.linspace(0, 2 * np.pi, 49)
    rim = shown.xy[:, None] + 3 * shown.sigma[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=2)
    start = np.where(np.isnan(shown.theta)[:, None], rim[:, 0], shown.xy)
    _lines(ax, np.concatenate([start[:, None], rim], axis=1), _YELLOW, width=1.2)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def plot_matches(image0: np.ndarray, keypoints0: Keypoints, image1: np.ndarray, keypoints1: Keypoints,
                 matches: Matches, *, ax: Axes | None = None, n: int | None = 50) -> Axes:
    """Draw two images side by side and a line for each of the first n matches, which are the nearest.

    Parameters and errors as in `plot_keypoints`; `matches[mask]` draws a choice.

    >>> image, points = np.zeros((40, 60)), Keypoints.at([8], [5], sigma=[2])
    >>> plot_matches(image, points, image, points, Matches([0], [0], [0], [0])).get_title()
    '1 match'
    """
    shown, title = _choose(matches, n, "nearest", "match", "matches")
    left, right = _picture(image0), _picture(image1)
    shift = left.shape[1] + left.shape[1] // 50 + 1
    canvas = np.ones((max(len(left), len(right)), shift + right.shape[1], 3), np.float32)
    canvas[:len(left), :left.shape[1]], canvas[:len(right), shift:] = left, right
    ax = ax or new_figure(12, 12 * canvas.shape[0] / canvas.shape[1] + 0.3).add_subplot()
    ax.imshow(canvas)
    ends = np.stack([keypoints0.xy[shown.index0], keypoints1.xy[shown.index1] + [shift, 0]], axis=1)
    _lines(ax, ends, _CYCLE, width=1.2)
    ax.scatter(ends[..., 0], ends[..., 1], s=14, c=np.resize(_CYCLE, len(ends)).repeat(2), zorder=3,
               edgecolors="black", linewidths=0.6)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def plot_distances(matches: Matches, *, ax: Axes | None = None) -> Axes:
    """Draw the histogram of the distances, in 30 bins, with their mean.

    >>> plot_distances(Matches.empty()).get_title()
    'n = 0'
    """
    ax = ax or new_figure(7, 4).add_subplot()
    if len(matches):
        mean = matches.stats()["mean"]
        ax.hist(matches.distance, bins=30, color=_BLUE, edgecolor="white", linewidth=0.5)
        ax.axvline(mean, color=_RED, linestyle="--", linewidth=2, label=f"mean {mean:.4g}")
        ax.legend(frameon=False)
    ax.set(xlabel="distance of the descriptors", ylabel="matches", title=f"n = {len(matches)}")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_scalespace(octaves: list[Octave], *, params: SIFTParams = SIFTParams()) -> Figure:
    """Draw one row an octave: the blurred levels L with their σ in input pixels, then the differences D.

    `octaves` come from `build_scalespace` or `trace`, `octaves[:4]` draws four; `params` are those they
    were built with.  Raises ValueError where there is no octave.

    >>> from pysift.scalespace import build_scalespace
    >>> len(plot_scalespace(build_scalespace(np.zeros((20, 30), np.float32))).axes)    # 4 rows, 1 colour bar
    9
    """
    if not octaves:
        raise ValueError("octaves=[] has nothing to draw: the image was too small for an octave")
    count, height, width = octaves[0].levels.shape
    fig = new_figure(1.5 * (2 * count - 1), len(octaves) * (1.5 * height / width + 0.3))
    axes = fig.subplots(len(octaves), 2, squeeze=False, width_ratios=[count, count - 1])
    reach = max(np.percentile(np.abs(o.dog), 98) for o in octaves) or 1.0
    for o, (left, right) in zip(octaves, axes):
        sigmas = params.sigma * 2 ** (o.index + np.arange(count) / params.n_octave_layers)
        _strip(left, o.levels, [f"L{i}, σ {sigma:.3g}" for i, sigma in enumerate(sigmas)], "gray", 0, 255)
        _strip(right, o.dog, [f"D{i}" for i in range(count - 1)], "PuOr", -reach, reach)
        left.set_ylabel(f"octave {o.index}\n{o.levels.shape[2]} × {o.levels.shape[1]}")
    fig.colorbar(right.images[0], ax=axes, label="D [grey levels]", aspect=40, shrink=0.9, pad=0.01)
    return fig


def _strip(ax: Axes, planes: np.ndarray, labels: list[str], cmap: str, low: float, high: float) -> None:
    """Show planes (K, H, W) side by side, each named below; of wide ones only every n-th pixel."""
    step = 1 + planes.shape[2] // 512
    tiles = planes[:, ::step, ::step]
    edges = tiles.shape[2] * np.arange(len(tiles) + 1) - 0.5
    ax.vlines(edges[1:-1], -0.5, tiles.shape[1] - 0.5, color="white", linewidth=3)
    ax.set_xticks((edges[1:] + edges[:-1]) / 2, labels, fontsize=8)
    ax.tick_params(left=False, labelleft=False, bottom=False)
    ax.spines[:].set_visible(False)
    ax.imshow(np.hstack(list(tiles)), cmap=cmap, vmin=low, vmax=high)


def plot_keypoint(story: Story, *, params: SIFTParams = SIFTParams()) -> Figure:
    """Draw how one keypoint came about: its patch with the grid, the DoG cube, orientations, descriptor.

    `story` comes from `trace(image, params).story(i)`; `params` are those it was found with.
    """
    k, fig = story.keypoint, new_figure(11, 9.5)
    fig.suptitle(f"keypoint at ({k.x[0]:.2f}, {k.y[0]:.2f}), σ {k.sigma[0]:.2f} px, "
                 f"octave {k.octave[0]}, layer {k.layer[0]}, response {k.response[0]:.4f}")
    (patch, cube), (histogram, descriptor) = fig.subfigures(2, 2, squeeze=False)
    plot_patch(patch.add_subplot(), story, params)
    plot_cube(cube.subplots(1, 3), story.cube, story.keypoint.layer[0])
    plot_angles(histogram.add_subplot(), story, params)
    plot_descriptor(descriptor.add_subplot(), story.descriptor)
    return fig


def plot_patch(ax: Axes, story: Story, params: SIFTParams) -> None:
    """The level about the keypoint, the cells of the descriptor, and an arrow towards θ."""
    k, d = story.keypoint, len(story.descriptor)
    left, right, top, bottom = story.extent
    ax.imshow(story.patch, cmap="gray", extent=(left, right, bottom, top))
    c, s = np.cos(k.theta[0]), np.sin(k.theta[0])
    turn = params.cell_width * k.sigma[0] * np.array([[c, s], [-s, c]])       # a cell along θ, a cell across
    bars = np.array([[[t, -d / 2], [t, d / 2]] for t in np.arange(d + 1) - d / 2])
    _lines(ax, k.xy[0] + np.concatenate([bars, bars[:, :, ::-1]]) @ turn, _BLUE, width=1.4)
    _lines(ax, k.xy[0] + np.array([[[0, 0], [d / 2 + 0.5, 0]]]) @ turn, _RED, width=2.6)
    ax.plot(*k.xy[0], "o", color=_RED, markeredgecolor="black")
    ax.set(xlim=(left, right), ylim=(bottom, top), xlabel="x [input px]", ylabel="y [input px]",
           title=f"its level, {d} × {d} cells of {params.cell_width:g}σ, θ in red")


def plot_cube(axes: np.ndarray, cube: np.ndarray, layer: int) -> None:
    """The 27 differences about the pixel it settled in, which is framed; a panel a layer."""
    low, high = cube.min(), cube.max()
    for ax, plane, step in zip(axes, cube, (-1, 0, 1)):
        ax.imshow(plane, cmap="cividis", vmin=low, vmax=high)
        for (row, col), value in np.ndenumerate(plane):
            ax.text(col, row, f"{value:.2f}", ha="center", va="center",
                    color="white" if value < (low + high) / 2 else "black")
        ax.set(xticks=[], yticks=[], xlabel=f"layer {layer + step}")
    axes[1].set_title("D [grey levels] about the pixel it settled in")
    axes[1].plot([0.53, 1.47, 1.47, 0.53, 0.53], [0.53, 0.53, 1.47, 1.47, 0.53], color=_RED, linewidth=3)


def plot_angles(ax: Axes, story: Story, params: SIFTParams) -> None:
    """The orientation histogram over clockwise angles; the bins that became keypoints are red."""
    h, peaks = np.asarray(story.histogram), peak_angles(story.histogram, params)
    n = len(h)
    chosen = np.isin(np.arange(n), np.rint(-peaks * n / 360).astype(int) % n)    # bins count the other way
    ax.bar(-np.arange(n) * 360 / n % 360, h, width=324 / n, color=np.where(chosen, _RED, _BLUE))
    ax.axhline(params.ori_peak * h.max(), color="gray", ls="--", label=f"{params.ori_peak:g} of the highest")
    theta = np.rad2deg(story.keypoint.theta[0])
    ax.plot(theta, 1.06 * h.max(), "v", color="black", label=f"this keypoint, {theta:.1f}°")
    ax.set(xlim=(-180 / n, 360 - 180 / n), ylim=(0, 1.25 * h.max() or 1), xticks=range(0, 360, 45),
           xlabel="clockwise from +x [°]", ylabel="weight", title=f"gradient angles, {n} bins, peaks in red")
    ax.legend(frameon=False, loc="upper right", ncols=2, fontsize=9)


def plot_descriptor(ax: Axes, descriptor: np.ndarray, longest: float | None = None) -> None:
    """A star a cell, a ray a bin, `longest` filling its cell; counter-clockwise bins turn against y, which is down."""
    d, n = len(descriptor), descriptor.shape[2]
    row, col, bin_ = np.indices(descriptor.shape)
    turn, length = -2 * np.pi * bin_ / n, 0.45 * descriptor / (longest or descriptor.max() or 1)
    centre = np.stack([col, row], axis=-1).astype(float)
    tip = centre + length[..., None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    _lines(ax, np.stack([centre, tip], axis=-2).reshape(-1, 2, 2), _BLUE, width=2.5)
    ax.plot(col.ravel(), row.ravel(), "o", color="black", markersize=4)
    ax.grid(color="lightgray")
    ax.tick_params(labelleft=False, labelbottom=False, length=0)
    ax.set(xlim=(-0.5, d - 0.5), ylim=(d - 0.5, -0.5), aspect="equal", xticks=np.arange(d) - 0.5,
           yticks=np.arange(d) - 0.5, xlabel="along θ  →", title=f"descriptor {d} × {d} × {n}, turned to θ")


def new_figure(width: float, height: float) -> Figure:
    """Make a Figure of this size in inches that no pyplot knows of."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('drawing needs matplotlib: pip install "siftgrad[plot]"') from None
    return Figure(figsize=(width, height), layout="constrained")


def _picture(image: np.ndarray) -> np.ndarray:
    """Bring a picture of any kind to (H, W, 3) float32 in 0 … 1."""
    image = np.asarray(image)
    fits = image.ndim > 1 and image.size and image.shape[2:] in ((), (1,), (3,), (4,))
    if not fits or image.dtype.kind not in "buif":
        raise ValueError(f"image is {image.dtype} {image.shape}: give numbers (H, W) or (H, W, 1 | 3 | 4)")
    white = 255 if image.dtype == np.uint8 else image.max(initial=1)         # 12 bits in uint16 stay bright
    colours = np.atleast_3d(image)[..., :3].astype(np.float32) / np.float32(white)
    return np.broadcast_to(np.clip(colours, 0, 1), (*image.shape[:2], 3))


def _lines(ax: Axes, segments: np.ndarray, colors: str | tuple[str, ...], width: float) -> None:
    """Draw polylines (N, points, 2) with a black halo."""
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import withStroke
    halo = withStroke(linewidth=width + 1.6, foreground="black", alpha=0.7)
    lines = LineCollection(list(segments), colors=colors, linewidths=width, path_effects=[halo])
    ax.add_collection(lines, autolim=False)


def _choose(rows, n: int | None, which: str, one: str, many: str) -> tuple:
    if n is not None and n < 0:
        raise ValueError(f"n={n} is negative: say how many to draw, or None for all")
    shown, total = rows[:n], f"{len(rows)} {one if len(rows) == 1 else many}"
    return shown, total if len(shown) == len(rows) else f"the {len(shown)} {which} of {total}"
