"""The picture of `gradients`: milliseconds of forward and backward, a panel for each case and number of threads.

Also that of `gradients_cuda`: milliseconds an image against the size of the batch.
"""
from __future__ import annotations

from statistics import median

from matplotlib.figure import Figure

_COLOURS = {"forward": "#1f77b4", "backward": "#ff7f0e", "inference": "#7f7f7f"}


def draw(rows: list[dict]) -> Figure:
    """Draw the rows of gradients.json whose memory is as installed; bars are medians."""
    rows = [row for row in rows if row["regime"] == "as installed"]
    cases, threads = sorted({(row["side"], row["slots"]) for row in rows}), sorted({row["threads"] for row in rows})
    figure = Figure(figsize=(10, 0.9 + 2.1 * len(cases)), layout="constrained")
    panels = figure.subplots(len(cases), len(threads), squeeze=False, sharey=True, sharex="row")
    for row in rows:
        _draw_panel(panels[cases.index((row["side"], row["slots"]))][threads.index(row["threads"])], row)
    for kind, label in (("forward", "forward, with its graph"), ("backward", "backward"),
                        ("inference", "cv2: forward, the only one it has")):
        panels[0][0].barh([0], [0], color=_COLOURS[kind], label=label)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_panel(axes, row: dict) -> None:
    names = list(row["found"])
    longest = 0.0
    for place, name in enumerate(names):
        kinds = ("inference",) if name == "cv2" else ("forward", "backward")
        left = 0.0
        for kind in kinds:
            width = 1e3 * median(row["seconds"][f"{name}, {kind}"])
            axes.barh(place, width, left=left, color=_COLOURS[kind], height=0.65)
            left += width
        times = f"   {row['ratios'][name]:.2f}×" if name in row["ratios"] else ""
        axes.text(left, place, f" {left:.0f} ms{times}", va="center", fontsize=8)
        longest = max(longest, left)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, max(axes.get_xlim()[1], 1.3 * longest))               # shared with the panel beside
    axes.set_xlabel("ms")
    axes.set_title(f"{row['side']} × {row['side']} px, {row['slots']} keypoints, "
                   f"{row['threads']} thread{'s' * (row['threads'] > 1)}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def draw_batches(rows: list[dict]) -> Figure:
    """Draw the rows of gradients_cuda.json: forward and backward together, each image's share of its batch."""
    sizes = sorted({(row["width"], row["height"]) for row in rows})
    figure = Figure(figsize=(5 * len(sizes), 4), layout="constrained")
    for axes, size in zip(figure.subplots(1, len(sizes), squeeze=False)[0], sizes):
        for name in dict.fromkeys(row["contestant"] for row in rows):
            mine = [row for row in rows if row["contestant"] == name and (row["width"], row["height"]) == size
                    and "median" in row]
            axes.loglog([row["batch"] for row in mine],
                        [sum(row["median"].values()) / row["batch"] for row in mine], "o-", label=name)
        axes.set_title(f"{size[0]} × {size[1]} px", fontsize=10)
        axes.set_xlabel("images in a batch")
        axes.set_ylabel("forward + backward, ms an image")
        axes.set_xticks([1, 2, 4, 8, 16, 32, 64], ["1", "2", "4", "8", "16", "32", "64"])
        axes.set_yticks([3, 10, 30, 100, 300], ["3", "10", "30", "100", "300"])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure
