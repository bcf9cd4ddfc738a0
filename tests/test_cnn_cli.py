"""The command cnnlab: exit codes, what goes where, and a way from training to an answer."""
import json
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest

from cnn import cli, data, digits

pytest_plugins = ["cnn_tiny"]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def test_help_answers_without_torch():
    code = "import sys; from cnn.cli import main; main(['--help']); assert 'torch' not in sys.modules"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in cli.COMMANDS) and time.monotonic() - start < 5


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_an_example(command, run):
    code, out, _ = run(command, "--help")
    assert code == 0 and f"example:\n  cnnlab {command}" in out


@pytest.mark.parametrize("words", [(), ("trein",), ("train",), ("train", "lenet", "--seed", "-1"),
                                   ("train", "lenet", "--epochs", "many"), ("gradflow", "--seeds", "0")])
def test_wrong_usage_is_2(words, run):
    code, out, err = run(*words)
    assert code == 2 and out == "" and "usage" in err


@pytest.mark.parametrize("words, message", [
    (("train", "lenett"), "model='lenett': choose one of"), (("train", "lenet", "--data", "nowhere"), "is no folder"),
    (("eval", "nowhere"), "manifest.json is missing"), (("compare", "nowhere"), "manifest.json is missing"),
    (("predict",), "no picture given"), (("predict", "nowhere.png"), "cannot be read"),
    (("gradflow", "--data", "nowhere"), "is no folder"), (("gradflow", "--size", "7"), "size=7")])
def test_a_failure_is_1_and_one_line_that_says_why(words, message, run):
    code, out, err = run(*words)
    assert code == 1 and out == "" and message in err and err.startswith(f"cnnlab {words[0]}: ")


def test_from_training_to_an_answer(run, tiny, monkeypatch):
    fashion = data.Images(data.load("mnist", "test", tiny).images.flip(2), None)
    monkeypatch.setattr("cnn.unknown.fashion", lambda files: fashion.images)
    monkeypatch.setattr("cnn.assess._DRAWN", 20)
    for seed in (0, 1):
        code, out, err = run("train", "lenet", "--data", tiny, "--epochs", 4, "--augment", "none", "--seed", seed,
                             "--batch", 50, "--threads", 1)
        assert code == 0 and f"runs/lenet-mnist-{seed}: test " in out and "epoch 4/4" in err
    code, out, _ = run("eval", "runs/lenet-mnist-0", "--data", tiny)
    assert code == 0 and "test accuracy" in out and "scribbles" in out and "AUROC" in out
    with PIL.Image.open("runs/lenet-mnist-0/evaluation.png") as figure:
        assert figure.size[0] > 500
    code, out, _ = run("eval", "runs/lenet-mnist-0", "--data", tiny, "--json")
    record = json.loads(out)
    assert set(record["unknown"]) == {"noise", "letters", "scribbles", "fashion"}
    assert record["test_interval"][0] <= record["test_accuracy"] <= record["test_interval"][1]
    assert len(record["recall"]) == 10
    code, out, _ = run("compare", "runs/lenet-mnist-0", "runs/lenet-mnist-1", "-o", "side")
    assert code == 0 and len(out.splitlines()) == 2
    assert json.loads(open("side/comparison.json").read())["rows"][0]["seeds"] == [0, 1]
    code, out, _ = run("predict", digits.path("3"), "--model", "runs/lenet-mnist-0", "--json")
    assert code == 0 and len(json.loads(out)["probabilities"]) == 10


def test_predict_answers_at_once_and_refuses_nonsense(run):
    code, out, err = run("predict", "--demo", "-o", "answers.png")
    lines = [line.rpartition("/")[2] for line in out.splitlines()]
    assert code == 0 and err == ""
    assert [line[:8] for line in lines[:10]] == [f"{k}.png: {k}" for k in range(10)]
    assert lines[10].startswith("abrakadabra.png: no digit")
    with PIL.Image.open("answers.png") as figure:
        assert figure.size[0] > 1000


def test_one_bad_picture_among_good_ones_is_3(run):
    PIL.Image.new("L", (40, 40)).save("black.png")
    code, out, err = run("predict", digits.path("7"), "black.png")
    assert code == 3 and len(out.splitlines()) == 1 and "black.png: nothing is drawn" in err


def test_gradflow_prints_and_draws(run, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (64, 3, 32, 32), np.uint8)
    import torch
    part = data.Images(torch.from_numpy(images), torch.arange(64) % 10)
    monkeypatch.setattr(data, "load", lambda *_: part)
    code, out, _ = run("gradflow", "--depths", 8, "--seeds", 2, "--size", 8, "--batch", 8, "-o", "flow")
    assert code == 0 and len(out.splitlines()) == 5
    assert len(json.loads(open("flow/gradflow.json").read())["rows"]) == 8
