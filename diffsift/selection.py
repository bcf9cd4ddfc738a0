"""Which keypoints fill the slots: no duplicates, the heaviest first.

In the hard twin a keypoint is in or out; here each has a slot and a weight.

Relaxed      nothing: there are as many slots as asked for, and what is out has no weight.
Limit        weights 1 and 0: the keypoints of the hard twin by response, cut at n without those that tie with the last.
Singular     a tie in weight and response: the one that stood first stays first.
Held fixed   which keypoint takes which slot, and which of two in one cell counts.

imports: torch only          Hard twin  pysift/selection.py
"""
from __future__ import annotations

import math

import torch
from torch import Tensor


def distinct(cells: Tensor, log_weight: Tensor) -> Tensor:
    """Take all weight from keypoints that ended in the same cell as a heavier one.

    Candidates about one extremum all move to the same cell: theirs is the largest of their weights.

    Parameters
    ----------
    cells : (B, N) int64, a number for each cell
    log_weight : (B, N)

    Returns
    -------
    (B, N) log weight, −inf for duplicates

    >>> distinct(torch.tensor([[7, 7, 9]]), torch.tensor([[-2.0, -1.0, -3.0]]))
    tensor([[-inf, -1., -3.]])
    """
    by_weight = torch.argsort(log_weight.detach(), dim=1, descending=True, stable=True)
    by_cell = torch.argsort(cells.gather(1, by_weight), dim=1, stable=True)
    order = by_weight.gather(1, by_cell)
    ordered = cells.gather(1, order)
    repeated = torch.zeros_like(ordered, dtype=torch.bool)
    repeated = torch.cat([repeated[:, :1], ordered[:, 1:] == ordered[:, :-1]], 1)
    duplicate = repeated.gather(1, torch.argsort(order, dim=1))
    return torch.where(duplicate, -math.inf, log_weight)


def strongest(log_weight: Tensor, response: Tensor, n: int) -> Tensor:
    """Return the indices of the n largest log weights, of equal ones those of larger response: (B, N) → (B, n).

    n is cut at N.

    >>> strongest(torch.tensor([[-1.0, 0.0, 0.0]]), torch.tensor([[0.9, 0.1, 0.2]]), 2)
    tensor([[2, 1]])
    """
    by_response = torch.argsort(response.detach(), dim=1, descending=True, stable=True)
    ranked = log_weight.detach().gather(1, by_response)
    by_weight = torch.argsort(ranked, dim=1, descending=True, stable=True)
    return by_response.gather(1, by_weight[:, :n])
