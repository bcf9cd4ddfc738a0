"""Runs side by side: those that differ only in the seed are one row, with the mean and its 95 % interval."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from cnn import data
from cnn.evaluate import mean_interval
from cnn.latency import milliseconds
from cnn.manifest import read_json
from cnn.recipes import Recipe, build

BATCHES = (1, 1000)                                          # images at a time, of the thousand that are timed


def compare(runs: Iterable[str | Path], timed: bool = False) -> list[dict]:
    """Return a row for each recipe, the most accurate first.

    Parameters
    ----------
    runs : folders of finished runs, or their manifests alone
    timed : also measure the time for 1000 images at each of BATCHES, on torch's threads

    Raises
    ------
    OSError : a folder holds no finished run
    """
    groups: dict[str, list[dict]] = {}
    for run in map(Path, runs):
        record = read_json(run if run.suffix == ".json" else run / "manifest.json")
        record["recipe"] = asdict(Recipe(**record["recipe"]))            # a field that came later has its default
        groups.setdefault(repr({k: v for k, v in record["recipe"].items() if k != "seed"}), []).append(record)
    rows = [row(records) for records in groups.values()]
    name(rows)
    if timed:
        for one in rows:
            one["milliseconds"] = times(Recipe(**one["recipe"]))
    return sorted(rows, key=lambda one: -one["test_accuracy"])


def row(records: list[dict]) -> dict:
    """Sum up the runs of one recipe."""
    accuracy, half = mean_interval([record["test_accuracy"] for record in records])
    devices = sorted({record.get("device", "cpu") for record in records})
    curves = [record["curves"] for record in records]
    return {
        "recipe": records[0]["recipe"], "seeds": sorted(record["recipe"]["seed"] for record in records),
        "parameters": records[0]["parameters"], "multiply_adds": records[0]["multiply_adds"],
        "test_accuracy": accuracy, "half_interval": half if len(records) > 1 else None,
        "test_accuracies": [record["test_accuracy"] for record in records],
        "validation_accuracy": mean_interval([record["validation_accuracy"] for record in records])[0],
        "devices": devices,
        "train_seconds": mean_interval([record["train_seconds"] for record in records])[0] if len(devices) == 1
        else None,
        "curves": {key: [[curve[key][epoch] for curve in curves] for epoch in range(len(curves[0][key]))]
                   for key in ("loss", "validation_accuracy")}}


def name(rows: list[dict]) -> None:
    """Give each row a name: its model, and what of its recipe is not the same in all rows."""
    keys = [key for key in rows[0]["recipe"] if key not in ("model", "seed")]
    differ = [key for key in keys if len({row["recipe"][key] for row in rows}) > 1]
    for one in rows:
        one["name"] = " ".join([one["recipe"]["model"], *(f"{key}={one['recipe'][key]}" for key in differ)])


def times(recipe: Recipe) -> dict[str, float]:
    """Return the milliseconds for 1000 images at each of BATCHES."""
    source = data.known(recipe.dataset)
    model = build(recipe)
    return {str(batch): milliseconds(model, (source.channels, source.size, source.size), batch) for batch in BATCHES}


def table(rows: list[dict]) -> str:
    """Return the rows as text."""
    lines = [["model", "seeds", "test %", "± 95 %", "parameters", "multiply-adds", "training s"]]
    timed = "milliseconds" in rows[0]
    if timed:
        lines[0] += [f"ms at batch {batch}" for batch in BATCHES]
    for one in rows:
        half = "" if one["half_interval"] is None else f"{100 * one['half_interval']:.2f}"
        lines.append([one["name"], str(len(one["seeds"])), f"{100 * one['test_accuracy']:.2f}", half,
                      f"{one['parameters']:,}", f"{one['multiply_adds']:,}",
                      "" if one["train_seconds"] is None else f"{one['train_seconds']:.0f}"]
                     + ([f"{value:.0f}" for value in one["milliseconds"].values()] if timed else []))
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) if k == 0 else cell.rjust(width)
                               for k, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines)
