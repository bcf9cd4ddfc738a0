"""SIFT as a layer: named parameters, right derivatives in each, and a planted value found again."""
import pytest
import torch

import diffsift
from diffsift import SIFT, Softness
from pysift.params import SIFTParams
from soft import dithered, randn

IMAGE = dithered("camera", 100, 200, 48, 48)
LEARNABLE = SIFT.learnable()


def layer(learn, mode, **fields):
    return SIFT(SIFTParams(descriptor="float32", **fields), Softness(ori_bin=0.5), learn, max_keypoints=8, mode=mode,
                dtype=torch.float64)


def test_without_learning_it_is_the_function():
    for a, b in zip(SIFT(max_keypoints=5)(IMAGE), diffsift.sift(IMAGE, max_keypoints=5)):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_learning_changes_nothing_at_the_start():
    for a, b in zip(layer(LEARNABLE, "smooth")(IMAGE), layer((), "smooth")(IMAGE)):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)           # the base blur of numbers is float32's


@pytest.mark.parametrize("mode", ["opencv", "smooth"])
@pytest.mark.parametrize("name", LEARNABLE)
def test_the_derivative_of_every_parameter_is_right(name, mode):
    module = layer((name,), mode)
    (parameter,) = module.parameters()
    directions = [randn(*v.shape, seed=i) for i, v in enumerate(module(IMAGE))]

    def loss(value):
        with torch.no_grad():
            parameter.fill_(value)
        return sum((v * d).sum() for v, d in zip(module(IMAGE), directions))

    start, step = parameter.item(), 1e-6
    back = torch.autograd.grad(loss(start), parameter, allow_unused=True)[0]
    difference = ((loss(start + step) - loss(start - step)) / (2 * step)).item()
    if mode == "opencv" and name in ("cell_kernel", "angle_kernel"):
        assert back is None and difference == 0
    else:
        assert back.item() != 0
        assert back.item() == pytest.approx(difference, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name, planted", [("sigma", 1.7), ("desc_clip", 0.15), ("contrast_threshold", 0.05),
                                           ("angle_kernel", 0.8)])
def test_a_planted_parameter_is_recovered(name, planted):
    fields = {name: planted} if name in SIFTParams.__dataclass_fields__ else {}
    target = layer((name,), "smooth")
    with torch.no_grad():
        getattr(target, name).fill_(planted)
    goal = [v.detach() for v in target(IMAGE)]
    module = layer((name,), "smooth")
    optimiser = torch.optim.LBFGS(module.parameters(), lr=0.5, max_iter=12, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = sum((a - b).square().mean() for a, b in zip(module(IMAGE), goal)) * 1e4
        loss.backward()
        return loss

    optimiser.step(closure)
    assert getattr(module, name).item() == pytest.approx(planted, rel=0.01), fields


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="n_octave_layers"):
        SIFT(learn=("n_octave_layers",))


def test_it_saves_and_moves_like_any_module():
    module = SIFT(learn=("sigma",), max_keypoints=3)
    other = SIFT(SIFTParams(sigma=1.4), learn=("sigma",), max_keypoints=3)
    other.load_state_dict(module.state_dict())
    assert other.sigma == module.sigma and module.double().sigma.dtype == torch.float64
    assert "sigma" in repr(module)
