"""Two looks at the level that a keypoint lies on: upright for its orientation, turned to θ for its descriptor.

imports: params, scalespace
"""
from __future__ import annotations

import numpy as np

from pysift.params import SIFTParams
from pysift.scalespace import Octave


def gradient_window(octave: Octave, layer: int, row: int, col: int, sigma: float,
                    params: SIFTParams = SIFTParams()) -> tuple[np.ndarray, int, int]:
    """Return the pixels whose gradients vote for an orientation, with a margin of one for the differences.

    Parameters
    ----------
    octave : Octave
    layer, row, col : the pixel the refinement ended in
    sigma : pixels of the octave
    params : SIFTParams; reads ori_sigma [σ], ori_reach

    Returns
    -------
    pixels : (h, w) float32, grey levels
    left, top : column and row of its first pixel
    """
    level = octave.levels[layer]
    reach = int(np.rint(np.float32(params.ori_reach * params.ori_sigma) * np.float32(sigma))) + 1
    top, left = max(row - reach, 0), max(col - reach, 0)
    return level[top:row + reach + 1, left:col + reach + 1], left, top


def turned_patch(octave: Octave, layer: int, x: float, y: float, sigma: float, theta: float,
                 params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Sample the square of the descriptor along θ and across it, four samples a cell each way.

    The centre is the pixel nearest to the keypoint, as the descriptor has it; between pixels by bilinear
    interpolation, beyond the border the border's own levels.

    Parameters
    ----------
    octave : Octave
    layer : int
    x, y, sigma : pixels of the octave
    theta : radians, clockwise on the screen
    params : SIFTParams; reads n_cells, cell_width [σ]

    Returns
    -------
    (4·n_cells, 4·n_cells) float32, grey levels; 16 × 16 by default.  Columns run along θ
    """
    level, n = octave.levels[layer], 4 * params.n_cells
    h, w = level.shape
    along, across = np.meshgrid(*2 * [(np.arange(n) - (n - 1) / 2) * params.cell_width * sigma / 4])
    c, s = np.cos(theta), np.sin(theta)
    u = np.clip(np.rint(x) + c * along - s * across, 0, w - 1)
    v = np.clip(np.rint(y) + s * along + c * across, 0, h - 1)
    left, top = np.minimum(u.astype(int), w - 2), np.minimum(v.astype(int), h - 2)
    u, v = u - left, v - top
    upper = (1 - u) * level[top, left] + u * level[top, left + 1]
    lower = (1 - u) * level[top + 1, left] + u * level[top + 1, left + 1]
    return ((1 - v) * upper + v * lower).astype(np.float32)
