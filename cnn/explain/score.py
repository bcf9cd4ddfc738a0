"""What is explained: the logit of one class an image, summed over the batch, which keeps the images apart.

    model, images, target  →  logits (B, classes)  →  one logit an image  →  their sum

A softmax behind the logits would mix all classes into the explanation of one, and a sure answer would have no
gradient left, so probabilities are refused.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Target = int | Sequence[int] | Tensor | None


@contextmanager
def answering(model: nn.Module) -> Iterator[None]:
    """Eval mode and gradients on, whatever mode or no_grad we are in; afterwards each module's mode is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    with torch.inference_mode(False), torch.enable_grad():
        try:
            model.eval()
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def as_leaf(images: Tensor) -> Tensor:
    """A copy of the images with respect to which derivatives can be taken.

    Raises
    ------
    TypeError, ValueError : no floating tensor of the shape (B, C, H, W), or not finite.
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        raise TypeError(f"images is a {getattr(images, 'dtype', type(images).__name__)}: give a tensor of floats, "
                        "normalised as in training")
    if images.dim() != 4:
        raise ValueError(f"images has the shape {tuple(images.shape)}: give (B, C, H, W), images[None] for a single "
                         "one")
    if not images.isfinite().all():
        raise ValueError("images holds NaN or inf: a map of it would be NaN throughout")
    return images.detach().clone().requires_grad_()


def score(model: nn.Module, images: Tensor, target: Target) -> Tensor:
    """Sum of one logit an image, a scalar.

    Raises
    ------
    ValueError : the model's answer is not (B, classes), or is one of probabilities; target does not fit it.
    """
    logits = model(images)
    check_logits(logits)
    return logits.gather(1, classes(logits, target)[:, None]).sum()


def check_logits(logits: Tensor) -> None:
    """Refuse what is no table of logits.

    Raises
    ------
    ValueError : another shape than (B, classes), probabilities, or their logarithms.
    """
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(f"the model answers with {shape}, not (B, classes): wrap it in a module that returns the "
                         "logits")
    values = logits.detach()
    if values.shape[1] > 1:
        likely = (values >= 0).all() and ((values.sum(1) - 1).abs() < 1e-3).all()
        log_likely = (values <= 0).all() and (values.logsumexp(1).abs() < 1e-3).all()
        if likely or log_likely:
            raise ValueError("the model answers with probabilities, not logits: take its softmax off (for example "
                             "model[:-1]), because a sure answer has no gradient and a class would be explained by "
                             "all others")


def classes(logits: Tensor, target: Target) -> Tensor:
    """The class that is explained of each image: (B,) int64; None takes the largest logit.

    Raises
    ------
    ValueError : a class that there is not, or another number of classes than images.

    Examples
    --------
    >>> classes(torch.tensor([[0.0, 2.0], [5.0, 1.0]]), None)
    tensor([1, 0])
    """
    if target is None:
        return logits.detach().argmax(1)
    chosen = torch.as_tensor(target, device=logits.device)
    if chosen.dtype == torch.bool or chosen.is_floating_point():
        raise ValueError(f"target={target!r} must be whole numbers: one class, or one an image")
    chosen = chosen.reshape(-1).expand(len(logits)) if chosen.numel() == 1 else chosen
    if chosen.shape != (len(logits),):
        raise ValueError(f"target has the shape {tuple(chosen.shape)} for {len(logits)} images: give one class, or "
                         "one an image")
    wrong = chosen[(chosen < 0) | (chosen >= logits.shape[1])]
    if len(wrong):
        raise ValueError(f"target={int(wrong[0])} is no class: the model has {logits.shape[1]}, counted from 0")
    return chosen.long()


def derivative(total: Tensor, at: Tensor) -> Tensor:
    """∂ total / ∂ at; parameters collect no gradient.

    Raises
    ------
    ValueError : the model cut the graph in between.
    """
    found = None
    if total.requires_grad:
        found, = torch.autograd.grad(total, at, allow_unused=True)
    if found is None:
        raise ValueError("the logits do not depend on this layer or image by a graph of derivatives: the model's "
                         "forward detaches, or runs under torch.no_grad or through NumPy; take that out")
    return found
