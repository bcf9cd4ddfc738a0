"""torch.func and torch.compile: every transform, on the whole pipeline, in both modes."""
import functools
import shutil

import pytest
import torch

import diffsift
from pysift.params import SIFTParams
from soft import dithered, randn, tensor

IMAGES = torch.cat([dithered("camera", 100, 200, 26, 28), dithered("coins", 90, 90, 26, 28)])
ONE = IMAGES[:1]
UNIT = SIFTParams(descriptor="float32")
MODES = pytest.mark.parametrize("mode", ["opencv", "smooth"])


def features(images, mode, n=3):
    return diffsift.sift(images, UNIT, max_keypoints=n, mode=mode)


def numbers(image, mode):
    """All outputs of one image (1, H, W) in one vector."""
    return torch.cat([v.flatten() for v in features(image[None], mode)])


@MODES
def test_vmap_is_the_batch(mode):
    mapped = torch.func.vmap(lambda image: features(image[None], mode))(IMAGES)
    for a, b in zip(mapped, features(IMAGES, mode)):
        torch.testing.assert_close(a[:, 0], b)


@MODES
def test_jacobians_forward_and_backward_are_the_same(mode):
    """With respect to one row of pixels; jacfwd of 28 columns, jacrev of the rows of x, y, σ, θ, weight."""
    def of_row(row):
        image = ONE.index_copy(2, torch.tensor([13]), row[None, None, None])
        return torch.stack(features(image, mode)[:5])[:, 0]

    forward, backward = torch.func.jacfwd(of_row)(ONE[0, 0, 13]), torch.func.jacrev(of_row)(ONE[0, 0, 13])
    assert forward.shape == (5, 3, 28) and forward.norm() > 0
    torch.testing.assert_close(forward, backward)


@MODES
def test_vmap_of_jacrev_is_the_jacobian_of_each(mode):
    def jacobian(image):
        return torch.func.jacrev(lambda i: features(i[None], mode).x[0])(image)

    mapped = torch.func.vmap(jacobian)(IMAGES)
    torch.testing.assert_close(mapped[1], jacobian(IMAGES[1]))
    assert mapped.norm() > 0


@MODES
def test_jvp_and_vjp_are_adjoint(mode):
    u, image = randn(1, 26, 28, seed=1), IMAGES[0]
    out, forward = torch.func.jvp(functools.partial(numbers, mode=mode), (image,), (u,))
    v = randn(len(out), seed=2)
    (back,) = torch.func.vjp(functools.partial(numbers, mode=mode), image)[1](v)
    assert (forward @ v).item() == pytest.approx((back * u).sum().item(), rel=1e-10)


@MODES
def test_hessian_is_symmetric_and_the_difference_of_gradients(mode):
    directions = randn(3, 1, 1, 26, 28, seed=4)

    def loss(weights):
        image = ONE + 1e-2 * torch.tensordot(weights, directions, 1)
        out = features(image, mode)
        return (out.x + out.sigma + out.theta + out.weight).sum() + (out.descriptors * out.descriptors[..., :1]).sum()

    zero, step = torch.zeros(3, dtype=torch.float64), 1e-5
    hessian = torch.func.hessian(loss)(zero)
    assert hessian.norm() > 0
    torch.testing.assert_close(hessian, hessian.T)
    gradient = torch.func.grad(loss)
    for i, unit in enumerate(torch.eye(3, dtype=torch.float64)):
        difference = (gradient(zero + step * unit) - gradient(zero - step * unit)) / (2 * step)
        torch.testing.assert_close(hessian[i], difference, rtol=1e-4, atol=1e-4 * float(hessian.abs().max()))


@MODES
def test_double_backward(mode):
    """A gradient penalty can be differentiated: ∂‖∂x/∂I‖²/∂I, against differences."""
    def penalty(image):
        image = image.requires_grad_() if not image.requires_grad else image
        (g,) = torch.autograd.grad(features(image, mode).x.sum(), image, create_graph=True)
        return g.square().sum()

    image = ONE.clone().requires_grad_()
    (second,) = torch.autograd.grad(penalty(image), image)
    u, step = randn(*ONE.shape, seed=6), 1e-6
    difference = (penalty(ONE + step * u) - penalty(ONE - step * u)) / (2 * step)
    assert second.norm() > 0
    assert (second * u).sum().item() == pytest.approx(difference.item(), rel=1e-4)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_it_compiles_as_one_graph(backend):
    """torch.compile(fullgraph=True), forward and backward; the C++ backend on one octave, for its compiler is slow."""
    if backend == "inductor" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler: install g++ to compile with inductor")
    image = tensor(ONE[0, 0, :13, :14].numpy() * 255)
    params = UNIT.replace(n_octave_layers=1, kernel_reach=2.0, max_steps=2)

    def loss(image):
        out = diffsift.sift(image, params, max_keypoints=2, mode="smooth")
        return out.x.sum() + out.weight.sum() + out.descriptors.square().sum(), out

    found = []
    for function in (loss, torch.compile(loss, fullgraph=True, backend=backend)):
        x = image.clone().requires_grad_()
        value, out = function(x)
        value.backward()
        found.append([*out, x.grad])
    for a, b in zip(*found):
        torch.testing.assert_close(a, b)
    assert found[0][-1].norm() > 0
