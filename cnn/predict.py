"""Which digit a picture shows, or that it shows none.

    picture  →  MNIST's frame  →  logits z  →  p = softmax(z / T)  →  the largest p, or no answer below the threshold

The network comes with the package: LeNet on MNIST, float16, beside it temperature T and threshold that `cnnlab eval`
found on the validation part.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from cnn import data
from cnn.checkpoint import load_weights
from cnn.evaluate import logits
from cnn.frame import frame, read
from cnn.manifest import read_json
from cnn.recipes import Recipe, build

BUNDLED = Path(__file__).parent / "trained" / "lenet_mnist"
_SCORE = "max_probability"


@dataclass(frozen=True)
class Answer:
    """What the network says of one picture."""

    digit: int | None                                        # None: no digit
    probabilities: list[float]                               # (10,), calibrated
    confidence: float                                        # the largest probability
    threshold: float                                         # below it there is no answer
    seen: np.ndarray                                         # (28, 28) uint8, what the network was given


class Reader:
    """A trained network with its calibration."""

    def __init__(self, run: str | Path = BUNDLED):
        """Load a run's folder, or the network of the package.

        Raises
        ------
        OSError : the folder holds no finished, evaluated run
        ValueError : the run was not trained on MNIST
        """
        folder = Path(run)
        self.recipe = Recipe(**read_json(folder / "manifest.json")["recipe"])
        if self.recipe.dataset != "mnist":
            raise ValueError(f"{folder} knows {data.known(self.recipe.dataset).title}, not digits: pass a run on mnist")
        evaluation = read_json(folder / "evaluation.json")
        self.temperature = evaluation["temperature"]
        self.threshold = evaluation["thresholds"][_SCORE]
        self.model = load_weights(build(self.recipe), folder / "weights.npz")

    def answer(self, path: str | Path) -> Answer:
        """Say which digit a picture shows.

        Raises
        ------
        OSError : it cannot be read
        ValueError : nothing is drawn on it
        """
        try:
            seen = frame(read(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        scores = logits(self.model, torch.from_numpy(seen)[None, None], data.known(self.recipe.dataset))
        probabilities = F.softmax(scores.double() / self.temperature, 1)[0]
        confidence = probabilities.max().item()
        digit = int(probabilities.argmax()) if confidence >= self.threshold else None
        return Answer(digit, [round(p, 6) for p in probabilities.tolist()], confidence, self.threshold, seen)
