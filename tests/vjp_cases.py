"""One case for every hand-made VJP: the stage of diffsift it belongs to, generic inputs, and how the two are called.

A case is  stage(*inputs) → tuple of outputs  and  by_hand(bars, inputs) → tuple of cotangents, one an input.
Inputs come from a dithered photograph: cubes, histograms and gradients as SIFT meets them.

imports: soft (images), strategies
"""
from __future__ import annotations

import functools
from typing import Callable, NamedTuple

import torch
from torch import Tensor

from diffsift import (
    descriptor,
    extrema,
    jet,
    orientation,
    pipeline,
    planes,
    polar,
    refine,
    relax,
    scalespace,
    selection,
)
from diffsift.softness import Softness
from diffsift.vjp import descriptor as d_vjp
from diffsift.vjp import extrema as e_vjp
from diffsift.vjp import jet as j_vjp
from diffsift.vjp import lattice as l_vjp
from diffsift.vjp import orientation as o_vjp
from diffsift.vjp import planes as p_vjp
from diffsift.vjp import polar as polar_vjp
from diffsift.vjp import refine as r_vjp
from diffsift.vjp import relax as x_vjp
from diffsift.vjp import scalespace as s_vjp
from pysift.params import SIFTParams
from soft import dithered, randn

UNIT = SIFTParams(descriptor="float32")
HALF = SIFTParams(precise_upscale=False)
# wide gates: where they are saturated their derivatives are 0 and nothing is tested
SOFT = Softness(extremum=0.5, prefilter=0.01, contrast=1.0, settle=3.0, edge=5.0, peak=8.0, ori_bin=0.5, clip=0.02)


class Case(NamedTuple):
    stage: Callable                 # inputs → tuple of outputs
    inputs: tuple[Tensor, ...]
    by_hand: Callable               # (bars, inputs) → tuple of cotangents
    linear: bool = False            # so that by_hand does not look at the inputs
    step: float = 1e-6              # of finite differences, as a share of the input


class Scene(NamedTuple):
    """A photograph in scale space, and the keypoints found in it."""

    grey: Tensor
    planes: planes.Planes
    found: refine.Refined
    cube: Tensor
    angle: Tensor                   # degrees, one for each point
    histogram: Tensor


@functools.cache
def scene(n=8):
    grey = dithered("camera", 100, 200, 56, 60) * 255
    octaves = scalespace.build_scalespace(grey, least_side=11)
    flat = planes.as_planes([o.levels for o in octaves])
    cells, log_weight = pipeline._candidates(flat, SIFTParams(), Softness(), 25, "opencv")
    refined = refine.refine(flat, cells)
    where = flat.start[refined.layer] + refined.row * flat.width[refined.layer] + refined.col
    best = selection.distinct(where, log_weight + refined.log_weight).topk(n).indices
    found = refine.Refined(*(c.gather(1, best) for c in refined))
    assert (found.log_weight > -0.7).sum() >= 5, "fewer than five keypoints take part"
    histogram = orientation.angle_histogram(flat, found.layer, found.row, found.col, found.sigma)
    histogram = histogram + histogram.mean() * randn(*histogram.shape).abs()            # no empty bin, no flat top
    return Scene(grey, flat, found,
                 flat.cubes(found.layer, found.row, found.col), 40 * randn(1, n, seed=5).abs() + 3.3, histogram)


def one(f):
    """Make f return a tuple."""
    return lambda *args: (f(*args),)


def on_planes(f):
    """Make the flat values the first input of f(planes, …)."""
    return lambda values, *rest: f(scene().planes._replace(values=values), *rest)


def by_hand_on_planes(f):
    return lambda bars, inputs: f(bars, scene().planes._replace(values=inputs[0]), *inputs[1:])


def linear(stage, inputs, adjoint):
    return Case(one(stage), (inputs,), lambda bars, _: (adjoint(bars[0]),), linear=True)


def pixels():
    s = scene()
    return s.found.layer, s.found.row, s.found.col


def scalespace_cases():
    image = scene().grey[..., :17, :14]
    kernel, wide = scalespace.gaussian_kernel(1.3), scalespace.gaussian_kernel(9.0)
    for name, params in (("precise", UNIT), ("half-pixel", HALF)):
        yield f"upsample_vjp {name}", linear(functools.partial(scalespace.upsample, params=params), image,
                                             functools.partial(s_vjp.upsample_vjp, params=params))
    yield "downsample_vjp", linear(scalespace.downsample, image, lambda bar: s_vjp.downsample_vjp(bar, 17, 14))
    for name, g in (("", kernel), ("wider than the image", wide)):
        yield f"blur_vjp {name}", linear(lambda x, g=g: scalespace.blur(x, g), image,
                                         lambda bar, g=g: s_vjp.blur_vjp(bar, g))
    yield "blur_kernel_vjp", Case(one(lambda g: scalespace.blur(image, g)), (kernel,),
                                  lambda bars, inputs: (s_vjp.blur_kernel_vjp(bars[0], image, inputs[0]),))
    yield "gaussian_kernel_vjp", Case(
        one(lambda sigma: scalespace.gaussian_kernel(sigma, length=1.3)), (torch.tensor(1.3, dtype=torch.float64),),
        lambda bars, inputs: (s_vjp.gaussian_kernel_vjp(bars[0], scalespace.gaussian_kernel(
            inputs[0], length=1.3), inputs[0]),))
    yield "blur_kernel_vjp gaussian_kernel_vjp", Case(
        one(lambda sigma: scalespace.blur(image, scalespace.gaussian_kernel(sigma, length=1.3))),
        (torch.tensor(1.3, dtype=torch.float64),), lambda bars, inputs: (s_vjp.gaussian_kernel_vjp(
            s_vjp.blur_kernel_vjp(bars[0], image, kernel), kernel, inputs[0]),))
    yield "dog_vjp", linear(lambda levels: scalespace.Octave(0, levels).dog, randn(1, 6, 7, 8), s_vjp.dog_vjp)
    grey = scene().grey[..., :23, :26]
    for name, params in (("", UNIT), ("not doubled", SIFTParams(first_octave=0))):
        yield f"build_scalespace_vjp {name}", Case(
            lambda x, params=params: tuple(o.levels for o in scalespace.build_scalespace(x, params)), (grey,),
            lambda bars, _, params=params: (s_vjp.build_scalespace_vjp(list(bars), grey, params),), linear=True)


def relax_cases():
    margin, gaps = randn(40, seed=1), randn(9, 26, seed=2)
    yield "log_gate_vjp", Case(one(lambda m: relax.log_gate(m, 3.0)), (margin,),
                               lambda bars, x: (x_vjp.log_gate_vjp(bars[0], x[0], 3.0),))
    yield "log_membership_vjp", Case(one(lambda g: relax.log_membership(g, 2.0)), (gaps,),
                                     lambda bars, x: (x_vjp.log_membership_vjp(bars[0], x[0], 2.0),))
    places = randn(9, 3, seed=4)
    yield "soft_argmax_vjp", Case(one(lambda v: relax.soft_argmax(v, places, 2.0)), (randn(5, 9, seed=3),),
                                  lambda bars, x: (x_vjp.soft_argmax_vjp(bars[0], x[0], places, 2.0),))
    entries, t = 0.2 * randn(50, seed=6).abs(), torch.tensor(0.2, dtype=torch.float64)
    for tau in (0.02, 2e-4, 0.0):
        yield f"soft_clip_vjp {tau}", Case(
            one(lambda x, t, tau=tau: relax.soft_clip(x, t, tau)), (entries, t),
            lambda bars, x, tau=tau: x_vjp.soft_clip_vjp(bars[0], x[0], float(x[1]), tau))
    place = 3 * randn(60, seed=7)
    yield "smooth_step_vjp", Case(one(relax.smooth_step), (place / 3,),
                                  lambda bars, x: (x_vjp.smooth_step_vjp(bars[0], x[0]),))
    for width in (0.4, 1.0):
        yield f"soft_bin_vjp {width}", Case(one(lambda p, w=width: relax.soft_bin(p, w)[1]), (place,),
                                            lambda bars, x, w=width: (x_vjp.soft_bin_vjp(bars[0], x[0], w),))
    yield "bspline_vjp", Case(one(relax.bspline), (place / 2,), lambda bars, x: (x_vjp.bspline_vjp(bars[0], x[0]),))
    yield "bspline_slope_vjp", Case(one(relax.bspline_slope), (place / 2,),
                                    lambda bars, x: (x_vjp.bspline_slope_vjp(bars[0], x[0]),))
    for floor in (0.7, 0.0):
        yield f"soft_length_vjp {floor}", Case(
            one(lambda m, e=floor: relax.soft_length(m, e)), (place.abs(),),
            lambda bars, x, e=floor: (x_vjp.soft_length_vjp(bars[0], x[0], e),))


def refine_cases():
    s = scene()
    cube, found = s.cube, s.found
    gradient, hessian = refine.derivatives(cube)
    for name, c in (("", cube), ("anywhere", s.planes.cubes(found.layer, found.row + 3, found.col + 2))):
        yield f"is_extremum_vjp {name}", Case(one(lambda c: extrema.is_extremum(c, UNIT, SOFT)), (c,),
                                              lambda bars, x: (e_vjp.is_extremum_vjp(bars[0], x[0], UNIT, SOFT),))
    yield "derivatives_vjp", Case(refine.derivatives, (cube,), lambda bars, _: (r_vjp.derivatives_vjp(*bars),),
                                  linear=True)
    yield "newton_offset_vjp", Case(one(refine.newton_offset), (gradient, hessian),
                                    lambda bars, x: r_vjp.newton_offset_vjp(bars[0], *x))
    yield "refined_value_vjp", Case(
        one(refine.refined_value), (cube[..., 1, 1, 1], gradient, refine.newton_offset(gradient, hessian)),
        lambda bars, x: r_vjp.refined_value_vjp(bars[0], *x[1:]))
    yield "edge_test_vjp", Case(one(lambda h: refine.edge_test(h, 10.0)), (hessian,),
                                  lambda bars, x: (r_vjp.edge_test_vjp(bars[0], x[0], 10.0),))

    def stage(values):
        flat = s.planes._replace(values=values)
        r = refine.refine(flat, torch.stack(pixels(), -1), UNIT, SOFT)
        return r.dx, r.dy, r.ds, r.sigma, r.response, r.log_weight

    def by_hand(bars, inputs):
        flat = s.planes._replace(values=inputs[0])
        bar = r_vjp.refine_vjp(r_vjp.RefinedBar(*bars), flat.cubes(*pixels()), found.sigma, UNIT, SOFT)
        return (p_vjp.cubes_vjp(bar, flat, *pixels()),)

    yield "refine_vjp cubes_vjp", Case(stage, (s.planes.values,), by_hand, step=1e-8)


def jet_cases():
    s = scene()
    at, depth, offset = pixels(), s.planes.within(s.found.layer), 0.3 * randn(1, 8, 3, seed=1)
    square, variance = jet.window(s.planes, *at), 1.5 + randn(1, 8, seed=2).abs()
    n = square.shape[-1]
    yield "window_vjp", linear(on_planes(lambda p: jet.window(p, *at)), s.planes.values,
                               lambda bar: j_vjp.window_vjp(bar, s.planes, *at))
    yield "table_vjp", linear(lambda q: jet.table(q, variance[..., None], offset).squeeze(-3), square,
                              lambda bar: j_vjp.table_vjp(bar, variance, offset, n))
    yield "jet_vjp", Case(lambda q: tuple(jet.jet(q, depth, offset)), (square,),
                          lambda bars, _: (j_vjp.jet_vjp(jet.Jet(*bars), depth, offset, n),), linear=True)

    def curvatures(o):
        xx, yy, _, xy, _, _ = jet.jet(square, depth, o).hessian.unbind(-1)
        return xx, yy, xy

    def curvature_by_hand(bars, inputs):
        none = torch.zeros_like(bars[0])
        return (j_vjp.curvature_vjp(torch.stack([*bars[:2], none, bars[2], none, none], -1), square, depth, *inputs),)

    yield "curvature_vjp", Case(curvatures, (offset,), curvature_by_hand)
    for name, which, params in (("", slice(None), UNIT), ("outside", *one_outside())):
        yield f"refine_smooth_vjp {name}", smooth_refinement([c[:, which] for c in pixels()], params)


def one_outside():
    """A point a fraction of a pixel above its pixel, and a border that begins at that pixel."""
    f = scene().found
    k = next(k for k in range(8) if f.dy[0, k] < -0.05 and f.row[0, k] < f.col[0, k]
             and 2 * f.row[0, k] < scene().planes.height[f.layer[0, k]] // 2)
    return slice(k, k + 1), UNIT.replace(border=int(f.row[0, k]))


def smooth_refinement(cells, params):
    def refined(values):
        return refine.refine(scene().planes._replace(values=values), torch.stack(cells, -1), params, SOFT,
                             mode="smooth")

    def stage(values):
        r = refined(values)
        return r.dx, r.dy, r.ds, r.sigma, r.response, r.log_weight

    def by_hand(bars, inputs):
        r = refined(inputs[0])
        return (j_vjp.refine_smooth_vjp(
            r_vjp.RefinedBar(*bars), scene().planes._replace(values=inputs[0]), (r.layer, r.row, r.col),
            torch.stack([r.dx, r.dy, r.ds], -1), r.sigma, params, SOFT),)

    return Case(stage, (scene().planes.values,), by_hand, step=1e-8)


def planes_cases():
    s = scene()
    layer, row, col = pixels()
    x, y = col + 0.37 + randn(1, 8, seed=1), row + 0.21 + randn(1, 8, seed=2)
    at = torch.tensor([[0, 2, 2]]), torch.tensor([[-3, 4, 4]]), torch.tensor([[5, 99, 6]])       # outside, twice
    yield "read_vjp", linear(on_planes(lambda p: p.read(*at)), s.planes.values,
                             lambda bar: p_vjp.read_vjp(bar, s.planes, *at))
    yield "patches_vjp", linear(on_planes(lambda p: p.patches(layer, row, col, 9)), s.planes.values,
                                lambda bar: p_vjp.patches_vjp(bar, s.planes, layer, row, col))
    yield "cubes_vjp", linear(on_planes(lambda p: p.cubes(layer, row, col)), s.planes.values,
                              lambda bar: p_vjp.cubes_vjp(bar, s.planes, layer, row, col))
    yield "pixel_gradients_vjp", Case(
        lambda q: (q[..., 1:-1, 2:] - q[..., 1:-1, :-2], q[..., :-2, 1:-1] - q[..., 2:, 1:-1]), (randn(2, 3, 7, 8),),
        lambda bars, _: (p_vjp.pixel_gradients_vjp(*bars),), linear=True)
    yield "gradients_vjp", Case(
        on_planes(lambda p, x, y: p.gradients(layer, x, y)), (s.planes.values, x, y),
        lambda bars, v: p_vjp.gradients_vjp(*bars, s.planes._replace(values=v[0]), layer, *v[1:]))
    octaves = [randn(2, 6, 9, 8), randn(2, 6, 4, 4)]
    yield "as_planes_vjp", Case(lambda *o: (planes.as_planes(list(o)).values,), tuple(octaves),
                                lambda bars, o: tuple(p_vjp.as_planes_vjp(bars[0], planes.as_planes(list(o)))),
                                linear=True)


def polar_cases():
    gradient = 5 * randn(60, seed=8), 5 * randn(60, seed=9)
    bins_bar, weight = randn(36, seed=10), randn(60, seed=11).abs()
    for exact in (True, False):
        def by_hand(bars, x, exact=exact):
            return polar_vjp.polar_vjp(bars[0], bars[1] / torch.hypot(*x), *x, exact=exact)

        yield f"polar_vjp exact={exact}", Case(functools.partial(polar.polar, exact=exact), gradient, by_hand)

        def votes(dx, dy, w, exact=exact):
            length, angle = polar.polar(dx, dy, exact=exact)
            return (w * relax.soft_length(length, 0.7) * (bins_bar * distance(angle)).sum(-1),)

        def fused(bars, x, exact=exact):
            angle = polar.polar(*x[:2], exact=exact)[1]
            dx, dy, w = polar_vjp.vote_vjp(bars[0] * (bins_bar * distance(angle)).sum(-1),
                                           bars[0] * (bins_bar * slope(angle)).sum(-1), x[2], *x[:2], 0.7, exact=exact)
            return dx, dy, w

        yield f"vote_vjp exact={exact}", Case(votes, (*gradient, weight), fused)


def distance(angle):
    """B(b − k) of each of 36 bins, the shorter way round."""
    d = angle[..., None] / 10 - torch.arange(36)
    return relax.bspline(d - 36 * torch.round(d / 36).detach())


def slope(angle):
    d = angle[..., None] / 10 - torch.arange(36)
    return relax.bspline_slope(d - 36 * torch.round(d / 36)) / 10


def orientation_cases():
    s = scene()
    layer, row, col = pixels()
    h = s.histogram
    yield "smooth_vjp", linear(orientation._smooth, h, o_vjp.smooth_vjp)
    three = randn(20, seed=1), 4 + randn(20, seed=2).abs(), randn(20, seed=3)
    yield "parabola_vjp", Case(one(lambda a, c, b: (a - b) / (2 * (a - 2 * c + b))), three,
                               lambda bars, x: o_vjp.parabola_vjp(bars[0], *x))
    yield "peak_gates_vjp", Case(one(lambda h: orientation.peak_angles(h, UNIT, SOFT)[1]), (h,),
                                 lambda bars, x: (o_vjp.peak_gates_vjp(bars[0], x[0], UNIT, SOFT),))
    for name, scale in (("", 1.0), ("weaker than its floor", 1e-3)):
        yield f"peak_angles_vjp {name}", Case(lambda h: orientation.peak_angles(h, UNIT, SOFT), (scale * h,),
                                              lambda bars, x: (o_vjp.peak_angles_vjp(*bars, x[0], UNIT, SOFT),))
    yield "vote_opencv_vjp", Case(
        one(on_planes(lambda p, sigma: orientation._vote(p, layer, row, col, sigma, UNIT, SOFT))),
        (s.planes.values, s.found.sigma),
        by_hand_on_planes(lambda bars, p, sigma: o_vjp.vote_opencv_vjp(bars[0], p, layer, row, col, sigma, UNIT, SOFT)))
    yield "vote_smooth_vjp", Case(
        one(on_planes(lambda p, r, c, sigma: orientation._vote_smoothly(p, layer, r, c, sigma, UNIT, SOFT))),
        (s.planes.values, row + s.found.dy, col + s.found.dx, s.found.sigma),
        by_hand_on_planes(lambda bars, p, *at: o_vjp.vote_smooth_vjp(bars[0], p, layer, *at, UNIT, SOFT)))


def grid_cases():
    s = scene()
    x, y = s.found.col + s.found.dx, s.found.row + s.found.dy
    j, i = 4 * randn(1, 8, 5, 5, seed=1), 4 * randn(1, 8, 5, 5, seed=2)
    yield "turned_vjp", Case(
        lambda width, angle: descriptor._turned(j, i, width, angle), (s.found.sigma, s.angle),
        lambda bars, v: d_vjp.turned_vjp(*bars, *descriptor._turned(j, i, *v), v[0]))
    u, v = randn(1, 8, 5, 5, seed=3), randn(1, 8, 5, 5, seed=4)

    def lattice(cx, cy, width, angle):
        dj, di = descriptor._turned(width[..., None, None] * u, width[..., None, None] * v, torch.ones_like(width),
                                    -angle)
        return cx[..., None, None] + dj, cy[..., None, None] + di

    def lattice_by_hand(bars, inputs):
        zero = torch.zeros_like(inputs[0])
        return l_vjp.lattice_vjp(*bars, *lattice(zero, zero, *inputs[2:]), inputs[2])

    yield "lattice_vjp", Case(lattice, (x, y, s.found.sigma, s.angle), lattice_by_hand)


def descriptor_cases():
    s = scene()
    layer, x, y = s.found.layer, s.found.col + s.found.dx, s.found.row + s.found.dy
    raw = descriptor.describe_octave(s.planes, layer, x, y, s.found.sigma, s.angle)
    square = torch.full((1, 8, 1), 0.3, dtype=torch.float64)
    yield "unit_vjp", Case(one(lambda v, e: v / torch.sqrt((v * v).sum(-1, keepdim=True) + e)), (raw / 50, square),
                           lambda bars, v: d_vjp.unit_vjp(bars[0], *v))
    yield "root_vjp", Case(one(lambda v: descriptor._root(v, 1e-2)), (raw,),
                           lambda bars, v: (d_vjp.root_vjp(bars[0], v[0], 1e-2),))
    for kind in ("float32", "uint8", "root"):
        params, soft = SIFTParams(descriptor=kind), SOFT.replace(norm=30.0, root=1e-2)
        yield f"normalise_vjp {kind}", Case(
            one(lambda v, p=params, t=soft: descriptor.normalise(v, p, t)), (raw,),
            lambda bars, v, p=params, t=soft: (d_vjp.normalise_vjp(bars[0], v[0], p, t),))
    place = 2 * randn(1, 8, 30, seed=1) + 1.5, 2 * randn(1, 8, 30, seed=2) + 1.5
    votes = randn(1, 8, 30, seed=3).abs(), *place, 360 * torch.rand(1, 8, 30, dtype=torch.float64,
                                                                  generator=torch.Generator().manual_seed(4))

    def trilinear_by_hand(bars, v):
        phi, row, col, along = d_vjp.trilinear_vjp(bars[0], *v, 4, 8)
        return phi, row, col, v[0] * along

    yield "trilinear_vjp", Case(one(lambda *v: descriptor._trilinear(*v, 4, 8)), votes, trilinear_by_hand)
    at = s.planes.values, s.found.sigma, s.angle
    yield "describe_opencv_vjp", Case(
        one(on_planes(lambda p, sigma, angle: descriptor.describe_octave(p, layer, x, y, sigma, angle, UNIT))), at,
        by_hand_on_planes(lambda bars, p, *v: d_vjp.describe_opencv_vjp(bars[0], p, layer, x, y, *v, UNIT)), step=1e-8)
    yield "describe_smooth_vjp", Case(
        one(on_planes(lambda p, *v: descriptor.describe_octave(p, layer, *v, UNIT, SOFT, mode="smooth"))),
        (s.planes.values, x, y, s.found.sigma, s.angle),
        by_hand_on_planes(lambda bars, p, *v: l_vjp.describe_smooth_vjp(bars[0], p, layer, *v, UNIT, SOFT)))


STAGES = (scalespace_cases, relax_cases, refine_cases, jet_cases, planes_cases, polar_cases, orientation_cases,
          grid_cases, descriptor_cases)
CASES = {name.strip(): case for cases in STAGES for name, case in cases()}
