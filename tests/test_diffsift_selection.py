"""Slots: duplicates lose their weight, the heaviest come first, ties go to the stronger."""
import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from diffsift.selection import distinct, strongest

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(-4, 0)), min_size=1, max_size=12)


@given(rows)
def test_of_each_cell_the_heaviest_keeps_its_weight_and_no_other(rows):
    cells, weights = (torch.tensor([column]) for column in zip(*rows))
    out = distinct(cells, weights.double())[0]
    for cell in {c for c, _ in rows}:
        mine = [float(w) for (c, _), w in zip(rows, out) if c == cell]
        assert sorted(mine)[:-1] == [-math.inf] * (len(mine) - 1)
        assert max(mine) == max(w for c, w in rows if c == cell)


@given(rows, st.integers(1, 14))
def test_the_order_is_by_weight_then_response(rows, n):
    response, weights = (torch.tensor([column]).double() for column in zip(*rows))
    chosen = strongest(weights, response, n)[0].tolist()
    expected = sorted(range(len(rows)), key=lambda i: (-rows[i][1], -rows[i][0], i))[:n]
    assert chosen == expected


def test_infinite_weights_come_last():
    weights = torch.tensor([[-math.inf, -5.0, -math.inf, 0.0]])
    assert strongest(weights, torch.zeros(1, 4), 2).tolist() == [[3, 1]]


def test_the_derivative_goes_to_the_one_that_counts():
    weights = torch.tensor([[-2.0, -1.0, -3.0]], requires_grad=True)
    distinct(torch.tensor([[7, 7, 9]]), weights).exp().sum().backward()
    assert weights.grad[0, 0] == 0 and weights.grad[0, 1] > 0
