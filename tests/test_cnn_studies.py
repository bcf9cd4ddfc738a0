"""The two-network study, the comparison of optimisers, latency and the comparison of runs."""
import json

import numpy as np
import pytest
import torch

from cnn import compare, data, latency, manifest, optimisers, pictures, two_networks
from cnn.recipes import OPTIMISERS, Recipe, build

pytest_plugins = ["cnn_tiny"]


def test_three_mean_colours_separate_the_notebooks_classes():
    train, validation, test = (data.load("synthetic", part) for part in data.PARTS)
    assert two_networks.linear_accuracy(train, validation) == 1
    assert two_networks.linear_accuracy(train, test) == 1


def test_and_shuffled_labels_are_not_separated():
    train, test = data.load("synthetic", "train"), data.load("synthetic", "test")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    shuffled = data.Images(train.images, train.labels[order])
    assert two_networks.linear_accuracy(shuffled, test) < 0.4          # of five classes


def test_a_bar_is_the_weight_that_its_name_says(monkeypatch):
    from cnn.models import ResNet18, SimpleCNN
    for name, net in (("SimpleCNN", SimpleCNN()), ("ResNet18", ResNet18(classes=5))):
        weights = dict(net.named_parameters())
        for layer, parameter in two_networks.LAYERS[name].items():
            assert weights[parameter].dim() in (2, 4)                  # no scale of a batch norm
            assert parameter.startswith(layer) or (layer, parameter) == ("fc", "logits.weight")


def test_the_study_follows_loss_and_gradients_of_both_networks(monkeypatch):
    from cnn import models
    from cnn.models.resnet import Stage
    monkeypatch.setattr(two_networks, "EPOCHS", 2)
    small = [Stage(4, 1, 1), Stage(4, 1, 2), Stage(4, 1, 2), Stage(4, 1, 2)]
    monkeypatch.setattr(models, "ResNet18", lambda classes: models.resnet.ResNet(
        models.resnet.Basic, classes, "7x7", tuple(small), True, 3))
    record = two_networks.study()
    for name, layers in two_networks.LAYERS.items():
        assert list(record[name]["layers"]) == list(layers)
        assert all(len(curve) == 2 and min(curve) > 0 for curve in record[name]["layers"].values())
        assert record[name]["loss"][1] < record[name]["loss"][0]
    assert "colour alone separates" in two_networks.analysis(record)
    figure = two_networks.draw(record)
    assert len(figure.axes) == 6
    assert [t.get_text() for t in figure.axes[4].get_xticklabels()] == list(two_networks.LAYERS["ResNet18"])


def test_every_optimiser_is_in_the_comparison_with_as_many_rates():
    assert set(optimisers.RATES) == set(OPTIMISERS) - {"adamw"} and {len(r) for r in optimisers.RATES.values()} == {5}


def test_the_comparison_trains_and_a_loss_that_explodes_counts_as_guessing(tiny):
    train, validation = (data.load("mnist", part, tiny) for part in ("train", "validation"))
    good = optimisers.once(Recipe("lenet", "mnist", 0, 6, 50, "adam", 3e-3, 0.0), train, validation)
    assert good > 0.7
    assert optimisers.once(Recipe("lenet", "mnist", 0, 6, 50, "sgd", 1e20, 0.0), train, validation) == 0.1


def test_latency_takes_longer_for_more_work_and_asks_for_a_divisor():
    small, large = (build(Recipe("mobilenet", "fashion", width=width)) for width in (0.05, 0.3))
    shape = (1, 28, 28)
    assert latency.milliseconds(small, shape, 100, 1) < latency.milliseconds(large, shape, 100, 1)
    with pytest.raises(ValueError, match="batch=300 does not divide 1000"):
        latency.milliseconds(small, shape, 300)


def test_the_twins_are_timed_at_one_and_at_a_thousand(monkeypatch):
    monkeypatch.setattr(latency, "milliseconds", lambda model, shape, batch, repeat: float(batch))
    rows = latency.twins()
    assert [(row["separable"], row["parameters"]) for row in rows] == [(True, 215_498), (False, 1_771_650)]
    assert rows[0]["milliseconds"] == {1: 1.0, 1000: 1000.0}


def run_folder(folder, accuracy, **recipe):
    full = {**vars(Recipe("lenet", "mnist")), **recipe}
    manifest.write_json(folder / "manifest.json", {
        "recipe": full, "parameters": 44_426, "multiply_adds": 281_640, "test_accuracy": accuracy,
        "validation_accuracy": accuracy, "train_seconds": 10.0,
        "curves": {"loss": [1.0, 0.5], "validation_accuracy": [0.5, accuracy]}})
    return folder


def test_runs_that_differ_in_the_seed_are_one_row_with_its_interval(tmp_path):
    runs = [run_folder(tmp_path / f"a{k}", value, seed=k) for k, value in enumerate((0.98, 0.99, 0.97))]
    runs.append(run_folder(tmp_path / "b", 0.995, augment="digits"))
    rows = compare.compare(runs)
    assert [row["name"] for row in rows] == ["lenet augment=digits", "lenet augment=none"]
    assert rows[1]["seeds"] == [0, 1, 2] and rows[1]["test_accuracy"] == pytest.approx(0.98)
    assert rows[1]["half_interval"] == pytest.approx(4.3027 * 0.01 / np.sqrt(3))
    assert rows[0]["half_interval"] is None
    text = compare.table(rows).splitlines()
    assert len(text) == 3 and "98.00" in text[2] and "2.48" in text[2]
    assert len(pictures.comparison(rows).axes) == 2


def test_manifests_alone_can_be_compared_and_seconds_of_two_devices_have_no_mean(tmp_path):
    files = []
    for k, device in enumerate(("cpu", "a GPU")):
        folder = run_folder(tmp_path / str(k), 0.9 + k / 20, seed=k)
        files.append(tmp_path / f"{k}.json")
        manifest.write_json(files[-1], manifest.read_json(folder / "manifest.json") | {"device": device})
    (both,), (one,) = compare.compare(files), compare.compare(files[1:])
    assert both["devices"] == ["a GPU", "cpu"] and both["train_seconds"] is None and one["train_seconds"] == 10
    assert both["test_accuracy"] == pytest.approx(0.925)
    assert compare.table([both]).splitlines()[1].split()[-1] == "281,640" != compare.table([one]).split()[-1] == "10"


def test_a_folder_that_holds_no_run_is_named(tmp_path):
    with pytest.raises(OSError, match="manifest.json is missing.*cnnlab train"):
        compare.compare([tmp_path])
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(OSError, match="no JSON"):
        compare.compare([tmp_path])


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    manifest.write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError):
        manifest.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
