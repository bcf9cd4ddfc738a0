"""docs/errata.md: its numbers are those of errata.json, and its code exists; what holds for any image is checked."""
import json
import math
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/errata.md").read_text(encoding="utf-8")
RECORD = json.loads((ROOT / "docs/errata.json").read_text())
STATED = re.findall(r"`([a-z]+\.[\w.]+)` = (-?[\d.]+(?:e-?\d+)?)", PAGE)


def test_every_number_is_stated_once_and_every_stated_one_is_measured():
    assert sorted(key for key, _ in STATED) == sorted(RECORD["numbers"])


@pytest.mark.parametrize("key, text", STATED, ids=[key for key, _ in STATED])
def test_a_number_is_the_measured_one_to_its_last_digit(key, text):
    digits, _, power = text.partition("e")
    last = 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
    assert abs(float(text) - RECORD["numbers"][key]) <= 0.5001 * last


def test_there_are_fourteen_seven_wrong_and_seven_incomplete():
    signs = re.findall(r"^## (\d+)\. .*\(([−~])\)$", PAGE, re.M)
    assert [int(n) for n, _ in signs] == list(range(1, 15))
    assert [s for _, s in signs].count("−") == 7
    for section in re.split(r"^## \d+\. ", PAGE, flags=re.M)[1:]:
        assert all(word in section for word in ("**Notebook**", "**Right**", "**Code**")) and "` = " in section


def test_every_function_named_is_in_the_file_named():
    named = re.findall(r"`((?:diffsift|pysift)/[\w/]+)\.py`:\s+((?:`\w+`(?:,\s+)?)+)", PAGE)
    assert len(named) >= 14
    for path, names in named:
        module = import_module(path.replace("/", "."))
        for name in re.findall(r"`(\w+)`", names):
            assert hasattr(module, name) or hasattr(module.SIFTParams, name), f"{path}.py has no {name}"


def test_the_record_says_where_it_comes_from():
    assert {"photograph", "seed", "date", "versions"} <= set(RECORD) and "torch" in RECORD["versions"]


def test_what_holds_for_any_image():
    """Closed forms, so that a wrong measurement cannot agree with a wrong page."""
    exact = {"clip.notebook_at_0": 0.1, "clip.notebook_at_threshold": 0.1 * (math.tanh(1) + 1), "clip.ours_at_0": 0,
             "clip.notebook_of_an_empty_histogram": 1 / math.sqrt(128), "edge.limit": 12.1,
             "gate.notebook_of_a_minimum": math.exp(-80), "edge.notebook_ratio_of_saddle": -4 / 3,
             "edge.ours_of_saddle": 121 * -3 - 40, "eigh.ours_at_a_blob": (1 - 40 / 121) / 2,
             "blur.of_the_notebook": math.sqrt(1.6 ** 2 + 1), "blur.of_ours": 1.6,
             "blur.missing": math.sqrt(1.6 ** 2 - 1), "window.lost_beyond_3_sigma": math.exp(-2),
             "window.lost_beyond_4.5_sigma": math.exp(-4.5),
             "dog.relative_error_of_one_difference_alone": math.sqrt(0.5)}
    for key, value in exact.items():
        assert RECORD["numbers"][key] == pytest.approx(value, rel=5e-3, abs=1e-12), key


def test_the_soft_clip_of_the_notebook_is_used_by_the_errata_only():
    used = {path.name for folder in ("diffsift", "cnn", "benchmarks", "docs") for path in (ROOT / folder).rglob("*.py")
            if "soft_clip_notebook" in path.read_text(encoding="utf-8")}
    assert used == {"relax.py", "errata.py"}
