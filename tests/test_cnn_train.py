"""Training: repeatable to the bit, resumed to the bit, stopped by a real Ctrl-C, the same on two processes."""
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cnn import data, manifest, recipes
from cnn import train as training
from cnn.checkpoint import load_answers, load_weights
from cnn.evaluate import accuracy, logits
from cnn.recipes import Recipe, recipe

pytest_plugins = ["cnn_tiny"]
ROOT = Path(__file__).resolve().parent.parent
PLAN = Recipe("lenet", "mnist", seed=1, epochs=3, batch=50, augment="digits")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "lenet"
    torch.set_num_threads(1)
    return folder, training.train(PLAN, folder, files=tiny)


def weights(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)["model"]


def assert_same_weights(a, b, **tolerance):
    one, two = weights(a), weights(b)
    for name in one:
        torch.testing.assert_close(one[name], two[name], **(tolerance or {"atol": 0, "rtol": 0}))


def test_a_run_leaves_checkpoint_weights_answers_and_manifest(finished, tiny):
    folder, record = finished
    assert sorted(p.name for p in folder.iterdir()) == ["answers.npz", "checkpoint.pt", "manifest.json", "weights.npz"]
    assert record == manifest.read_json(folder / "manifest.json")
    assert record["recipe"] == asdict(PLAN) and record["parameters"] == 44_426
    assert record["images"] == {"train": 400, "validation": 100, "test": 100}
    assert {len(curve) for curve in record["curves"].values()} == {PLAN.epochs}
    assert record["machine"]["versions"]["torch"] == torch.__version__.partition("+")[0] or \
        record["machine"]["versions"]["torch"] == torch.__version__
    model = load_weights(recipes.build(PLAN), folder / "weights.npz")
    test = data.load("mnist", "test", tiny)
    kept, labels = load_answers(folder / "answers.npz")["test"]
    assert torch.equal(labels, test.labels) and record["test_accuracy"] == accuracy(kept, labels)
    torch.testing.assert_close(logits(model, test.images, data.known("mnist")), kept, atol=0.05, rtol=0.02)  # float16


def test_the_learning_rate_follows_its_schedule_to_the_end(finished):
    optimiser = torch.load(finished[0] / "checkpoint.pt", weights_only=True)["optimiser"]
    assert optimiser["param_groups"][0]["lr"] == recipes.rate_at(PLAN, 23, 24) < PLAN.rate / 50


def test_it_learns(tiny, tmp_path):
    record = training.train(replace(PLAN, epochs=8, augment="none"), tmp_path, files=tiny)
    assert record["test_accuracy"] > 0.9 and record["curves"]["loss"][-1] < record["curves"]["loss"][0] / 3


def test_the_same_recipe_gives_the_same_bits_and_another_seed_others(finished, tiny, tmp_path):
    training.train(PLAN, tmp_path / "again", files=tiny)
    assert_same_weights(finished[0], tmp_path / "again")
    training.train(replace(PLAN, seed=2), tmp_path / "other", files=tiny)
    assert not torch.equal(weights(finished[0])["fc1.weight"], weights(tmp_path / "other")["fc1.weight"])


@pytest.mark.parametrize("after", [1, 5, 8, 13])
def test_a_run_stopped_after_any_step_and_resumed_has_the_bits_of_one_that_was_not(after, finished, tiny, tmp_path,
                                                                                   monkeypatch):
    take_step = training.Run.take_step

    def stop(self, model, state, *rest):
        take_step(self, model, state, *rest)
        self.interruption.asked |= state.step == after

    with monkeypatch.context() as patch:
        patch.setattr(training.Run, "take_step", stop)
        with pytest.raises(training.Interrupted, match=f"after step {after} of 24; the same command goes on"):
            training.train(PLAN, tmp_path, files=tiny)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == after
    assert not (tmp_path / "manifest.json").exists()
    torch.manual_seed(999)                                   # whatever happened in between
    record = training.train(PLAN, tmp_path, files=tiny)
    assert_same_weights(finished[0], tmp_path)
    assert record["curves"] == finished[1]["curves"]


def test_a_finished_run_is_answered_from_its_manifest_and_the_test_part_is_not_read_again(finished, monkeypatch):
    monkeypatch.setattr(data, "load", lambda *_: pytest.fail("data were read"))
    assert training.train(PLAN, finished[0]) == finished[1]


def test_the_test_part_is_read_once_and_last(tiny, tmp_path, monkeypatch):
    load, parts = data.load, []
    monkeypatch.setattr(data, "load", lambda name, part, files: parts.append(part) or load(name, part, files))
    training.train(replace(PLAN, epochs=1), tmp_path, files=tiny)
    assert parts == ["train", "validation", "test"]


def test_a_folder_of_another_run_is_not_touched(finished, tiny):
    before = (finished[0] / "checkpoint.pt").read_bytes()
    with pytest.raises(ValueError, match="is of another run, with {'seed': 1}: choose another folder"):
        training.train(replace(PLAN, seed=9), finished[0], files=tiny)
    assert (finished[0] / "checkpoint.pt").read_bytes() == before


def test_a_loss_that_explodes_names_the_rate(tiny, tmp_path):
    with pytest.raises(ValueError, match="loss is .* at step .*: lower --rate, 1e\\+20"):
        training.train(replace(PLAN, optimiser="sgd", rate=1e20), tmp_path, files=tiny)


def command(*words):
    return [sys.executable, "-m", "cnn", "train", *map(str, words)]


def test_ctrl_c_keeps_the_checkpoint_and_the_same_command_goes_on(tiny, tmp_path):
    words = ["lenet", "--data", tiny, "--epochs", 400, "--threads", 1, "-o", tmp_path / "run"]
    child = subprocess.Popen(command(*words), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=tmp_path)
    for line in child.stderr:
        if line.startswith("epoch 2/400"):
            break
    child.send_signal(signal.SIGINT)
    said = child.stderr.read()
    assert child.wait(30) == 130, said
    step = int(re.search(r"cnnlab train: stopped after step (\d+) of 1200; the same command goes on", said)[1])
    assert "Traceback" not in said
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == step >= 6
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["checkpoint.pt"]
    state = training.State(recipes.build(recipe("lenet")), None)
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    state.model.load_state_dict(saved["model"])              # and it is whole


def test_a_second_ctrl_c_ends_at_once():
    from cnn.interrupt import Interruption
    signal.signal(signal.SIGINT, signal.default_int_handler)           # a job in the background was started without
    with pytest.raises(KeyboardInterrupt):
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
            assert interruption.asked
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_two_processes_compute_what_one_does(tiny, tmp_path):
    words = ["lenet", "--data", tiny, "--epochs", 2, "--batch", 50, "--augment", "none", "--optimiser", "momentum",
             "--rate", 0.01, "--threads", 1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cnn"]
    done = subprocess.run([*torchrun, *command(*words, "-o", tmp_path / "two")[3:]], env=ENVIRONMENT, cwd=tmp_path,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    plan = recipe("lenet", epochs=2, batch=50, augment="none", optimiser="momentum", rate=0.01)
    one = training.train(plan, tmp_path / "one", files=tiny)
    two = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert (one["processes"], two["processes"]) == (1, 2)
    assert_same_weights(tmp_path / "one", tmp_path / "two", atol=1e-5, rtol=1e-4)       # float32 sums in another order
    np.testing.assert_allclose(one["curves"]["loss"], two["curves"]["loss"], atol=1e-4)
    assert done.stdout.count("test ") == 1                   # the first process speaks, the second does not


@pytest.mark.parametrize("changes, message", [
    ({"model": "lenett"}, "model='lenett': choose one of lenet"), ({"dataset": "emnist"}, "emnist.*choose"),
    ({"optimiser": "sdg"}, "optimiser='sdg'"), ({"augment": "cutmix"}, "augment='cutmix'"),
    ({"epochs": 0}, "epochs=0 must be positive"), ({"rate": -1.0}, "rate=-1.0"), ({"batch": 0}, "batch=0"),
    ({"limit": 10}, "limit=10 is less than one batch of 50")])
def test_a_recipe_that_cannot_be_followed_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAN, **changes)


def test_more_images_a_batch_than_there_are_is_refused(tiny, tmp_path):
    with pytest.raises(ValueError, match="batch of 401.*400 training images"):
        training.train(replace(PLAN, batch=401), tmp_path, files=tiny)


@pytest.mark.parametrize("model", recipes.MODELS)
def test_every_model_has_a_recipe_and_answers_for_its_data_set(model):
    plan = recipe(model)
    source = data.known(plan.dataset)
    net = recipes.build(plan).eval()
    with torch.no_grad():
        assert net(torch.zeros(2, source.channels, source.size, source.size)).shape == (2, len(source.classes))


@pytest.mark.parametrize("name", recipes.OPTIMISERS)
def test_every_optimiser_goes_downhill(name):
    x = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimiser = recipes.OPTIMISERS[name]([x], 0.05, 0.0)
    for _ in range(300):
        optimiser.zero_grad()
        x.square().sum().backward()
        optimiser.step()
    assert x.abs().max() < 0.2


def test_weights_of_another_network_or_none_are_refused(finished, tmp_path):
    with pytest.raises(OSError, match="another network"):
        load_weights(recipes.build(recipe("simple")), finished[0] / "weights.npz")
    with pytest.raises(OSError, match="nothing.npz is missing"):
        load_weights(recipes.build(PLAN), tmp_path / "nothing.npz")
    (tmp_path / "text.npz").write_text("no weights")
    with pytest.raises(OSError, match="holds no weights"):
        load_weights(recipes.build(PLAN), tmp_path / "text.npz")
