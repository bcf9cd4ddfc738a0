"""docs/gradients_three_ways.md: its table is that of its JSON, and the three ways meet where they should."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from docs import gradients_three_ways as ways

ROOT = Path(__file__).resolve().parent.parent
RECORD = json.loads((ROOT / "docs/gradients_three_ways.json").read_text(encoding="utf-8"))
STEPS = np.array(RECORD["steps"])


def test_the_table_of_the_page_is_made_of_the_record():
    assert ways.table(RECORD) in (ROOT / "docs/gradients_three_ways.md").read_text(encoding="utf-8")


def test_the_record_says_where_it_comes_from():
    assert {"photograph", "seed", "date", "threads", "machine"} <= set(RECORD)
    assert {"torch", "numpy"} <= set(RECORD["machine"]["versions"])


@pytest.mark.parametrize("name", ways.SOFTNESS)
def test_the_tape_and_diffsift_are_one_function(name):
    raw, other = ways.histograms()
    softness = ways.SOFTNESS[name]
    assert ways.value(raw, other, softness) == pytest.approx(
        ways.in_torch(torch.tensor(raw), other, softness).item(), rel=1e-14)
    direction = np.random.default_rng(0).normal(size=raw.shape)
    for mine, theirs in zip(ways.by_tape(raw, other, softness, direction),
                            ways.by_torch(raw, other, softness, direction)):
        assert ways.error(mine, theirs) < 1e-12


@pytest.mark.parametrize("way, order", [("forward", 1), ("central", 2)])
def test_differences_lose_h_or_h_squared_until_rounding_takes_over(way, order):
    """In the middle of the right-hand branch, a decade of steps costs `order` decades of error."""
    errors = np.array(RECORD["soft"][way])
    best = int(errors.argmin())
    branch = slice(best + 3, best + 8)
    slopes = np.polyfit(np.log(STEPS[branch]), np.log(errors[branch]), 1)[0]
    assert slopes == pytest.approx(order, abs=0.15)
    left = np.polyfit(np.log(STEPS[:best - 4]), np.log(errors[:best - 4]), 1)[0]
    assert left == pytest.approx(-1, abs=0.15)


def test_the_tape_and_torch_are_at_rounding_and_differences_are_not():
    for name in ways.SOFTNESS:
        assert max(RECORD[name]["tape"], RECORD[name]["torch"]) < 1e-13
        assert min(RECORD[name]["forward"]) > 10 * min(RECORD[name]["central"]) > 1e4 * RECORD[name]["tape"]


def test_a_step_beyond_the_nearest_kink_is_seen():
    errors = np.array(RECORD["hard"]["central"])
    jump = int(np.flatnonzero(STEPS > 1.1 * RECORD["nearest"])[0])
    assert errors[jump:].min() > 1e4 * errors[jump - 1]


def test_a_wrong_rule_would_be_seen():
    """The measure can fail: a gradient that is off by 10⁻⁶ in one entry is."""
    gradient, = ways.by_tape(*ways.histograms(), ways.SOFTNESS["soft"])
    spoilt = gradient.copy()
    spoilt[np.abs(gradient).argmax()] *= 1 + 1e-6
    assert ways.error(spoilt, gradient) > 1e-8
