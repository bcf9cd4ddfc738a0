"""The figures of the commands.  Each returns a matplotlib Figure, made without a window."""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cnn.calibrate import coverage_risk, max_probability, reliability

BLUE, GREEN, RED, GREY = "#2a6fb0", "#2e8b57", "#c0392b", "#9aa5b1"


def blank(rows: int, columns: int, width: float, height: float):
    """Make a figure with (rows, columns) axes; width and height in inches.

    Raises
    ------
    ImportError : matplotlib is not installed
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('figures need matplotlib: pip install "siftgrad[plot]"') from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def answers(answered: list[tuple[str, object]]):
    """Draw pictures as the network saw them over bars of the classes: a list of (title, cnn.predict.Answer)."""
    figure, axes = blank(2, len(answered), max(4.0, 1.9 * len(answered)), 4.2)
    for column, (title, answer) in enumerate(answered):
        verdict = "no digit" if answer.digit is None else f"a {answer.digit}"
        axes[0, column].imshow(answer.seen, cmap="gray", vmin=0, vmax=255)
        axes[0, column].set(title=f"{title}\n{verdict}", xticks=[], yticks=[])
        colours = [GREY if answer.digit is None else GREEN if k == answer.digit else BLUE for k in range(10)]
        axes[1, column].bar(range(10), answer.probabilities, color=colours)
        axes[1, column].set(xticks=range(10), ylim=(0, 1), xlabel="class",
                            title=f"confidence {answer.confidence:.2f}\nneeded {answer.threshold:.2f}")
        axes[1, column].tick_params(labelsize=7)
        axes[1, column].title.set_fontsize(8)
    axes[1, 0].set_ylabel("probability")
    return figure


def predictions(images: Tensor, labels: Tensor, probabilities: Tensor, classes: tuple[str, ...]):
    """Draw images over bars of the classes: the true one green, a wrong answer red.  (N, 1 or 3, H, W) uint8."""
    figure, axes = blank(2, len(images), 2.0 * len(images), 4.2)
    for column, (image, label, p) in enumerate(zip(images, labels.tolist(), probabilities)):
        answer = int(p.argmax())
        axes[0, column].imshow(image.permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray")
        axes[0, column].set(title=f"is {classes[label]}\nanswer {classes[answer]}", xticks=[], yticks=[])
        axes[0, column].title.set_fontsize(9)
        colours = [GREEN if k == label else RED if k == answer else BLUE for k in range(len(p))]
        axes[1, column].bar(range(len(p)), p.tolist(), color=colours)
        axes[1, column].set(xticks=range(len(p)), ylim=(0, 1), xlabel="class")
        axes[1, column].tick_params(labelsize=7)
    axes[1, 0].set_ylabel("probability")
    return figure


def evaluation(manifest: dict, record: dict, scores: Tensor, labels: Tensor):
    """Draw a run: curves, reliability before and after calibration, recall of each class, risk against coverage."""
    figure, axes = blank(1, 4, 15, 3.6)
    curves = manifest["curves"]
    epochs = range(1, len(curves["loss"]) + 1)
    axes[0, 0].plot(epochs, curves["train_accuracy"], color=GREY, label="training, augmented")
    axes[0, 0].plot(epochs, curves["validation_accuracy"], color=BLUE, label="validation")
    axes[0, 0].set(xlabel="epoch", ylabel="accuracy", title=f"test {100 * record['test_accuracy']:.2f} %")
    for heat, colour, name in ((1.0, GREY, "before"), (record["temperature"], BLUE, "after")):
        counts, right, confidence = reliability(torch.softmax(scores / heat, 1), labels, 10)
        shown = counts >= 10                                 # fewer images say nothing
        axes[0, 1].plot(confidence[shown].numpy(), right[shown].numpy(), "o-", color=colour,
                        label=f"{name}: error {100 * record['calibration_error'][name]:.2f} %")
    axes[0, 1].plot([0, 1], [0, 1], ":", color="black", linewidth=1)
    axes[0, 1].set(xlabel="confidence", ylabel="accuracy", title=f"calibration, T = {record['temperature']:.2f}")
    names, values = zip(*record["recall"].items())
    axes[0, 2].barh(range(len(names)), [100 * v for v in values], color=BLUE)
    axes[0, 2].set(yticks=range(len(names)), yticklabels=names, xlabel="recall [%]", title="classes",
                   xlim=(max(0, 100 * min(values) - 2), 100))
    axes[0, 2].invert_yaxis()
    coverage, risk = coverage_risk(scores, labels, max_probability(scores))
    axes[0, 3].plot(100 * coverage.numpy(), 100 * risk.numpy(), color=BLUE)
    axes[0, 3].set(xlabel="answered, the surest first [%]", ylabel="wrong of those [%]", title="risk and coverage")
    for ax in axes[0, :2]:
        ax.legend(fontsize=8)
    return figure


def comparison(rows: list[dict]):
    """Draw the training loss and the validation accuracy of each row of `cnn.compare.compare`, mean over seeds."""
    figure, axes = blank(1, 2, 10, 3.8)
    for k, row in enumerate(rows):
        for ax, key in zip(axes[0], ("loss", "validation_accuracy")):
            values = np.array(row["curves"][key])
            epochs = np.arange(1, len(values) + 1)
            ax.plot(epochs, values.mean(1), color=f"C{k}", label=row["name"])
            ax.fill_between(epochs, values.min(1), values.max(1), color=f"C{k}", alpha=0.2, linewidth=0)
    axes[0, 0].set(xlabel="epoch", ylabel="training loss", yscale="log")
    axes[0, 1].set(xlabel="epoch", ylabel="validation accuracy")
    axes[0, 1].legend(fontsize=8)
    return figure
