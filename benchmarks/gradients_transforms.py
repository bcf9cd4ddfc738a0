"""Which transforms of torch each differentiable SIFT allows: tried for real, and held against plain autograd.

    three weights → photograph + Σ weight · noise → outputs → one number of each output, in float64

"yes" says that the transform ran and agrees with row by row autograd, or what it says of itself; anything else is
the first line of the error.  `compile` asks for one graph by the backend aot_eager, which traces and differentiates
but leaves out the C++ compiler.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.differentiable import Detect, present
from benchmarks.photographs import PHOTOGRAPHS

SLOTS, SIDE = 4, 32
_CLOSE = 1e-6                                           # of the largest entry
Function = Callable[[Tensor], Tensor]


def table() -> dict[str, dict[str, str]]:
    """Contestant → transform → "yes" or why not."""
    rows = {c.name: {name: attempt(check, numbers_of(c.build(SLOTS, "cpu"))) for name, check in TRANSFORMS.items()}
            for c in present()}
    print(f"\n{'transform':<18}" + "".join(f"{name:<20}" for name in rows))
    for transform in TRANSFORMS:
        print(f"{transform:<18}" + "".join(f"{'yes' if rows[n][transform] == 'yes' else 'no':<20}" for n in rows))
    for name, row in rows.items():
        for transform, answer in row.items():
            if answer != "yes":
                print(f"{name}, {transform}: {answer}")
    return rows


def numbers_of(detect: Detect) -> Function:
    """Weights (3,) → one number of each output of the images that they mix."""
    photograph = torch.from_numpy(PHOTOGRAPHS["cameraman"]()[100:100 + SIDE, 200:200 + SIDE, 0] / 255.0)
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(3, SIDE, SIDE, generator=random, dtype=torch.float64)
    dither = torch.rand(SIDE, SIDE, generator=random, dtype=torch.float64) / 255        # so that no two pixels tie

    def numbers(weights: Tensor) -> Tensor:
        image = photograph + dither + 1e-3 * torch.tensordot(weights, noise, 1)
        outputs = detect(image[None, None])
        return torch.stack([out.flatten() @ torch.linspace(1, 2, out.numel(), dtype=out.dtype) for out in outputs])
    return numbers


def attempt(check: Callable[[Function], None], function: Function) -> str:
    """Return "yes", or the first line of what it raised."""
    try:
        check(function)
    except Exception as error:                          # whatever a library raises is the answer
        first = next(iter(str(error).strip().splitlines()), "")
        return f"{type(error).__name__}: {first}"
    return "yes"


def by_rows(function: Function) -> Tensor:
    """The Jacobian at 0, (n, 3), by one backward pass a row."""
    weights = _zero().requires_grad_()
    return torch.stack([torch.autograd.grad(out, weights, retain_graph=True)[0] for out in function(weights)])


def _zero() -> Tensor:
    return torch.zeros(3, dtype=torch.float64)


def _agree(found: Tensor, expected: Tensor) -> None:
    if not (torch.isfinite(found).all() and expected.norm() > 0):
        raise ArithmeticError("not finite, or 0 throughout")
    off = float(((found - expected).abs().max() / expected.abs().max()).detach())
    if off > _CLOSE:
        raise ArithmeticError(f"ran, but is off autograd by {off:.1e} of the largest entry")


def _float64(function: Function) -> None:
    out = function(_zero())
    if out.dtype != torch.float64:
        raise TypeError(f"returns {out.dtype}")
    _agree(by_rows(function), by_rows(function))


def _vmap(function: Function) -> None:
    several = torch.eye(3, dtype=torch.float64)[:2]
    _agree(torch.func.vmap(function)(several), torch.stack([function(weights) for weights in several]))


def _jvp(function: Function) -> None:
    along = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    _agree(torch.func.jvp(function, (_zero(),), (along,))[1], by_rows(function) @ along)


def _hessian(function: Function) -> None:
    found = torch.func.hessian(lambda weights: function(weights).sum())(_zero())
    _agree(found, _second(function))


def _second(function: Function) -> Tensor:
    """Second derivatives of the sum, (3, 3), by backward through backward."""
    weights = _zero().requires_grad_()
    gradient, = torch.autograd.grad(function(weights).sum(), weights, create_graph=True)
    return torch.stack([torch.autograd.grad(g, weights, retain_graph=True)[0] for g in gradient])


def _gradgrad(function: Function) -> None:
    second = _second(function)
    _agree(second, second.T)


def _compile(function: Function) -> None:
    torch._dynamo.reset()
    _agree(by_rows(torch.compile(function, fullgraph=True, backend="aot_eager")), by_rows(function))


TRANSFORMS: dict[str, Callable[[Function], None]] = {
    "float64": _float64,
    "gradgrad": _gradgrad,
    "vmap": _vmap,
    "jacrev": lambda function: _agree(torch.func.jacrev(function)(_zero()), by_rows(function)),
    "jacfwd": lambda function: _agree(torch.func.jacfwd(function)(_zero()), by_rows(function)),
    "jvp": _jvp,
    "hessian": _hessian,
    "compile": _compile,
}
