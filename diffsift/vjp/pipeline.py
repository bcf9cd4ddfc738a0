"""All of SIFT backwards, by hand: the cotangents of x, y, σ, θ, weight and descriptors → that of the image.

    descriptors → describe ┐
    θ, weight → peaks → votes ─┬→ refine → extrema → cubes ┐
    x, y, σ ───────────────────┘                           ├→ levels → … → image
    votes of both histograms ──────────────────────────────┘

`backward` runs the steps of diffsift forwards, without a tape, keeps what each step started from, and then calls
their VJPs last to first.

imports: descriptor, orientation, pipeline, planes, refine, selection, softness, vjp, pysift.params
Forward  diffsift/pipeline.py
"""
from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from diffsift.descriptor import describe_octave
from diffsift.keypoints import SoftFeatures, SoftKeypoints
from diffsift.orientation import angle_histogram, peak_angles
from diffsift.pipeline import _candidates, _octaves, to_input_frame
from diffsift.planes import Planes
from diffsift.refine import Refined, refine
from diffsift.selection import distinct, strongest
from diffsift.softness import Softness
from diffsift.vjp.descriptor import describe_opencv_vjp, normalise_vjp
from diffsift.vjp.extrema import is_extremum_vjp
from diffsift.vjp.jet import refine_smooth_vjp
from diffsift.vjp.lattice import describe_smooth_vjp
from diffsift.vjp.orientation import peak_angles_vjp, smooth_vjp, vote_opencv_vjp, vote_smooth_vjp
from diffsift.vjp.planes import as_planes_vjp, cubes_vjp
from diffsift.vjp.refine import RefinedBar, refine_vjp
from diffsift.vjp.scalespace import build_scalespace_vjp
from pysift.params import SIFTParams


class Forward(NamedTuple):
    """What the backward pass needs to know of the forward one."""

    planes: Planes
    candidates: Tensor          # (B, K, 3) int64, the pixel each of the K refined points was found at
    refined: Refined            # (B, K)
    histogram: Tensor           # (B, K, n_ori_bins)
    slots: Tensor               # (B, K) int64, point · n_ori_bins + bin of each slot
    keypoints: SoftKeypoints    # (B, K), as `find_keypoints` returns them


def backward(images: Tensor, bar: SoftFeatures, params: SIFTParams = SIFTParams(), softness: Softness = Softness(), *,
             mode: str = "opencv") -> Tensor:
    """Jᵀ of `diffsift.sift` at `images`, (B, 1, H, W), applied to `bar`.

    Parameters
    ----------
    images, params, softness, mode : as `diffsift.sift`; params and softness hold numbers, no tensors
    bar : SoftFeatures of cotangents, (B, K) and (B, K, D), finite; K is that of `max_keypoints`

    Returns
    -------
    (B, 1, H, W), d⟨bar, sift(images)⟩/d images

    Raises
    ------
    ValueError : the image holds no octave, or fewer than K keypoints and angle bins

    >>> image = torch.rand(1, 1, 32, 40, dtype=torch.float64)
    >>> one = torch.ones(1, 3, dtype=torch.float64)
    >>> backward(image, SoftFeatures(one, one, one, one, one, one[..., None].expand(1, 3, 128))).shape
    torch.Size([1, 1, 32, 40])
    """
    with torch.no_grad():
        forward = run_forward(images, params, softness, bar.x.shape[1], mode)
        levels_bar, keypoints_bar = describe_vjp(bar, forward, params, softness, mode)
        histogram_bar, refined_bar = keypoints_vjp(keypoints_bar, forward, params, softness)
        values_bar = detect_vjp(histogram_bar, refined_bar, forward, params, softness, mode)
        return 255 * build_scalespace_vjp(as_planes_vjp(levels_bar + values_bar, forward.planes), images, params)


def run_forward(images: Tensor, params: SIFTParams, softness: Softness, count: int, mode: str) -> Forward:
    """Steps 1 to 4 as in `find_keypoints`, keeping which candidate and which bin took which slot."""
    planes = _octaves(images, params, softness)
    if planes is None:
        raise ValueError(f"images of shape {tuple(images.shape)} hold no octave: use larger ones")
    candidates, log_extremum = _candidates(planes, params, softness, count, mode)
    refined = refine(planes, candidates, params, softness, mode=mode)
    cells = planes.index(refined.layer, refined.row, refined.col)
    log_weight = distinct(cells, log_extremum + refined.log_weight)
    chosen = strongest(log_weight, refined.response, count)
    refined = Refined(*(column.gather(1, chosen) for column in refined._replace(log_weight=log_weight)))
    candidates = candidates.gather(1, chosen[..., None].expand(-1, -1, 3))
    histogram = angle_histogram(planes, refined.layer, *window_centre(refined, mode), refined.sigma, params, softness,
                                mode=mode)
    octave = refined.layer // planes.per_octave + params.first_octave
    keypoints = to_input_frame(octave, refined._replace(layer=planes.within(refined.layer)),
                               *peak_angles(histogram, params, softness))
    slots = strongest(keypoints.log_weight, keypoints.response, count)
    if slots.shape[1] < count:
        raise ValueError(f"{count} slots, but only {slots.shape[1]} keypoints: ask for that many at most")
    return Forward(planes, candidates, refined, histogram, slots, keypoints.take(slots))


def window_centre(refined: Refined, mode: str) -> tuple[Tensor, Tensor]:
    """Row and column about which the orientation is taken: the refined point in mode "smooth", else its pixel."""
    if mode == "smooth":
        return refined.row + refined.dy, refined.col + refined.dx
    return refined.row, refined.col


def describe_vjp(bar: SoftFeatures, forward: Forward, params: SIFTParams, softness: Softness,
                 mode: str) -> tuple[Tensor, SoftKeypoints]:
    """Step 5 and the weight product:  log w̄ = w·w̄;   x_octave = x/2^o, so x̄ += x̄_octave/2^o, σ̄ likewise.

    Returns L̄ (B, n) and the cotangents of the K keypoints; response, octave and layer have none.
    """
    k = forward.keypoints
    pixel = torch.exp2(-k.octave.to(k.x.dtype))
    plane = (k.octave - params.first_octave) * forward.planes.per_octave + k.layer
    at = forward.planes, plane, k.x * pixel, k.y * pixel, k.sigma * pixel, torch.rad2deg(k.theta)
    raw_bar = normalise_vjp(bar.descriptors, describe_octave(*at, params, softness, mode=mode), params, softness)
    if mode == "smooth":
        values_bar, x_bar, y_bar, sigma_bar, angle_bar = describe_smooth_vjp(raw_bar, *at, params, softness)
    else:
        values_bar, sigma_bar, angle_bar = describe_opencv_vjp(raw_bar, *at, params)
        x_bar = y_bar = torch.zeros_like(sigma_bar)
    none = torch.zeros_like(k.x)
    return values_bar, SoftKeypoints(
        bar.x + x_bar * pixel, bar.y + y_bar * pixel, bar.sigma + sigma_bar * pixel,
        bar.theta + angle_bar * (180 / math.pi), bar.weight * k.log_weight.exp(), none, none, none)


def keypoints_vjp(bar: SoftKeypoints, forward: Forward, params: SIFTParams,
                  softness: Softness) -> tuple[Tensor, RefinedBar]:
    """From slots to points and bins:  x = 2^o (col + δ_x), so δ̄_x = 2^o Σ_slots x̄;  log w = log w_point + log w_peak.

    Every slot of a point sends its cotangents to that point; a bin without a slot gets none.
    """
    points, bins = forward.histogram.shape[1:]
    point = forward.slots // bins
    pixel = torch.exp2(forward.refined.layer // forward.planes.per_octave + params.first_octave)

    def gathered(column: Tensor) -> Tensor:
        return column.new_zeros((len(column), points)).scatter_add(1, point, column)

    def in_bins(column: Tensor) -> Tensor:
        return column.new_zeros((len(column), points * bins)).scatter(1, forward.slots, column).unflatten(1, (-1, bins))

    histogram_bar = peak_angles_vjp(in_bins(bar.theta) * (math.pi / 180), in_bins(bar.log_weight), forward.histogram,
                                    params, softness)
    none = torch.zeros_like(pixel)
    return histogram_bar, RefinedBar(gathered(bar.x) * pixel, gathered(bar.y) * pixel, none,
                                     gathered(bar.sigma) * pixel, none, gathered(bar.log_weight))


def detect_vjp(histogram_bar: Tensor, bar: RefinedBar, forward: Forward, params: SIFTParams, softness: Softness,
               mode: str) -> Tensor:
    """Steps 4 to 2: votes, refinement, extremum → L̄ (B, n).  A duplicate has weight 0, so its log w̄ = w·w̄ is 0."""
    planes, refined = forward.planes, forward.refined
    at = refined.layer, *window_centre(refined, mode), refined.sigma
    if mode == "smooth":
        values_bar, row_bar, col_bar, sigma_bar = vote_smooth_vjp(smooth_vjp(histogram_bar), planes, *at, params,
                                                                  softness)
        bar = bar._replace(dx=bar.dx + col_bar, dy=bar.dy + row_bar)
    else:
        values_bar, sigma_bar = vote_opencv_vjp(smooth_vjp(histogram_bar), planes, *at, params, softness)
    bar = bar._replace(sigma=bar.sigma + sigma_bar)
    settled = refined.layer, refined.row, refined.col
    if mode == "smooth":
        offset = torch.stack([refined.dx, refined.dy, refined.ds], -1)
        values_bar = values_bar + refine_smooth_vjp(bar, planes, settled, offset, refined.sigma, params, softness)
    else:
        cube_bar = refine_vjp(bar, planes.cubes(*settled), refined.sigma, params, softness)
        values_bar = values_bar + cubes_vjp(cube_bar, planes, *settled)
    found = forward.candidates.unbind(-1)
    found_bar = is_extremum_vjp(bar.log_weight, planes.cubes(*found), params, softness)
    return values_bar + cubes_vjp(found_bar, planes, *found)
