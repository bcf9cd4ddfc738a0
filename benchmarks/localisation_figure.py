"""The figure of the localisation benchmark: a panel an implementation, error over true scale."""
from __future__ import annotations

import numpy as np

_COLUMNS = 6
_KINDS = (("error in x, y [px]", (-0.35, 0.55)), ("error in σ [%]", (-4, 12)))


def draw(sigmas: np.ndarray, errors: dict[str, np.ndarray]):
    """Draw mean and 95 % interval of x, y and σ; returns the matplotlib Figure.

    Parameters
    ----------
    sigmas : (scales,), the true ones, input pixels
    errors : name → (scales, centres, 3), input pixels; NaN is a miss
    """
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    groups = -(-len(errors) // _COLUMNS)
    figure, axes = plt.subplots(2 * groups, _COLUMNS, figsize=(2.4 * _COLUMNS, 4.2 * groups), sharex=True,
                                sharey="row", squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set_visible(False)
    for n, (name, error) in enumerate(errors.items()):
        for kind, (label, limits) in enumerate(_KINDS):
            ax = axes[2 * (n // _COLUMNS) + kind, n % _COLUMNS]
            _panel(ax, sigmas, error, kind)
            ax.set_ylim(limits)
            if n % _COLUMNS == 0:
                ax.set_ylabel(label)
            if kind == 0:
                missed = np.isnan(error[..., 0])
                ax.set_title(f"{name}\n{missed.sum()} of {missed.size} missed", fontsize=9)
            else:
                ax.set_xlabel("true σ [px]")
    axes[0, 0].legend(loc="upper left", fontsize=8, ncols=2)
    figure.suptitle("A Gaussian blob found again: mean error and 95 % of the blobs; "
                    "dotted: +¼ px; grey lines: borders of octaves", fontsize=11)
    return figure


def _panel(ax, sigmas: np.ndarray, error: np.ndarray, kind: int) -> None:
    ax.set_visible(True)
    ax.set_xscale("log", base=2)
    ax.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    ax.tick_params(labelbottom=True)
    for border in 1.6 * 2.0 ** (np.arange(3) + 1 / 6):
        ax.axvline(border, color="0.85", lw=0.8)
    ax.axhline(0, color="black", lw=0.8)
    if kind == 0:
        ax.axhline(0.25, color="black", lw=0.8, ls=":")
        _band(ax, sigmas, error[..., 0], "tab:blue", "x")
        _band(ax, sigmas, error[..., 1], "tab:orange", "y")
    else:
        _band(ax, sigmas, 100 * error[..., 2] / sigmas[:, None], "tab:green", "σ")


def _band(ax, sigmas: np.ndarray, values: np.ndarray, colour: str, label: str) -> None:
    seen = ~np.isnan(values).all(axis=1)
    low, high = np.nanpercentile(values[seen], [2.5, 97.5], axis=1)
    ax.fill_between(sigmas[seen], low, high, color=colour, alpha=0.25, lw=0)
    ax.plot(sigmas[seen], np.nanmean(values[seen], axis=1), color=colour, lw=1.3, label=label)
