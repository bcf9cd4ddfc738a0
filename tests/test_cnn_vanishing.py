"""The gradient study: its measure on networks whose gradients are known, and what must not depend on it."""
import math

import pytest
import torch
from torch import nn

from cnn import vanishing, vanishing_figure
from cnn.vanishing import Study, gradient_norms, look, network, slope

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 3, 5, 9])


class Scaled(nn.Module):
    """Layers that multiply by `factor`, positive all the way, so that each gradient is the next one times it."""

    def __init__(self, factor, depth=9):
        super().__init__()
        self.steps = nn.ModuleList(nn.ReLU() for _ in range(depth))
        self.factor = factor
        self.start = nn.Parameter(torch.ones(()))

    def forward(self, x):
        x = x.abs().mean((1, 2))[:, :8].repeat(1, 2)[:, :10] * self.start
        for relu in self.steps:
            x = relu(self.factor * x)
        return x


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.3])
def test_the_slope_is_the_logarithm_of_a_layers_factor(factor):
    _, norms = gradient_norms(Scaled(factor), IMAGES, LABELS)
    assert len(norms) == 9
    for early, late in zip(norms, norms[1:]):
        assert early / late == pytest.approx(factor)
    assert slope(norms) == pytest.approx(math.log(factor), abs=1e-12)


def test_a_gradient_of_zero_or_without_bound_has_no_slope():
    assert slope([1.0, 0.0, 1.0]) is None and slope([1.0, math.inf]) is None


def test_norms_are_those_of_finite_differences():
    model = network(8, True, False, seed=0).double()
    relus = [m for m in model.modules() if isinstance(m, nn.ReLU)]
    _, norms = gradient_norms(model, IMAGES, LABELS)
    model.double()
    direction = torch.Generator().manual_seed(1)

    def loss(layer, bump):
        hook = relus[layer].register_forward_hook(lambda _, __, out: out + bump)
        value = nn.functional.cross_entropy(model(IMAGES.double()), LABELS)
        hook.remove()
        return value

    for layer in (0, 3, 6):
        zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
        shape = []
        hook = relus[layer].register_forward_hook(lambda _, __, out, shape=shape: shape.append(out.shape))
        loss(layer, zero)
        hook.remove()
        bump = torch.zeros(shape[0], dtype=torch.float64, requires_grad=True)
        gradient, = torch.autograd.grad(loss(layer, bump), bump)
        assert gradient.norm().item() == pytest.approx(norms[layer], rel=1e-9)
        v = torch.randn(shape[0], generator=direction, dtype=torch.float64)
        with torch.no_grad():
            difference = (loss(layer, 1e-6 * v) - loss(layer, -1e-6 * v)) / 2e-6
        assert difference.item() == pytest.approx((gradient * v).sum().item(), rel=1e-3)


@pytest.mark.parametrize("depth", [8, 14])
@pytest.mark.parametrize("shortcuts, batch_norm", vanishing.KINDS)
def test_every_layer_but_the_last_has_a_norm_and_a_seed_repeats_them(depth, shortcuts, batch_norm):
    one, two = (look(network(depth, shortcuts, batch_norm, 3), IMAGES, LABELS) for _ in range(2))
    assert len(one["norms"]) == depth - 1 and one == two
    assert one["norms"] != look(network(depth, shortcuts, batch_norm, 4), IMAGES, LABELS)["norms"]


def test_looking_changes_nothing():
    model = network(8, True, True, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradient_norms(model, IMAGES, LABELS)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) and value.dtype == before[name].dtype


@pytest.fixture
def study(monkeypatch):
    from cnn import data
    part = data.Images(torch.randint(0, 256, (40, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte(),
                       torch.arange(40) % 10)
    monkeypatch.setattr(data, "load", lambda *_: part)
    return Study(depths=(8,), seeds=2, size=8, batch=8, steps=3, rate=0.01)


def test_a_study_has_a_row_for_every_network_before_and_after(study):
    record = vanishing.measure(study)
    assert len(record["rows"]) == 4 * 1 * 2 * 2
    assert {(row["shortcuts"], row["batch_norm"]) for row in record["rows"]} == set(vanishing.KINDS)
    summary = vanishing.summarise(record["rows"])
    assert len(summary) == 8
    for one in summary:
        rows = [r["slope"] for r in record["rows"] if vanishing.label(r) == one["kind"]
                and (r["step"] > 0) == (one["moment"] == "trained")]
        assert one["slope"] == pytest.approx(sum(rows) / 2)
        assert one["half"] == pytest.approx(12.7062 * abs(rows[0] - rows[1]) / 2, rel=1e-4)
    text = vanishing.table(record["rows"])
    assert len(text.splitlines()) == 9 and "plain" in text and "trained" in text
    assert len(vanishing_figure.draw(record["rows"]).axes) == 8


def test_a_network_that_diverges_is_counted_and_not_averaged(study, monkeypatch):
    from dataclasses import replace
    record = vanishing.measure(replace(study, rate=1e9))
    trained = [one for one in vanishing.summarise(record["rows"]) if one["moment"] == "trained"]
    assert any(one["diverged"] == 2 and math.isnan(one["slope"]) and math.isnan(one["factor"]) for one in trained)
    assert "2 diverged" in vanishing.table(record["rows"])


def test_sizes_and_depths_that_do_not_exist_are_refused(study):
    with pytest.raises(ValueError, match="size=20 px must be 8, 16 or 32"):
        Study(size=20)
    with pytest.raises(ValueError, match="9"):
        vanishing.measure(Study(depths=(9,), seeds=1, size=8))
