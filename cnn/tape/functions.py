"""What nets are made of, as formulas over the operations; the tape differentiates them, so there are no rules here.

imports: engine, elementwise, shaping, reductions
"""
from __future__ import annotations

import numpy as np

from cnn.tape.elementwise import exp, log, power
from cnn.tape.engine import Tensor
from cnn.tape.reductions import matmul, mean_over, sum_over
from cnn.tape.shaping import index, reshape, transpose


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x Wᵀ + b: x (N, n), weight (m, n), bias (m,) → (N, m)."""
    return matmul(x, transpose(weight, axes=(1, 0))) + bias


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Return log(eˣ/Σeˣ) = z − log Σeᶻ with z = x − max x, so that nothing overflows.

    The maximum is held fixed: the value does not depend on it, so neither does the derivative.

    >>> log_softmax(Tensor([1000.0, 1000.0])).data.round(4)
    array([-0.6931, -0.6931])
    """
    z = x - x.data.max(axis, keepdims=True)
    return z - log(sum_over(exp(z), axis, keepdims=True))


def cross_entropy(logits: Tensor, labels) -> Tensor:
    """Return −1/N·Σ_n log softmax(logits)[n, label n], in nats.

    Parameters
    ----------
    logits : (N, classes)
    labels : (N,) whole numbers in [0, classes)

    Returns
    -------
    Tensor of shape ()

    Raises
    ------
    ValueError : labels that are not whole numbers, not one an example, or name no class

    >>> cross_entropy(Tensor(np.zeros((2, 4))), [0, 3])                    # log 4
    Tensor(1.38629436)
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.shape != logits.shape[:1]:
        raise ValueError(f"labels of {labels.dtype} {labels.shape} for logits {logits.shape}: "
                         "give one whole number an example")
    if labels.size and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}: there are {logits.shape[1]} classes, from 0")
    return -mean_over(index(log_softmax(logits), key=(np.arange(len(labels)), labels)))


def normalise(x: Tensor, mean, variance, gain: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Return (x − mean)/√(variance + eps)·gain + bias, channel by channel: x (N, C, H, W), the others (C,).

    Source: S. Ioffe, C. Szegedy, Batch Normalization, arXiv:1502.03167, Alg. 1.
    """
    mean, variance, gain, bias = (reshape(t, shape=(1, -1, 1, 1)) for t in (mean, variance, gain, bias))
    return (x - mean) * power(variance + eps, exponent=-0.5) * gain + bias


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance (over n, not n − 1) of each channel: (N, C, H, W) → (C,), (C,)."""
    mean = mean_over(x, (0, 2, 3), keepdims=True)
    deviation = x - mean
    return reshape(mean, shape=(-1,)), mean_over(deviation * deviation, (0, 2, 3))


def dropout(x: Tensor, p: float, rng: np.random.Generator) -> Tensor:
    """Set each entry to 0 with probability p, and divide the others by 1 − p, which keeps the mean.

    Source: N. Srivastava et al., Dropout, JMLR 15 (2014) 1929, §10 (scaled in training, not in use).
    """
    kept = rng.random(x.shape) >= p
    return x * (kept / (1 - p)).astype(x.dtype)
