"""docs/limit.md and docs/mutants.md: their numbers are those measured, and what was measured is what is claimed."""
import json
import re
from pathlib import Path

import pytest

from mutate_diffsift import functions

DOCS = Path(__file__).resolve().parent.parent / "docs"
LIMIT, TRUTH = (json.loads((DOCS / name).read_text()) for name in ("limit.json", "truth.json"))
MEASURED = LIMIT["numbers"] | TRUTH["numbers"]
STATED = re.findall(r"`([a-z]+\.[\w.]+)` = (-?[\d.]+(?:e-?\d+)?)", (DOCS / "limit.md").read_text(encoding="utf-8"))


def test_every_number_is_stated_once_and_every_stated_one_is_measured():
    assert sorted(key for key, _ in STATED) == sorted(MEASURED)


@pytest.mark.parametrize("key, text", STATED, ids=[key for key, _ in STATED])
def test_a_number_is_the_measured_one_to_its_last_digit(key, text):
    digits, _, power = text.partition("e")
    last = 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
    assert abs(float(text) - MEASURED[key]) <= 0.5001 * last


def test_the_limit_is_reached_on_twelve_photographs():
    """Same keypoints, 10⁻⁴ px, one level: photograph by photograph, beside pysift and beside cv2."""
    rows = LIMIT["parity"]
    for peer in ("pysift", "cv2"):
        for precise in (True, False):
            mine = [r for r in rows if r["peer"] == peer and r["precise"] is precise]
            assert len({r["photograph"] for r in mine if r["theirs"] >= 5}) >= 12
            assert all(r["ours"] == r["theirs"] and r["pixels"] <= 1e-4 and r["levels"] <= 1 for r in mine)


def test_the_certificate_holds_at_every_cell():
    assert sum(r["violations"] for r in LIMIT["certificate"]) == 0
    assert sum(r["cells"] for r in LIMIT["certificate"]) > 10**6 and len(LIMIT["certificate"]) >= 12


def test_the_way_goes_over_six_decades_and_ends_in_the_limit():
    factors = sorted({r["factor"] for r in LIMIT["way"]})
    assert factors[-1] / factors[0] >= 0.999e6
    lost = [sum(r["lost_weight"] for r in LIMIT["way"] if r["factor"] == f) for f in factors]
    assert all(b <= a for a, b in zip(lost, lost[1:])) and lost[-1] < 0.01 * lost[0]


def test_no_mutant_survived_and_every_function_had_its_turn():
    rows = json.loads((DOCS / "mutants.json").read_text())
    assert all(row["caught"] for row in rows)
    present = {f"{module.__name__.removeprefix('diffsift.')}.{f.__name__}" for module, f in functions()}
    assert {row["function"] for row in rows} <= present
    page = (DOCS / "mutants.md").read_text(encoding="utf-8")
    assert all(f"`{row['function']}`" in page for row in rows) and len(rows) > 150
