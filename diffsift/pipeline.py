"""The driver: differentiable SIFT as the paper's box.                         [Lowe §2; docs/conventions.md]

    images → scale space → extrema → refine → distinct → orient → the K heaviest → describe → SoftFeatures

Every tensor has a shape that depends on K and the size of the image alone, so `torch.func`, `vmap` and
`torch.compile` see no branch.

Relaxed      in or out becomes a weight: no keypoint is dropped, the gates of all steps multiply to its weight, as a
             sum of logarithms.
Limit        `Softness.hard()` in mode "opencv": weights of 1 and 0, and the keypoints and descriptors of the hard twin.
Singular     an image too small for an octave, and slots without a keypoint: weight 0, finite values, derivative 0.
Held fixed   which cells are looked at (4·K an octave, by an upper bound on their weight, then 4·K in all, of which
             mode "smooth" refines the likeliest 2·K), the moves of the refinement, which keypoint takes which slot.
             All are piecewise constant in the image, so the derivative is right wherever none of them changes: almost
             everywhere.

imports: every step, none of which imports another          Hard twin  pysift/pipeline.py
"""
from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from diffsift.descriptor import describe_octave, normalise
from diffsift.extrema import find_extrema
from diffsift.keypoints import SoftFeatures, SoftKeypoints
from diffsift.orientation import assign_orientations
from diffsift.planes import Planes, as_planes
from diffsift.refine import Refined, refine
from diffsift.scalespace import build_scalespace
from diffsift.selection import distinct, strongest
from diffsift.softness import Softness
from pysift.params import SIFTParams

_SPARE = 4                          # candidates looked at for each slot


def sift(images: Tensor, params: SIFTParams = SIFTParams(), softness: Softness = Softness(), *, max_keypoints: int,
         mode: str = "opencv") -> SoftFeatures:
    """Detect and describe the keypoints of images, with derivatives to their pixels.

    Parameters
    ----------
    images : (B, 1, H, W) float32 or float64, in [0, 1]
    params : SIFTParams, whose fields may be tensors: see `diffsift.SIFT`
    softness : Softness; `Softness.hard()` in mode "opencv" is `pysift.sift`
    max_keypoints : K, the slots an image; unused ones have weight 0, finite values and no derivative
    mode : "opencv" computes what cv2 does, its whole-pixel centres included, so that descriptors have no derivative
        in x and y; "smooth" places keypoints where D itself is extremal and its windows between pixels, with votes
        that are C² in the angle

    Returns
    -------
    SoftFeatures(x, y, sigma, theta, weight, descriptors) : (B, K) each and (B, K, n_cells²·n_desc_bins), the
        heaviest first.  A keypoint of several orientations takes several slots.  weight > ½ says that it is one.

    Raises
    ------
    TypeError, ValueError : an argument is of no use; the message says why

    Notes
    -----
    Memory beside the image, float32: with derivatives at most 1.6 kB a pixel of the input and 1.3 MB a slot, without
    0.75 kB and 0.2 MB (tests/test_diffsift_memory.py).  A batch takes that for each of its images.

    Source: [Lowe 2004].

    Examples
    --------
    >>> image = torch.rand(2, 1, 32, 40, requires_grad=True)
    >>> features = sift(image, max_keypoints=8)
    >>> features.x.shape, features.descriptors.shape
    (torch.Size([2, 8]), torch.Size([2, 8, 128]))
    """
    _check(images, params, softness, max_keypoints, mode)
    octaves = _octaves(images, params, softness)
    if octaves is not None:
        keypoints = find_keypoints(octaves, params, softness, max_keypoints, mode)
        descriptors = describe_on(octaves, keypoints, params, softness, mode)
    else:
        keypoints, descriptors = _nothing(images, params, max_keypoints)
    return SoftFeatures(*keypoints[:4], keypoints.weight, descriptors)


def detect(images: Tensor, params: SIFTParams = SIFTParams(), softness: Softness = Softness(), *, max_keypoints: int,
           mode: str = "opencv") -> SoftKeypoints:
    """Detect keypoints; arguments and errors as `sift`.

    >>> detect(torch.zeros(1, 1, 32, 32), max_keypoints=3).weight
    tensor([[0., 0., 0.]])
    """
    _check(images, params, softness, max_keypoints, mode)
    octaves = _octaves(images, params, softness)
    if octaves is None:
        return _nothing(images, params, max_keypoints)[0]
    return find_keypoints(octaves, params, softness, max_keypoints, mode)


def describe(images: Tensor, keypoints: SoftKeypoints, params: SIFTParams = SIFTParams(),
             softness: Softness = Softness(), *, mode: str = "opencv") -> Tensor:
    """Describe given keypoints, each for itself: its neighbours make no difference.

    Parameters
    ----------
    images, params, softness, mode : as `sift`
    keypoints : SoftKeypoints (B, K) of `detect`, or others; x, y, sigma, theta, octave and layer are read

    Returns
    -------
    (B, K, n_cells²·n_desc_bins), see SIFTParams.descriptor

    >>> images = torch.rand(1, 1, 32, 32)
    >>> describe(images, detect(images, max_keypoints=5)).shape
    torch.Size([1, 5, 128])
    """
    _check(images, params, softness, keypoints.x.shape[1], mode)
    octaves = _octaves(images, params, softness)
    if octaves is None:
        return _nothing(images, params, keypoints.x.shape[1])[1]
    return describe_on(octaves, keypoints, params, softness, mode)


def find_keypoints(octaves: Planes, params: SIFTParams, softness: Softness, count: int, mode: str) -> SoftKeypoints:
    """Steps 2 to 4 on every octave: `count` slots, the heaviest first.

    Orientations are looked for in the `count` heaviest cells, and then the `count` heaviest orientations kept.
    """
    candidates, log_extremum = _candidates(octaves, params, softness, count, mode)
    refined = refine(octaves, candidates, params, softness, mode=mode)
    cells = octaves.index(refined.layer, refined.row, refined.col)
    log_weight = distinct(cells, log_extremum + refined.log_weight)
    chosen = strongest(log_weight, refined.response, count)
    refined = Refined(*(column.gather(1, chosen) for column in refined._replace(log_weight=log_weight)))
    row, col = refined.row, refined.col
    if mode == "smooth":
        row, col = row + refined.dy, col + refined.dx
    angle, log_peak = assign_orientations(octaves, refined.layer, row, col, refined.sigma, params, softness, mode=mode)
    octave = refined.layer // octaves.per_octave + params.first_octave
    refined = refined._replace(layer=octaves.within(refined.layer))
    return _fill(to_input_frame(octave, refined, angle, log_peak), count, params.first_octave)


def _candidates(octaves: Planes, params: SIFTParams, softness: Softness, slots: int,
                mode: str) -> tuple[Tensor, Tensor]:
    """Step 2 on every octave: the 4·K candidates of largest weight, then |D|, and their log weights.

    Mode "smooth", whose refinement is dear, goes on with the half of them that Lowe's quadratic finds the heaviest.
    """
    candidates, log_weight = find_extrema(octaves, params, softness, count=_SPARE * slots)
    fixed = octaves._replace(values=octaves.values.detach())
    layer, row, col = candidates.unbind(-1)
    strength = (fixed.read(layer + 1, row, col) - fixed.read(layer, row, col)).abs()
    chosen = strongest(log_weight, strength, _SPARE * slots)
    if mode == "smooth":
        quick = refine(fixed, _rows(candidates, chosen), params, replace(softness, settle=0.0))
        heaviest = strongest(log_weight.gather(1, chosen) + quick.log_weight, quick.response, _SPARE // 2 * slots)
        chosen = chosen.gather(1, heaviest)
    return _rows(candidates, chosen), log_weight.gather(1, chosen)


def _rows(table: Tensor, chosen: Tensor) -> Tensor:
    """(B, N, 3), (B, M) → (B, M, 3)."""
    return table.gather(1, chosen[..., None].expand(-1, -1, 3))


def to_input_frame(octave: Tensor, refined: Refined, angle: Tensor, log_peak: Tensor) -> SoftKeypoints:
    """x_input = 2^o·(x + δ), σ likewise, θ from degrees to radians; a row for each keypoint and angle bin."""
    pixel = torch.exp2(octave.to(refined.dx.dtype))
    columns = ((refined.col + refined.dx) * pixel, (refined.row + refined.dy) * pixel, refined.sigma * pixel,
               torch.deg2rad(angle), refined.log_weight[..., None] + log_peak, refined.response, octave,
               refined.layer)
    return SoftKeypoints(*((c if c.dim() == 3 else c[..., None].expand(angle.shape)).flatten(1) for c in columns))


def describe_on(octaves: Planes, keypoints: SoftKeypoints, params: SIFTParams, softness: Softness,
                mode: str) -> Tensor:
    """Step 5 on the octave and layer that each keypoint names."""
    pixel = torch.exp2(-keypoints.octave.to(keypoints.x.dtype))
    plane = (keypoints.octave - params.first_octave) * octaves.per_octave + keypoints.layer
    raw = describe_octave(octaves, plane, keypoints.x * pixel, keypoints.y * pixel, keypoints.sigma * pixel,
                          torch.rad2deg(keypoints.theta), params, softness, mode=mode)
    return normalise(raw, params, softness)


def _octaves(images: Tensor, params: SIFTParams, softness: Softness) -> Planes | None:
    """Step 1: the octaves that are large enough to hold a keypoint, end to end; None if there is none."""
    octaves = build_scalespace(images * 255, params, softness, least_side=2 * params.border + 1)
    return as_planes([octave.levels for octave in octaves]) if octaves else None


def _fill(keypoints: SoftKeypoints, count: int, first_octave: int) -> SoftKeypoints:
    """Keep the `count` heaviest; where there are fewer, fill up with slots of weight 0."""
    keypoints = keypoints.take(strongest(keypoints.log_weight, keypoints.response, count))
    missing = count - keypoints.x.shape[1]
    empty = (0.0, 0.0, 1.0, 0.0, -math.inf, 0.0, first_octave, 1)
    return SoftKeypoints(*(pad(column, (0, missing), value=value) for column, value in zip(keypoints, empty)))


def _nothing(images: Tensor, params: SIFTParams, count: int) -> tuple[SoftKeypoints, Tensor]:
    """`count` slots of weight 0 and their descriptors, for an image too small for an octave; derivatives are 0."""
    zero = 0 * images.flatten(1)[:, :1]
    keypoints = SoftKeypoints(zero, zero, zero + 1, zero, zero, zero, zero.long(), zero.long())
    descriptors = zero[..., None].expand(-1, count, params.n_cells ** 2 * params.n_desc_bins)
    return _fill(keypoints._replace(log_weight=zero - math.inf), count, params.first_octave), descriptors


def _check(images: Tensor, params: SIFTParams, softness: Softness, count: int, mode: str) -> None:
    """Raise unless the arguments are of use."""
    if not isinstance(images, Tensor) or images.dtype not in (torch.float32, torch.float64):
        kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise TypeError(f"images is {kind}, not a tensor of float32 or float64: divide grey levels by 255, "
                        "torch.from_numpy(image)[None, None] / 255")
    if images.dim() != 4 or images.shape[1] != 1 or 0 in images.shape:
        raise ValueError(f"images has shape {tuple(images.shape)}, not (B, 1, H, W): add axes by images[None, None], "
                         "and make colours grey first")
    for value, kind in ((params, SIFTParams), (softness, Softness)):
        if not isinstance(value, kind):
            raise TypeError(f"{value!r} is a {type(value).__name__}: pass a {kind.__name__}")
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"max_keypoints={count!r} must be a whole number of at least 1: the slots of an image")
    if mode not in ("opencv", "smooth"):
        raise ValueError(f"mode={mode!r} is unknown: use 'opencv' or 'smooth'")
