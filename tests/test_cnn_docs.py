"""What the pages of the lab quote and say is what docs/results holds."""
import json
import math
import re
from pathlib import Path

import pytest

from cnn import vanishing
from cnn.evaluate import mean_interval
from docs.runs import rows

DOCS = Path(__file__).resolve().parent.parent / "docs"


def read(name):
    return json.loads((DOCS / "results" / name).read_text())


def runs(pattern):
    return [read(path.relative_to(DOCS / "results")) for path in sorted((DOCS / "results/cnn_runs").glob(pattern))]


def percent(accuracies):
    mean, half = mean_interval(accuracies)
    return f"{100 * mean:.2f} ± {100 * half:.2f} %" if len(accuracies) > 1 else f"{100 * mean:.2f} %"


@pytest.mark.parametrize("name, pattern", [("augmented", "lenet-[0-9].json"), ("as it is", "lenet-plain-*.json"),
                                           ("augmented, exposed to broken digits", "lenet-exposed.json")])
def test_lenets_accuracies_are_those_of_the_runs(name, pattern):
    values = [run["test_accuracy"] for run in runs(pattern)]
    each = ", ".join(f"{100 * value:.2f}" for value in values)
    assert f"| {name} | {len(values)} | {percent(values)} | {each} |" in (DOCS / "lenet.md").read_text()


@pytest.mark.parametrize("network, file", [("digits only", "cnn_lenet_evaluation.json"),
                                           ("exposed", "cnn_lenet_exposed_evaluation.json")])
def test_the_strangers_of_lenet_are_those_of_the_evaluation(network, file):
    record, text = read(file), (DOCS / "lenet.md").read_text()
    for kind, measures in record["unknown"].items():
        cells = [cell for name in ("max_probability", "energy") for cell in (
            f"{measures[name]['auroc']:.3f}", f"{100 * measures[name]['fpr95']:.1f} %",
            f"{100 * measures[name]['answered']:.1f} %")]
        assert f"| {network} | {kind} | {' | '.join(cells)} |" in text
    error = record["calibration_error"]
    assert f"{100 * error['before']:.2f} % before and {100 * error['after']:.2f} % after" in text


def row(summary, kind, moment, depths):
    named = {one["depth"]: one for one in summary
             if " ".join(one["kind"].split()) == kind and one["moment"] == moment}
    cells = [f"{named[d]['slope']:+.3f} ± {named[d]['half']:.3f}" if math.isfinite(named[d]["slope"]) else "diverged"
             for d in depths]
    return cells, named[depths[-1]]["factor"]


@pytest.mark.parametrize("file, moment, heading", [("cnn_gradflow_start.json", "start", "At the start"),
                                                   ("cnn_gradflow_trained.json", "trained", "In training")])
def test_the_slopes_of_vanishing_are_those_of_the_results(file, moment, heading):
    summary = vanishing.summarise(read(file)["rows"])
    text = (DOCS / "vanishing.md").read_text()
    section = text[text.index(f"## {heading}"):].partition("\n## ")[0]
    for shortcuts in ("plain", "residual"):
        for norm in ("batch norm", "no norm"):
            cells, factor = row(summary, f"{shortcuts} {norm}", moment, (8, 20, 56))
            line = re.search(rf"^\| {shortcuts} \| {norm} \| (.*) \| (.*) \|$", section, re.M)
            assert line and line[1].split(" | ") == cells
            assert line[2] == ("diverged" if math.isnan(factor) else f"{factor:.3g}")


def test_the_optimisers_of_training_are_those_of_the_results():
    rows, text = read("cnn_optimisers.json")["rows"], (DOCS / "training.md").read_text()
    for name in {row["optimiser"] for row in rows}:
        own = [row for row in rows if row["optimiser"] == name]
        best = max(own, key=lambda row: row["mean"])
        tenth = min(own, key=lambda row: abs(row["rate"] - best["rate"] / 10))
        assert tenth["rate"] == pytest.approx(best["rate"] / 10)
        cells = [f"{100 * row['mean']:.2f} ± {100 * row['half']:.2f} %" for row in (best, tenth)]
        assert f"| {name} | {best['rate']:g} | {' | '.join(cells)} |" in text


def test_what_the_page_says_of_shortcuts_is_so():
    nets = ("resnet18-[0-9]", "plain-[0-9]", "bottleneck-[0-9]", "plain-bottleneck-[0-9]")
    of = {row["name"]: row for row in rows(*nets)}
    lead = {deep: of[deep]["test_accuracy"] - of[plain]["test_accuracy"]
            for deep, plain in (("resnet18", "plain"), ("bottleneck", "plain-bottleneck"))}
    assert 0 < lead["resnet18"] < 0.025 < lead["bottleneck"] and of["resnet18"]["test_accuracy"] >= 0.85
    assert of["bottleneck"]["test_accuracy"] < of["resnet18"]["test_accuracy"]
    for deep, plain in (("resnet18", "plain"), ("bottleneck", "plain-bottleneck")):
        first, their_first = (of[net]["curves"]["loss"][2] for net in (deep, plain))
        assert max(first) < min(their_first)
    assert [accuracy < 0.6 for accuracy in sorted(of["plain-bottleneck"]["test_accuracies"])] == [True, False, False]
    assert round(min(of["plain-bottleneck"]["test_accuracies"]), 2) == 0.52
    assert all(row["seeds"] == [0, 1, 2] for row in of.values() if row["name"] != "plain-bottleneck")
    long, short = rows("resnet18-3x3-long-[0-9]", "resnet18-3x3-[0-9]")
    assert (long["recipe"]["epochs"], short["recipe"]["epochs"]) == (110, 40)
    assert 14 < short["multiply_adds"] / of["resnet18"]["multiply_adds"] < 16
    assert max(short["test_accuracies"]) < 0.95 < min(long["test_accuracies"]) and len(long["seeds"]) == 2
    assert 1 - short["test_accuracy"] < (1 - of["resnet18"]["test_accuracy"]) / 2
    last, first = (runs(f"resnet18-3x3-{kind}0.json")[0]["curves"]["train_accuracy"][-1] for kind in ("long-", ""))
    assert last < first - 0.005 and round(first, 2) == 0.99


def test_what_the_page_says_of_alexnet_is_so():
    long, cifar, same = rows("alexnet-0", "alexnet-cifar-0", "alexnet-cifar-long-[0-9]")
    assert long["recipe"] == {**cifar["recipe"], "epochs": 30, "seed": long["recipe"]["seed"]}
    assert min(long["test_accuracies"]) > 0.8 and len(long["seeds"]) == 2
    assert all(run["curves"]["train_accuracy"][-1] > run["validation_accuracy"] + 0.07
               for run in runs("alexnet-cifar-long-*.json"))
    assert 0.65 < same["test_accuracy"] < 0.68 and 0.09 < cifar["test_accuracy"] - same["test_accuracy"] < 0.11
    assert cifar["test_accuracy"] < 0.772 and 2.9 < cifar["multiply_adds"] / same["multiply_adds"] < 3.1
    (run,) = runs("alexnet-cifar-0.json")
    curves = run["curves"]
    assert len(curves["loss"]) == 12 and abs(curves["train_accuracy"][-1] - run["validation_accuracy"]) < 0.02
    assert all(curve[-1] == max(curve) for curve in (curves["train_accuracy"], curves["validation_accuracy"]))


def test_what_the_page_says_of_mobilenet_is_so():
    def accuracy(name, part="test"):
        (run,) = runs(f"mobilenet-{name}.json")
        return run[f"{part}_accuracy"]

    assert accuracy("plain-0") - accuracy("0") > 0.03 and accuracy("narrow") > accuracy("plain-0")
    assert accuracy("narrow") + 0.005 < accuracy("half") < accuracy("wide-erasing") - 0.005
    assert round(accuracy("half"), 3) == 0.929 and accuracy("half-long") > 0.93
    wide = {kind: accuracy(f"wide-{kind}") for kind in "abc"}
    assert all(round(value, 3) == 0.949 for value in wide.values()) and max(wide.values()) - min(wide.values()) < 3.5e-4
    assert max("abc", key=lambda kind: accuracy(f"wide-{kind}", "validation")) == "b"
    assert (0.95 * 0.05 / 10_000)**0.5 == pytest.approx(0.002, abs=2e-4)
    (memorised,) = runs("mobilenet-wide-flips.json")
    assert memorised["curves"]["train_accuracy"][-1] > 0.995 and memorised["validation_accuracy"] < 0.94
    separable, plain = read("latency.json")["rows"]
    assert plain["milliseconds"]["1"] / separable["milliseconds"]["1"] == pytest.approx(1.5, abs=0.1)
    assert plain["milliseconds"]["1000"] / separable["milliseconds"]["1000"] == pytest.approx(1, abs=0.05)
    assert 7 < plain["multiply_adds"] / separable["multiply_adds"] < 9
