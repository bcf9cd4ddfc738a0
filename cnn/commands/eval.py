"""Assess a finished run: accuracy, classes, calibration; for digits also how it takes images that are none.

Nothing is tuned on the test part and nothing runs over it again: its logits were kept when the run ended.  The folder
of the run gets evaluation.json, evaluation.png, and predictions.png with five images of the validation part.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

from cnn.commands.options import add_data, add_threads

HELP = "assess a finished run"
EXAMPLE = "cnnlab eval runs/lenet-mnist-0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run_folder", metavar="RUN", help="folder that cnnlab train made")
    add_data(parser)
    add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")


def run(args: argparse.Namespace) -> int:
    """Assess."""
    from cnn import pictures
    from cnn.assess import assess, examples
    from cnn.checkpoint import load_answers
    from cnn.manifest import read_json, save_figure
    folder = Path(args.run_folder)
    record = assess(folder, args.data)
    test = load_answers(folder / "answers.npz")["test"]
    save_figure(folder / "evaluation.png", pictures.evaluation(read_json(folder / "manifest.json"), record, *test))
    save_figure(folder / "predictions.png", pictures.predictions(*examples(folder, args.data)))
    if args.json:
        print(json.dumps(record, indent=1))
        return 0
    low, high = record["test_interval"]
    error = record["calibration_error"]
    print(f"test accuracy      {100 * record['test_accuracy']:.2f} %   ({100 * low:.2f} to {100 * high:.2f})")
    print(f"temperature        {record['temperature']:.3f}")
    print(f"calibration error  {100 * error['before']:.2f} % before, {100 * error['after']:.2f} % after")
    for kind, measures in record.get("unknown", {}).items():
        print("  ".join([f"{kind:10}", *(f"{name}: AUROC {m['auroc']:.4f}, FPR95 {100 * m['fpr95']:.1f} %, answered "
                                         f"{100 * m['answered']:.1f} %" for name, m in measures.items())]))
    return 0
