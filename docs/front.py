"""Make the picture at the top of README.md from two embedded photographs: python docs/front.py.

Above, a photograph and its turned, shrunk and tilted copy, with matches that the homography confirms.  Below, the
strongest keypoints of another, and for one of them the derivative of its x with respect to every pixel about it.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import diffsift
from pysift.commands.demo import tilted, warp
from pysift.files import replacing
from pysift.image import to_gray
from pysift.matching import inliers, match
from pysift.photos import photo
from pysift.pipeline import sift

PICTURE = Path(__file__).parent / "images" / "front.jpg"
WIDTH, HEIGHT, GAP, CAPTION = 1280, 966, 12, 56           # px
_INK, _PAPER, _PALE = "#f0f3f6", "#0d1117", "#9aa4af"
_EYE, _WINDOW = (316.5, 118.5), np.array([84, 60])        # px of the photograph: about where, and how much of it
_MARGIN = 48                                              # px more about the window, for the blurs
_SCALE = ("#4cc9f0", "#b5f5d0", "#ffd166", "#ff9f5a")     # from small to large, none of them dark


def main(path: Path = PICTURE) -> None:
    """Draw, and keep the picture as a JPEG with colours as sharp as its greys."""
    figure = draw()
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    with replacing(path) as part:
        PIL.Image.fromarray(pixels).save(part, format="JPEG", quality=78, subsampling=0, optimize=True)


def draw() -> Figure:
    """Lay out the four panels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    half = (WIDTH - 3 * GAP) / 2
    upper = half * 400 / 600
    matches(panel(figure, GAP, CAPTION, WIDTH - 2 * GAP, upper))
    top, lower = 2 * CAPTION + upper, HEIGHT - 2 * CAPTION - upper - GAP
    cat = lower * 451 / 300
    chosen = keypoints(panel(figure, GAP, top, cat, lower))
    slope(panel(figure, 2 * GAP + cat, top, WIDTH - 3 * GAP - cat, lower), chosen)
    for x, y, words in ((GAP, 0, "match  across a turn, a shrink and a tilt"),
                        (GAP, CAPTION + upper, "find  OpenCV's keypoints, to the last bit"),
                        (2 * GAP + cat, CAPTION + upper, "differentiate  down to each pixel")):
        caption(figure, x, y, *words.split("  "))
    return figure


def panel(figure: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """Axes without a frame, placed in pixels from the upper left corner."""
    ax = figure.add_axes((x / WIDTH, 1 - (y + height) / HEIGHT, width / WIDTH, height / HEIGHT))
    ax.set_axis_off()
    return ax


def caption(figure: Figure, x: float, y: float, verb: str, rest: str) -> None:
    """A verb in bold and what it does, above a panel."""
    place = 1 - (y + 0.52 * CAPTION) / HEIGHT
    bold = figure.text(x / WIDTH, place, verb, color=_INK, fontsize=23, weight="bold", va="center")
    right = bold.get_window_extent().x1
    figure.text((right + 10) / WIDTH, place, rest, color=_PALE, fontsize=20, va="center")


def matches(ax: Axes) -> None:
    """Two views side by side and a line for each match that the homography confirms."""
    image = photo("coffee")
    height, width = image.shape[:2]
    homography = tilted(width, height)
    warped, seen = warp(image, homography), warp(np.full_like(image, 255), homography)
    here, there = sift(image), sift(warped)
    found = match(here.descriptors, there.descriptors)
    found = found[inliers(found, here.keypoints, there.keypoints, homography)][::3]
    shift = width * (1 + GAP / ((WIDTH - 3 * GAP) / 2))
    ax.imshow(image, extent=(0, width, height, 0))
    ax.imshow(np.dstack([warped, seen[..., 0]]), extent=(shift, shift + width, height, 0))
    ends = np.stack([here.keypoints.xy[found.index0], there.keypoints.xy[found.index1] + [shift, 0]], axis=1) + 0.5
    colours = hues(np.argsort(np.argsort(ends[:, 0, 1])) / len(ends))
    ax.add_collection(LineCollection(list(ends), colors=colours, linewidths=1.3, alpha=0.85))
    ax.scatter(ends[..., 0], ends[..., 1], s=12, c=np.repeat(colours, 2, axis=0), zorder=3)
    ax.set(xlim=(0, shift + width), ylim=(height, 0), aspect="auto")


def keypoints(ax: Axes) -> np.ndarray:
    """The strongest keypoints, coloured by size; return (x, y) of the one to look at, which is framed."""
    image = photo("chelsea")
    points = sift(image).keypoints
    shown = points[np.argsort(-points.response)[:260]]
    shown = shown[(1.2 < shown.sigma) & (shown.sigma < 14)]
    ax.imshow((0.7 * image).astype(np.uint8), extent=(-0.5, 450.5, 299.5, -0.5))
    turn = shown.theta[:, None] + np.linspace(0, 2 * np.pi, 49)
    rim = shown.xy[:, None] + 3 * shown.sigma[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=2)
    hands = np.concatenate([shown.xy[:, None], rim], axis=1)
    ax.add_collection(LineCollection(list(hands), colors=hues(np.log2(shown.sigma) / 3.8), linewidths=1.8))
    chosen = points.xy[np.argmin(np.hypot(*(points.xy - _EYE).T))]
    ax.add_patch(Rectangle(edge(chosen), *_WINDOW, fill=False, edgecolor=_INK, linewidth=3))
    ax.set(xlim=(-0.5, 450.5), ylim=(299.5, -0.5), aspect="auto")
    return chosen


def slope(ax: Axes, chosen: np.ndarray) -> None:
    """∂x/∂I of the chosen keypoint: more light on a warm pixel moves it to the right, on a cold one to the left."""
    grey = to_gray(photo("chelsea"))
    left, top = np.maximum(corner(chosen) - _MARGIN, 0)
    right, bottom = corner(chosen) + _WINDOW + _MARGIN
    image = torch.tensor(grey[top:bottom, left:right] / 255.0)[None, None].requires_grad_()
    soft = diffsift.detect(image, max_keypoints=256)
    far = torch.hypot(soft.x[0] + left - chosen[0], soft.y[0] + top - chosen[1])
    k = int(torch.where(soft.weight[0] > 0.5, far, torch.inf).argmin())
    derivative = torch.autograd.grad(soft.x[0, k], image)[0][0, 0].numpy()
    share = np.abs(derivative) / np.abs(derivative).max()
    warm = np.where(derivative[..., None] > 0, [1.0, 0.62, 0.2], [0.2, 0.72, 1.0])
    ax.imshow(153 * image.detach()[0, 0].numpy() + 20, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.imshow(np.dstack([warm, share ** 0.6]), interpolation="nearest")
    x, y = soft.x[0, k].item(), soft.y[0, k].item()
    ax.plot(x, y, "+", color=_INK, markersize=26, markeredgewidth=3)
    (x0, y0), (x1, y1) = edge(chosen) - (left, top), edge(chosen) + _WINDOW - (left, top)
    ax.set(xlim=(x0, x1), ylim=(y1, y0), aspect="auto")


def edge(centre: np.ndarray) -> np.ndarray:
    """The same corner where its pixel begins, half a pixel before its middle."""
    return corner(centre) - 0.5


def corner(centre: np.ndarray) -> np.ndarray:
    """The upper left pixel of the window about a place."""
    return np.rint(centre).astype(int) - _WINDOW // 2


def hues(share: np.ndarray) -> np.ndarray:
    """Colours (N, 4) from small to large for shares in [0, 1]."""
    return LinearSegmentedColormap.from_list("scale", _SCALE)(np.clip(share, 0, 1))


if __name__ == "__main__":
    main()
