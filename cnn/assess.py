"""What a finished run is worth: accuracy with its interval, each class, calibration, and images that it never met.

    answers.npz (validation)  →  temperature, thresholds
    answers.npz (test)        →  accuracy, recall of each class, calibration error before and after
    test logits beside those of unknown images  →  AUROC and FPR95 of each confidence

The temperature and the thresholds come from the validation part alone; the test part is not asked again, its logits
were kept when the run ended.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from cnn import calibrate, data, unknown
from cnn.checkpoint import load_answers, load_weights
from cnn.evaluate import accuracy, logits, wilson
from cnn.manifest import read_json, write_json
from cnn.recipes import Recipe, build

_DRAWN = 2000                                                # unknown images of each kind that is drawn
_SEED = 11


def assess(run: str | Path, files: str | Path | None = None) -> dict:
    """Assess a run, write its evaluation.json and return that.

    Parameters
    ----------
    run : folder of a finished run
    files : folder of Fashion-MNIST, for the runs on MNIST; None downloads it

    Raises
    ------
    OSError : the run is not finished, or Fashion-MNIST cannot be read
    """
    folder = Path(run)
    recipe = Recipe(**read_json(folder / "manifest.json")["recipe"])
    answers = load_answers(folder / "answers.npz")
    heat = 1.0                                               # all right: the loss has no minimum, leave it alone
    if accuracy(*answers["validation"]) < 1:
        heat = calibrate.temperature(*answers["validation"])
    scores, labels = answers["test"]
    record = {
        "test_accuracy": accuracy(scores, labels), "test_interval": wilson(accuracy(scores, labels), len(labels)),
        "validation_accuracy": accuracy(*answers["validation"]),
        "recall": recalls(scores, labels, data.known(recipe.dataset).classes),
        "temperature": heat,
        "calibration_error": {"before": calibrate.calibration_error(F.softmax(scores, 1), labels),
                              "after": calibrate.calibration_error(F.softmax(scores / heat, 1), labels)},
        "kept": calibrate.KEPT,
        "thresholds": {name: calibrate.threshold(confidence(answers["validation"][0]), calibrate.KEPT)
                       for name, confidence in confidences(heat).items()}}
    if recipe.dataset == "mnist":
        model = load_weights(build(recipe), folder / "weights.npz")
        strange = {kind: logits(model, images, data.known("mnist")) for kind, images in strangers(files).items()}
        record["unknown"] = {kind: telling_apart(scores, other, record["thresholds"], heat)
                             for kind, other in strange.items()}
    write_json(folder / "evaluation.json", record)
    return record


def examples(run: str | Path, files: str | Path | None, n: int = 5) -> tuple:
    """Return `n` images of the validation part, drawn at random, their labels, probabilities and all class names."""
    folder = Path(run)
    recipe = Recipe(**read_json(folder / "manifest.json")["recipe"])
    source = data.known(recipe.dataset)
    part = data.load(recipe.dataset, "validation", files)
    chosen = np.random.default_rng(_SEED).choice(len(part), n, replace=False)
    model = load_weights(build(recipe), folder / "weights.npz")
    scores = logits(model, part.images[chosen], source) / read_json(folder / "evaluation.json")["temperature"]
    return part.images[chosen], part.labels[chosen], F.softmax(scores, 1), source.classes


def confidences(heat: float) -> dict:
    """Return the measures of confidence: the largest probability after calibration, the energy as the paper has it."""
    hot = {"max_probability": lambda scores: calibrate.max_probability(scores / heat)}
    return {**calibrate.CONFIDENCES, **hot}


def recalls(scores: Tensor, labels: Tensor, classes: tuple[str, ...]) -> dict[str, float]:
    """Return of each class the part that was recognised."""
    right = scores.argmax(1) == labels
    return {name: right[labels == k].double().mean().item() for k, name in enumerate(classes)}


def strangers(files: str | Path | None) -> dict[str, Tensor]:
    """Return the images that are no digit, by kind."""
    rng = np.random.default_rng(_SEED)
    drawn = {kind: draw(_DRAWN, rng) for kind, draw in unknown.DRAWN.items()}
    return {**drawn, "fashion": unknown.fashion(files)}


def telling_apart(known: Tensor, strange: Tensor, thresholds: dict[str, float], heat: float) -> dict[str, dict]:
    """Return for each confidence how well it tells known logits from strange ones."""
    result = {}
    for name, confidence in confidences(heat).items():
        a, b = confidence(known), confidence(strange)
        result[name] = {"auroc": calibrate.auroc(a, b), "fpr95": calibrate.false_positives(a, b),
                        "answered": (b >= thresholds[name]).double().mean().item(),
                        "known_answered": (a >= thresholds[name]).double().mean().item()}
    return result
