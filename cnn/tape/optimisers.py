"""Optimisers: how parameters follow their gradients.

imports: engine
"""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cnn.tape.engine import Tensor


class SGD:
    """Gradient descent with momentum and weight decay.

        g ← ∂loss/∂w + λ·w;    v ← μ·v + g, at first v = g;    w ← w − η·v

    Parameters
    ----------
    parameters : tensors that learn; one without a gradient stays as it is
    rate : η > 0
    momentum : μ in [0, 1)
    weight_decay : λ ≥ 0

    Source: I. Sutskever et al., On the importance of initialization and momentum, ICML 2013, eq. 1–2, in torch's form,
    which multiplies η last.

    >>> w = Tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> SGD([w], rate=0.25).step()
    >>> w
    Tensor([0.5])
    """

    def __init__(self, parameters: Iterable[Tensor], rate: float, momentum: float = 0.0, weight_decay: float = 0.0):
        self.parameters = list(parameters)
        self.rate, self.momentum, self.weight_decay = rate, momentum, weight_decay
        self.velocity: dict[Tensor, np.ndarray] = {}

    def step(self) -> None:
        """Move each parameter once; its gradient stays until it is zeroed."""
        for w in self.parameters:
            if w.grad is not None:
                g = w.grad.data + self.weight_decay * w.data
                v = self.velocity[w] = self.momentum * self.velocity[w] + g if w in self.velocity else g
                w.data = w.data - self.rate * v


class Adam:
    """Gradient descent on the scale of the gradient's own size.

        m ← β₁·m + (1 − β₁)·g;    v ← β₂·v + (1 − β₂)·g²;    w ← w − η·m̂/(√v̂ + ε)

    with m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ) at step t, which undo the start from 0.

    Parameters
    ----------
    parameters : tensors that learn; one without a gradient stays as it is
    rate : η > 0
    betas : β₁, β₂ in [0, 1)
    eps : ε > 0
    weight_decay : λ ≥ 0; λ·w is added to g

    Source: D. Kingma, J. Ba, Adam, arXiv:1412.6980, Alg. 1.
    """

    def __init__(self, parameters: Iterable[Tensor], rate: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.0):
        self.parameters = list(parameters)
        self.rate, self.betas, self.eps, self.weight_decay = rate, betas, eps, weight_decay
        self.moments: dict[Tensor, tuple[int, np.ndarray, np.ndarray]] = {}

    def step(self) -> None:
        """Move each parameter once; its gradient stays until it is zeroed."""
        beta1, beta2 = self.betas
        for w in self.parameters:
            if w.grad is not None:
                g = w.grad.data + self.weight_decay * w.data
                t, m, v = self.moments.get(w, (0, np.zeros_like(g), np.zeros_like(g)))
                t, m, v = t + 1, beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
                self.moments[w] = t, m, v
                m_hat, v_hat = m / (1 - beta1 ** t), v / (1 - beta2 ** t)
                w.data = w.data - self.rate * m_hat / (np.sqrt(v_hat) + self.eps)
