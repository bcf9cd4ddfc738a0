"""How far an answer can be trusted: temperature, expected calibration error, and telling unknown images apart.

    logits z, temperature T  →  probabilities softmax(z / T)                    [Guo et al. 2017, §4.2]
    confidence: the largest probability [Hendrycks, Gimpel 2017], or the energy score ln Σ exp z_k [Liu et al. 2020]
    confidence of known and unknown images  →  AUROC, FPR95, a threshold below which no answer is given

Confidences are larger for what the network knows.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

KEPT = 0.99                                                  # part of the known images that still get an answer


def temperature(scores: Tensor, labels: Tensor) -> float:
    """Return the T > 0 that gives logits (N, K) / T the least cross-entropy: Newton in the inverse of T.

    The loss is convex in β = 1/T: its derivative is the mean of Σ p_k z_k − z_label, its second the mean variance of z
    under p.

    Raises
    ------
    ValueError : fewer than one image, or every answer is right by so much that no finite T is best

    >>> round(temperature(torch.tensor([[2.0, 0.0]] * 3 + [[0.0, 2.0]]), torch.zeros(4, dtype=torch.int64)), 4)
    1.8205
    """
    z = scores.double()
    if not len(z):
        raise ValueError("there is no image to calibrate on: pass a validation part")
    own = z.gather(1, labels[:, None]).squeeze(1)
    if bool((own >= z.max(1).values).all()):
        raise ValueError("every image is classified rightly, so any confidence would do: calibrate on more images")
    beta = torch.ones((), dtype=torch.float64)
    for _ in range(100):
        p = F.softmax(beta * z, 1)
        mean = (p * z).sum(1)
        step = (mean - own).mean() / ((p * z**2).sum(1) - mean**2).mean()
        new = torch.clamp(beta - step, beta / 2, beta * 2)   # Newton overshoots where p is nearly certain
        if abs(new - beta) < 1e-12 * beta:
            break
        beta = new
    return 1 / beta.item()


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Return the sum over bins of |accuracy − confidence| × share: Guo et al. 2017, eq. 3."""
    counts, accuracies, confidences = reliability(probabilities, labels, bins)
    return (counts * (accuracies - confidences).abs()).sum().item() / len(labels)


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 15) -> tuple[Tensor, Tensor, Tensor]:
    """Return images, accuracy and mean confidence, (bins,) each, of equally wide bins of the largest probability."""
    confidence, answer = probabilities.double().max(1)
    which = (confidence * bins).ceil().long().clamp(1, bins) - 1
    counts, right, sums = (torch.zeros(bins, dtype=torch.float64).index_add_(0, which, values)
                           for values in (torch.ones_like(confidence), (answer == labels).double(), confidence))
    return counts, right / counts.clamp(min=1), sums / counts.clamp(min=1)


def max_probability(scores: Tensor) -> Tensor:
    """Return the largest probability (N,) of logits (N, K)."""
    return F.softmax(scores.double(), 1).max(1).values


def energy(scores: Tensor) -> Tensor:
    """Return ln Σ exp z_k (N,) of logits (N, K): minus the paper's free energy, so that larger is more familiar."""
    return torch.logsumexp(scores.double(), 1)


CONFIDENCES: dict[str, Callable[[Tensor], Tensor]] = {"max_probability": max_probability, "energy": energy}


def auroc(known: Tensor, unknown: Tensor) -> float:
    """Return the chance that a known image has more confidence than an unknown one, ties counted half.

    >>> auroc(torch.tensor([3.0, 2.0]), torch.tensor([1.0, 2.0]))
    0.875
    """
    ordered = unknown.sort().values
    below, upto = (torch.searchsorted(ordered, known, side=side) for side in ("left", "right"))
    return ((below + upto).double().mean() / (2 * len(unknown))).item()


def threshold(known: Tensor, kept: float) -> float:
    """Return the largest confidence that at least a part `kept` of the known images reaches.

    >>> threshold(torch.arange(1.0, 101.0), 0.95)
    6.0
    """
    ordered = known.sort(descending=True).values
    return ordered[max(1, -int(-kept * len(known) // 1)) - 1].item()


def false_positives(known: Tensor, unknown: Tensor, kept: float = 0.95) -> float:
    """Return the part of unknown images that reach the threshold which `kept` of the known ones reach: FPR95."""
    return (unknown >= threshold(known, kept)).double().mean().item()


def coverage_risk(scores: Tensor, labels: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for the n most confident answers, n over all and the part of them that is wrong, (N,) each."""
    order = confidence.argsort(descending=True)
    wrong = (scores.argmax(1) != labels)[order].double().cumsum(0)
    n = torch.arange(1, len(labels) + 1)
    return n / len(labels), wrong / n
