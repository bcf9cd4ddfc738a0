"""The figure of benchmarks/invariance.py: one panel a distortion, shares above, angles below."""
from __future__ import annotations

from benchmarks.distortions import DISTORTIONS, Distortion

_STYLES = {                       # cv2 precise is broad, so that pysift shows when it lies on top
    "cv2 default": {"color": "C1", "lw": 1.4},
    "cv2 precise": {"color": "#9ecae1", "lw": 5},
    "pysift": {"color": "#08306b", "lw": 1.4},
}
_LOGARITHMIC = {"scale", "gamma"}


def figure(rows: list[dict]):
    """Draw shares (solid: repeatable, dashed: matched) and angles of each program against the level."""
    from matplotlib.figure import Figure
    drawing = Figure(figsize=(14, 8.6), layout="constrained")
    grid = drawing.add_gridspec(4, 4, height_ratios=[3, 1.2, 3, 1.2])
    above = []
    for i, distortion in enumerate(DISTORTIONS):
        mine = [row for row in rows if row["distortion"] == distortion.name]
        shares = drawing.add_subplot(grid[i // 4 * 2, i % 4])
        angles = drawing.add_subplot(grid[i // 4 * 2 + 1, i % 4], sharex=shares)
        _draw(shares, angles, distortion, mine, first=i % 4 == 0)
        above.append(shares)
    handles = [above[0].plot([], [], label=name, **style)[0] for name, style in _STYLES.items()]
    handles += [above[0].plot([], [], color="0.3", ls=dashes, label=label)[0]
                for dashes, label in (("-", "repeatable"), ("--", "matched correctly"))]
    drawing.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=12)
    return drawing


def _draw(shares, angles, distortion: Distortion, rows: list[dict], first: bool) -> None:
    """Draw one distortion into its two axes."""
    for name, style in _STYLES.items():
        mine = [row for row in rows if row["program"] == name]
        levels = [row["level"] for row in mine]
        for axes, key, dashes in ((shares, "repeatability", "-"), (shares, "matched", "--"), (angles, "angle", "-")):
            axes.plot(levels, [row[key] for row in mine], ls=dashes, **style)
    shares.set(title=distortion.name, ylim=(0, 1.02))
    shares.tick_params(labelbottom=False)
    angles.set(xlabel=distortion.measure, ylim=(0, None))
    if distortion.name in _LOGARITHMIC:
        angles.set_xscale("log", base=2)
        angles.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        angles.set_xticks([0.5, 1, 2])
    if distortion.name == "rotation":
        angles.set_xticks(range(0, 361, 90))
    if distortion.name == "JPEG":
        angles.invert_xaxis()
    if first:
        shares.set_ylabel("share of keypoints")
        angles.set_ylabel("angle off [°]")
    for axes in (shares, angles):
        axes.grid(color="0.92")
        axes.spines[["top", "right"]].set_visible(False)
