"""Train a network, in steps that are each a function of the recipe and the step's number.

    recipe, step  →  seed  →  batch, augmentation, dropout  →  loss  →  update

So a run that was stopped after any step and resumed ends with the bits of one that was not; on a GPU, where sums are
taken in an order that changes and convolutions in bfloat16, with nearly the same numbers.  A folder holds a run:

    checkpoint.pt    weights, optimiser, step, curves: what resuming needs
    weights.npz      the weights alone, float16
    answers.npz      logits and labels of the validation and the test part, so that nothing asks for the latter again
    manifest.json    recipe, cost, machine, versions, curves, accuracies
"""
from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnn import data, manifest
from cnn.augment import AUGMENTATIONS, broken
from cnn.checkpoint import save_answers, save_weights
from cnn.evaluate import accuracy, logits
from cnn.interrupt import Interruption
from cnn.models import summary
from cnn.parallel import Processes, joined
from cnn.progress import Bar
from cnn.recipes import OPTIMISERS, Recipe, build, rate_at

_SAVE_EVERY = 60.0                                           # s between checkpoints inside an epoch


class Interrupted(Exception):
    """The run was stopped; its checkpoint is kept."""


@dataclass
class State:
    """Where a run is: everything that its checkpoint holds."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0                                     # of training, over all sessions
    loss: float = 0.0                                        # summed over the images of this epoch
    correct: float = 0.0
    curves: dict[str, list[float]] = field(default_factory=lambda: {
        "loss": [], "train_accuracy": [], "validation_loss": [], "validation_accuracy": []})

    def dump(self, recipe: Recipe) -> dict:
        """Return what `torch.save` writes."""
        plain = {name: getattr(self, name) for name in ("step", "seconds", "loss", "correct", "curves")}
        return {"recipe": asdict(recipe), "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(), **plain}

    def load(self, saved: dict, recipe: Recipe, path: Path) -> None:
        """Go on from a checkpoint."""
        theirs = asdict(Recipe(**saved["recipe"]))           # a field that came later has its default
        if theirs != asdict(recipe):
            other = {k: v for k, v in theirs.items() if v != getattr(recipe, k)}
            raise ValueError(f"{path} is of another run, with {other}: choose another folder with -o, or the same "
                             "options")
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        for name in ("step", "seconds", "loss", "correct", "curves"):
            setattr(self, name, saved[name])


def train(recipe: Recipe, folder: str | Path, *, files: str | Path | None = None, device: str = "cpu",
          say: Callable[[str], object] = lambda line: None) -> dict:
    """Train, or go on training, and return the manifest.

    Parameters
    ----------
    recipe : what to train
    folder : of the run; one that holds a checkpoint of the same recipe is resumed, a finished run is returned as it is
    files : folder of the data set, see `cnn.data.load`
    device : "cpu", or "cuda" for one process on a GPU
    say : called with a line an epoch

    Raises
    ------
    Interrupted : Ctrl-C; the checkpoint holds the last finished step
    ValueError : the folder holds a run of another recipe, or the device cannot be had
    OSError : the data cannot be read, or the folder not be written
    """
    folder = Path(folder)
    with joined() as processes, Interruption() as interruption:
        place = processes.device(device)
        layout = torch.channels_last if place.type == "cuda" else torch.contiguous_format     # as tensor cores read
        model = build(recipe).to(place, memory_format=layout)
        state = State(model, OPTIMISERS[recipe.optimiser](model.parameters(), recipe.rate, recipe.decay))
        path = folder / "checkpoint.pt"
        if path.exists():
            state.load(torch.load(path, weights_only=True, map_location=place), recipe, path)
        if (folder / "manifest.json").exists():
            return manifest.read_json(folder / "manifest.json")
        if not processes.is_first:                           # the first one downloads
            processes.wait()
        parts = [data.load(recipe.dataset, part, files) for part in ("train", "validation")]
        if processes.is_first:
            processes.wait()
        if len(parts[0].first(recipe.limit)) < recipe.batch:
            raise ValueError(f"a batch of {recipe.batch} is more than the {len(parts[0].first(recipe.limit))} training "
                             "images: lower --batch")
        run = Run(recipe, folder, parts[0].first(recipe.limit).to(place), parts[1], place, processes, interruption, say)
        run.go(state)
        return run.finish(state, files)


@dataclass
class Run:
    """A recipe at work."""

    recipe: Recipe
    folder: Path
    images: data.Images
    validation: data.Images
    device: torch.device
    processes: Processes
    interruption: Interruption
    say: Callable[[str], object]

    def go(self, state: State) -> None:
        """Take the steps that are left."""
        model = self.processes.wrap(state.model)
        per_epoch = len(self.images) // self.recipe.batch    # the last, smaller batch is left out
        steps = per_epoch * self.recipe.epochs
        saved = time.monotonic()
        with Bar(steps, f"{self.recipe.model} seed {self.recipe.seed}", "step", state.step) as bar:
            while state.step < steps:
                start = time.monotonic()
                self.take_step(model, state, per_epoch, steps)
                state.seconds += time.monotonic() - start
                bar.update(note=f"loss {state.loss / ((state.step - 1) % per_epoch + 1) / self.recipe.batch:.3f}")
                if state.step % per_epoch == 0:
                    self.end_epoch(state, per_epoch)
                stop = self.processes.any(self.interruption.asked)
                if stop or state.step % per_epoch == 0 or time.monotonic() - saved > _SAVE_EVERY:
                    self.save(state)
                    saved = time.monotonic()
                if stop and state.step < steps:
                    raise Interrupted(f"stopped after step {state.step} of {steps}; the same command goes on from "
                                      f"{self.folder / 'checkpoint.pt'}")

    def take_step(self, model: nn.Module, state: State, per_epoch: int, steps: int) -> None:
        """Draw the step's batch, follow its gradient."""
        epoch, index = divmod(state.step, per_epoch)
        order = _shuffled(len(self.images), self.recipe.seed, epoch)
        batch = self.processes.part(order[index * self.recipe.batch:(index + 1) * self.recipe.batch])
        torch.manual_seed(_step_seed(self.recipe.seed, state.step, self.processes.rank))
        images = AUGMENTATIONS[self.recipe.augment](self.images.images[batch].float() / 255)
        labels = self.images.labels[batch]
        for group in state.optimiser.param_groups:
            group["lr"] = rate_at(self.recipe, state.step, steps)
        model.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            scores = model(data.normalise(images, data.known(self.recipe.dataset)))
            loss = F.cross_entropy(scores, labels, label_smoothing=self.recipe.smoothing)
            if self.recipe.exposure:
                loss = loss + self.recipe.exposure * self.unknown_loss(model, images)
        state.optimiser.zero_grad()
        loss.backward()
        state.optimiser.step()
        value = loss.item()
        if not value < 1e30:                                 # NaN too
            raise ValueError(f"the loss is {value} at step {state.step}: lower --rate, {self.recipe.rate} is too high")
        state.loss += value * len(batch)
        state.correct += (scores.argmax(1) == labels).sum().item()
        state.step += 1

    def unknown_loss(self, model: nn.Module, images: Tensor) -> Tensor:
        """Return the cross-entropy between equal probabilities and the answers to digits that were broken.

        [Hendrycks, Mazeika, Dietterich 2019, "Deep anomaly detection with outlier exposure", §3], but with outliers
        made of the digits themselves, so that letters, scribbles and garments stay unseen.
        """
        strange = broken(images[:len(images) // 2])
        scores = model(data.normalise(strange, data.known(self.recipe.dataset)))
        return -F.log_softmax(scores, 1).mean()

    def end_epoch(self, state: State, per_epoch: int) -> None:
        """Look at the validation part and write the curves on."""
        n = per_epoch * self.recipe.batch
        loss, correct = self.processes.total([state.loss, state.correct])
        scores = logits(state.model, self.validation.images, data.known(self.recipe.dataset))
        for name, value in (("loss", loss / n), ("train_accuracy", correct / n),
                            ("validation_loss", F.cross_entropy(scores, self.validation.labels).item()),
                            ("validation_accuracy", accuracy(scores, self.validation.labels))):
            state.curves[name].append(round(value, 6))
        state.loss = state.correct = 0.0
        if self.processes.is_first:
            latest = "  ".join(f"{name.replace('_', ' ')} {values[-1]:.4f}" for name, values in state.curves.items())
            self.say(f"epoch {len(state.curves['loss'])}/{self.recipe.epochs}  {latest}  {state.seconds:.0f} s")

    def save(self, state: State) -> None:
        """Write the checkpoint, whole or not at all."""
        if self.processes.is_first:
            with manifest.replacing(self.folder / "checkpoint.pt") as part:
                torch.save(state.dump(self.recipe), part)

    def finish(self, state: State, files: str | Path | None) -> dict:
        """Look at the test part, once, and write weights and manifest."""
        source = data.known(self.recipe.dataset)
        record: dict = {}
        if self.processes.is_first:
            test = data.load(self.recipe.dataset, "test", files)
            answers = {"validation": (logits(state.model, self.validation.images, source), self.validation.labels),
                       "test": (logits(state.model, test.images, source), test.labels)}
            layers = summary(state.model, (source.channels, source.size, source.size))
            used = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
            record = {
                "date": datetime.date.today().isoformat(), "recipe": asdict(self.recipe),
                "processes": self.processes.count, "parameters": sum(layer.parameters for layer in layers),
                "multiply_adds": sum(layer.multiply_adds for layer in layers),
                "images": {"train": len(self.images), "validation": len(self.validation), "test": len(test)},
                "train_seconds": round(state.seconds, 1), "curves": state.curves,
                **{f"{part}_accuracy": round(accuracy(*answer), 6) for part, answer in answers.items()},
                "device": used, "machine": manifest.machine()}
            save_weights(state.model, self.folder / "weights.npz")
            save_answers(answers, self.folder / "answers.npz")
            manifest.write_json(self.folder / "manifest.json", record)
        self.processes.wait()
        return record


@lru_cache(maxsize=1)                                        # every step of an epoch asks for it
def _shuffled(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(_step_seed(seed, epoch, -1)))


def _step_seed(seed: int, step: int, rank: int) -> int:
    """Return a seed that no other (seed, step, rank) of a sane run has."""
    return (seed * 1_000_003 + step) * 1_009 + rank + 1
