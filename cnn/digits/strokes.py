"""Lines drawn as by a hand: control points  →  a smooth curve that wavers  →  ink of varying width on paper."""
from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

Stroke = list[tuple[float, float]]                           # (x, y) in [0, 1], y down
_FINE = 4                                                    # drawn so many times larger, then reduced

DIGITS: dict[str, list[Stroke]] = {
    "0": [[(.55, .05), (.27, .17), (.17, .50), (.27, .83), (.50, .95), (.76, .80), (.83, .47), (.72, .17), (.53, .06)]],
    "1": [[(.43, .20), (.50, .14), (.56, .05), (.54, .35), (.52, .65), (.50, .95)]],
    "2": [[(.20, .27), (.32, .09), (.55, .05), (.75, .18), (.74, .38), (.56, .60), (.36, .78), (.18, .93)],
          [(.18, .93), (.40, .90), (.60, .91), (.84, .90)]],
    "3": [[(.22, .16), (.42, .05), (.66, .10), (.73, .27), (.60, .43), (.42, .48)],
          [(.42, .48), (.66, .53), (.79, .70), (.68, .88), (.45, .95), (.22, .86)]],
    "4": [[(.36, .06), (.28, .32), (.19, .58), (.45, .59), (.84, .56)], [(.66, .30), (.64, .60), (.61, .95)]],
    "5": [[(.78, .07), (.55, .08), (.32, .08)], [(.32, .08), (.29, .28), (.26, .46)],
          [(.26, .46), (.48, .38), (.71, .47), (.77, .67), (.66, .87), (.42, .95), (.20, .87)]],
    "6": [[(.68, .06), (.44, .20), (.27, .47), (.23, .75), (.38, .94), (.61, .92), (.73, .75), (.62, .57), (.42, .56),
           (.26, .70)]],
    "7": [[(.17, .12), (.40, .10), (.62, .11), (.82, .09)], [(.82, .09), (.66, .36), (.52, .64), (.42, .95)]],
    "8": [[(.70, .17), (.50, .05), (.30, .16), (.34, .36), (.55, .50), (.72, .68), (.66, .88), (.46, .95), (.27, .84),
           (.30, .65), (.50, .49), (.68, .33), (.70, .18)]],
    "9": [[(.71, .24), (.52, .07), (.31, .15), (.26, .36), (.42, .50), (.63, .43), (.72, .24)],
          [(.72, .22), (.70, .50), (.66, .74), (.58, .95)]],
}


def draw(strokes: list[Stroke], rng: np.random.Generator, *, size: int = 160, pen: float = 0.075,
         waver: float = 0.012) -> Image.Image:
    """Draw strokes in dark ink on light paper.

    Parameters
    ----------
    strokes : lists of control points in the unit square
    size : of the square picture [px]; the strokes' unit square takes its middle 70 %
    pen, waver : width of the pen and deviation of a control point, in units of the strokes' square
    """
    large, scale = size * _FINE, size * _FINE * 0.7
    paper = Image.new("L", (large, large), 245)
    pencil = ImageDraw.Draw(paper)
    for stroke in strokes:
        points = smooth(np.asarray(stroke) + rng.normal(0, waver, (len(stroke), 2)))
        widths = pen * (1 + 0.2 * np.sin(np.linspace(*rng.uniform(0, 6, 2), len(points))))
        for (x, y), width in zip(points * scale + 0.15 * large, widths * scale / 2):
            pencil.ellipse((x - width, y - width, x + width, y + width), fill=35)
    return paper.resize((size, size), Image.Resampling.BOX)


def smooth(points: np.ndarray, fine: int = 60) -> np.ndarray:
    """Run a curve through points (N, 2): Catmull and Rom's cubic, `fine` places a span."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    before, start, end, after = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
    t = np.linspace(0, 1, fine)[:, None]
    curve = start + t / 2 * (end - before + t * (2 * before - 5 * start + 4 * end - after
                                                 + t * (3 * (start - end) + after - before)))
    return curve.reshape(-1, 2)


def scribble(rng: np.random.Generator) -> list[Stroke]:
    """Draw nonsense: two to four wandering lines with loops, since one alone is at times a 2 or a 6."""
    strokes = []
    for _ in range(rng.integers(2, 5)):
        n = int(rng.integers(8, 16))
        turns = np.cumsum(rng.normal(rng.choice([-1, 1]) * 0.9, 0.8, n))
        walk = np.cumsum(0.25 * np.stack([np.cos(turns), np.sin(turns)], 1), 0)
        low, high = walk.min(0), walk.max(0)
        strokes.append([tuple(p) for p in ((walk - low) / max(high - low) if max(high - low) > 0 else walk)])
    return strokes
