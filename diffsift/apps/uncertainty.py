"""The covariance of keypoint positions: noise of the pixels, carried through the detector by its Jacobian.

    Σ = J Σ_I Jᵀ,   J = ∂(x, y)/∂image,   Σ_I = diag(noise_std²)                                    [px²]

A refined position reads 27 differences of Gaussians about one cell of the scale space, and those read every pixel
within reach of their blurs.  One backward pass a coordinate gives a row of J, through the octave of the keypoint
alone, and keypoints that are too far apart to read the same pixel share a pass.  J itself is never kept.
"""
from __future__ import annotations

import math

import torch
from torch import Tensor

from diffsift.keypoints import SoftFeatures, SoftKeypoints
from diffsift.planes import as_planes
from diffsift.refine import derivatives, newton_offset
from diffsift.scalespace import build_scalespace
from pysift.params import SIFTParams


def covariance(image: Tensor, features: SoftFeatures | SoftKeypoints, noise_std: float | Tensor,
               params: SIFTParams = SIFTParams()) -> Tensor:
    """Covariance of keypoint positions under noise that is independent from pixel to pixel.

    Parameters
    ----------
    image : (B, 1, H, W) float32 or float64, in [0, 1]
    features : what `diffsift.sift` or `diffsift.detect` found in `image`
    noise_std : standard deviation of the noise as a fraction of the range, a number or a tensor (B, 1, H, W)
    params : SIFTParams, those of `features`

    Returns
    -------
    (B, K, 2, 2) [px²], without a graph: rows and columns x, y; zeros for slots of weight 0

    Raises
    ------
    ValueError : the noise is negative, or `image` and `features` differ in B

    Notes
    -----
    First order in the noise: see docs/apps.md for how far that carries.

    Source: propagation of covariance [Hartley & Zisserman 2004, §5.2].

    >>> from diffsift import sift
    >>> image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> covariance(image, sift(image, max_keypoints=3), 0.01).shape
    torch.Size([1, 3, 2, 2])
    """
    noise = torch.as_tensor(noise_std, dtype=image.dtype, device=image.device)
    if not (noise >= 0).all():
        raise ValueError(f"noise_std={noise_std!r} must be 0 or more: a standard deviation as a fraction of the range")
    if len(image) != len(features.x):
        raise ValueError(f"image holds {len(image)} images and features those of {len(features.x)}: pass the ones "
                         "that the features were found in")
    image = image.detach().requires_grad_()
    octave, cells = cells_of(features, params)
    found = torch.zeros(*octave.shape, 2, 2, dtype=image.dtype, device=image.device)
    alive = (features.weight > 0).nonzero().tolist()
    for o in sorted({int(octave[b, k]) for b, k in alive}):
        places, far = positions(image, octave, cells, o, params), reach(o, params)
        centres = {(b, k): (b, *places[b, k].detach().round().int().tolist()) for b, k in alive if octave[b, k] == o}
        for group in apart(centres, 2 * far):
            rows = [torch.autograd.grad(sum(places[b, k, axis] for b, k in group), image, retain_graph=True)[0]
                    * noise for axis in (0, 1)]
            for b, k in group:
                _, x, y = centres[b, k]
                window = [row[b, 0, max(y - far, 0):y + far + 1, max(x - far, 0):x + far + 1].flatten()
                          for row in rows]
                jacobian = torch.stack(window)
                found[b, k] = (jacobian[:, None] * jacobian).sum(-1)
    return found


def apart(centres: dict, distance: int) -> list[list]:
    """Sort slots into groups in which no two of one image read the same pixel: they share a backward pass.

    >>> apart({"a": (0, 5, 5), "b": (0, 8, 5), "c": (0, 30, 5), "d": (1, 5, 5)}, 10)
    [['a', 'c', 'd'], ['b']]
    """
    groups: list[list] = []
    for slot, (b, x, y) in centres.items():
        for group in groups:
            if all(b != c or max(abs(x - u), abs(y - v)) > distance for c, u, v in (centres[other] for other in group)):
                group.append(slot)
                break
        else:
            groups.append([slot])
    return groups


def reach(index: int, params: SIFTParams = SIFTParams()) -> int:
    """How far from its place a keypoint of this octave reads pixels, at most [input px].

    Every level adds the half-width of its kernel; level S is where the next octave starts.
    """
    def half(sigma):
        return params.kernel_reach * sigma + 1

    k, s = 2.0 ** (1 / params.n_octave_layers), params.n_octave_layers
    steps = [half(params.sigma * k ** (i - 1) * math.sqrt(k * k - 1)) for i in range(1, params.n_levels)]
    total = (half(params.base_sigma()) + 1) * 2.0 ** params.first_octave
    for o in range(params.first_octave, index):
        total += sum(steps[:s]) * 2.0 ** o
    return math.ceil(total + (sum(steps) + 2) * 2.0 ** index)


def cells_of(features: SoftFeatures | SoftKeypoints, params: SIFTParams = SIFTParams()) -> tuple[Tensor, Tensor]:
    """Find the octave (B, K) and the cell (B, K, 3), rows (layer, y, x), that each keypoint was refined in.

    σ = σ₀·2^(o + (layer + δ)/S) with |δ| < ½ names octave and layer, and x = 2^o·(column + δ) the column.
    """
    number = torch.round(params.n_octave_layers * torch.log2(features.sigma.detach() / params.sigma)).long()
    octave = torch.div(number - 1, params.n_octave_layers, rounding_mode="floor").clamp(min=params.first_octave)
    layer = number - octave * params.n_octave_layers
    pixel = torch.exp2(octave.to(features.x.dtype))
    row, col = (torch.round(place.detach() / pixel).long() for place in (features.y, features.x))
    return octave, torch.stack([layer.clamp(1, params.n_octave_layers), row, col], -1)


def positions(images: Tensor, octave: Tensor, cells: Tensor, index: int, params: SIFTParams = SIFTParams()) -> Tensor:
    """Refined (x, y) in the cells of one octave: images (B, 1, H, W) → (B, K, 2) [input px], others meaningless.

    No cell is left for a neighbour and no test is made, so this is smooth in the images.
    """
    planes = as_planes(build_scalespace(images * 255, params)[index - params.first_octave].levels)
    elsewhere = (octave != index)[..., None]
    plane, row, col = torch.where(elsewhere, 1, cells).expand(len(images), -1, -1).unbind(-1)
    offset = newton_offset(*derivatives(planes.cubes(plane, row, col)))
    return (torch.stack([col, row], -1) + offset[..., :2]) * 2.0 ** index
