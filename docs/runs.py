"""The committed runs of `cnnlab train` as tables and curves, for the pages of the lab."""
from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from cnn.compare import compare
from cnn.manifest import read_json

RUNS = Path(__file__).resolve().parent / "results/cnn_runs"


def files(patterns: Iterable[str]) -> list[Path]:
    """Return the manifests that match, sorted; raises a ValueError for a pattern that none does."""
    found = []
    for pattern in patterns:
        mine = sorted(RUNS.glob(f"{pattern}.json"))
        if not mine:
            raise ValueError(f"no run is called {pattern}: see {RUNS.name}")
        found += mine
    return found


def rows(*patterns: str) -> list[dict]:
    """Return the rows of `cnnlab compare` for the runs that match, each with a name that fits a table."""
    found = compare(files(patterns))
    nets = [f"{row['recipe']['model']} × {row['recipe']['width']:g}".removesuffix(" × 1") for row in found]
    for row, net in zip(found, nets):
        plan = row["recipe"]
        tried = f", {plan['epochs']} epochs of {plan['optimiser']}, {plan['augment']}"
        row["name"] = net + tried * (nets.count(net) > 1)
    return found


def table(rows: list[dict]) -> str:
    """Return rows as a table of Markdown."""
    lines = ["| network | seeds | test accuracy | each | parameters | multiply-adds | trained on |",
             "|---|" + "--:|" * 5 + "---|"]
    for row in rows:
        half = "" if row["half_interval"] is None else f" ± {100 * row['half_interval']:.2f}"
        each = ", ".join(f"{100 * value:.2f}" for value in row["test_accuracies"])
        where = ", ".join(row["devices"]).replace("cpu", "1 thread")
        lines.append(f"| {row['name']} | {len(row['seeds'])} | {100 * row['test_accuracy']:.2f}{half} % | {each} "
                     f"| {row['parameters']:,} | {row['multiply_adds']:,} | {where} |")
    return "\n".join(lines)


def recipe(pattern: str) -> str:
    """Return the command that repeats a run, with what its machine and date were."""
    record = read_json(files([pattern])[0])
    plan, machine = record["recipe"], record["machine"]
    options = " ".join(f"--{key} {value:g}" if isinstance(value, float) else f"--{key} {value}"
                       for key, value in plan.items() if key != "model" and value not in (None, 0.0))
    versions = ", ".join(f"{name} {machine['versions'][name]}" for name in ("python", "torch"))
    return (f"`cnnlab train {plan['model']} {options}`, {record['date']}, {record.get('device', 'cpu')}, "
            f"{machine['processor']}, {versions}")
