"""docs/constants.md: its numbers are those of constants.json, the record is of this code, and one constant varies."""
import json
import re
from pathlib import Path

import numpy as np
import pytest

from docs.constants import CONSTANTS, COUNTS, GROUPS, pair, pairs, settings
from docs.constants_figure import panels
from docs.constants_table import best, number
from pysift import SIFTParams, sift
from pysift.keypoints import Features, Keypoints

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "constants.md").read_text(encoding="utf-8")
RECORD = json.loads((DOCS / "constants.json").read_text(encoding="utf-8"))
STATED = re.findall(r"`(\w+)\.([\w.]+?)@([\d.]+)`\s+=\s+(-?[\d.]+)", PAGE)
KNOWN = [0.5, 1.6, 3, 0.04, 10, 1.5, 4.5, 0.8, 3, 0.2, 512]
FIELDS = [c["field"] for c in RECORD["constants"]]


def test_the_number_in_use_is_the_default_of_the_library():
    for c in RECORD["constants"]:
        assert c["default"] == getattr(SIFTParams(), c["field"]) and c["default"] in c["values"]
    assert [c["default"] * c["times"] for c in RECORD["constants"]] == KNOWN


def test_the_record_is_of_the_settings_of_the_script():
    assert [(c["field"], c["values"]) for c in RECORD["constants"]] == [(c.field, list(c.values)) for c in CONSTANTS]
    assert RECORD["groups"] == {group: list(changes) for group, changes in GROUPS.items()}
    rows = [row for c in RECORD["constants"] for row in c["rows"]]
    assert all(len(row[key]) == len(RECORD["pairs"]) for row in rows for key in COUNTS)
    assert {"script", "date", "machine", "seed"} <= set(RECORD)


def test_a_setting_changes_one_field_and_nothing_else():
    for changes in settings():
        params = SIFTParams(**changes)
        different = [f for f in SIFTParams.__dataclass_fields__ if getattr(params, f) != getattr(SIFTParams(), f)]
        assert different == list(changes) and len(changes) <= 1


def test_the_number_in_use_gives_the_same_row_for_every_constant():
    rows = [c["rows"][c["values"].index(c["default"])] for c in RECORD["constants"]]
    assert all(row == rows[0] for row in rows)


@pytest.mark.parametrize("field, key, value, text", STATED, ids=[f"{f}.{key}@{value}" for f, key, value, _ in STATED])
def test_a_number_of_the_page_is_the_measured_one_to_its_last_digit(field, key, value, text):
    assert abs(float(text) - number(RECORD, field, key, float(value))) <= 0.5001 * 10.0 ** -len(text.partition(".")[2])


def test_the_share_without_rounding_is_the_measured_one():
    row = RECORD["unrounded"]
    stated = float(re.search(r"`unrounded.matched` = ([\d.]+)", PAGE)[1])
    assert stated == pytest.approx(100 * sum(row["correct"]) / sum(row["keypoints"]), abs=0.05)


def test_every_constant_has_its_chapter_its_figure_its_source_and_its_numbers():
    chapters = re.split(r"^## (?=[\d.]+: )", PAGE, flags=re.M)[1:]
    assert [float(chapter.split(":")[0]) for chapter in chapters] == KNOWN
    for field, chapter in zip(FIELDS, chapters):
        assert f'show(record, "{field}")' in chapter
        assert "**What it does.**" in chapter and "**What one sees.**" in chapter and "Source: " in chapter
        assert {f for f, *_ in re.findall(r"`(\w+)\.([\w.]+?)@", chapter)} == {field}


@pytest.mark.parametrize("field", FIELDS)
def test_a_figure_marks_the_number_in_use_and_draws_every_setting(field):
    c = RECORD["constants"][FIELDS.index(field)]
    for figure in panels(RECORD, field):
        axes, = figure.axes
        marks = [line.get_xdata() for line in axes.lines if line.get_linestyle() == "--"]
        assert [list(x) for x in marks] == [[c["default"] * c["times"]] * 2]
        assert any(len(line.get_xdata()) == len(c["values"]) for line in axes.lines)
        assert axes.get_xlabel() and axes.get_ylabel() and axes.get_title()


def test_what_the_page_says_of_the_better_and_the_worse_is_so():
    """The sentences that compare, as inequalities; no numbers of ours."""
    def of(field, key):
        c = RECORD["constants"][FIELDS.index(field)]
        known = [value * c["times"] for value in c["values"]]
        return known, [number(RECORD, field, key, value) for value in known]

    def top(field, key, worst=False):
        known, values = of(field, key)
        return known[(np.argmin if worst else np.argmax)(values)]
    assert top("edge_threshold", "matched") == top("edge_threshold", "repeated") == 10
    assert top("n_octave_layers", "repeated") == 3 and top("n_octave_layers", "off_percent", worst=True) == 3
    assert top("n_octave_layers", "off_px", worst=True) == 3 and top("desc_scale", "matched") == 512
    assert top("sigma_in", "repeated") == 0 and top("contrast_threshold", "right") == 0.01
    assert top("cell_width", "matched") == 5 and top("ori_sigma", "matched") == 3
    assert (np.diff(of("sigma", "repeated")[1]) > 0).all() and (np.diff(of("sigma", "off_px")[1]) < 0).all()
    assert (np.diff(of("edge_threshold", "off_px")[1]) > 0).all() and (np.diff(of("ori_peak", "matched")[1]) < 0).all()
    for field in ("n_octave_layers", "ori_reach", "desc_clip"):
        c = RECORD["constants"][FIELDS.index(field)]
        assert best(c, "correct", "keypoints")[1] < 0.002


def features(x, sigma=2.0, theta=0.0, seed=0):
    """Keypoints in a row at y = 50, each with a descriptor of its own."""
    x = np.asarray(x, float)
    described = np.random.default_rng(seed).integers(0, 256, (len(x), 128), np.uint8)
    return Features(Keypoints.at(x=x, y=np.full(len(x), 50.0), sigma=np.full(len(x), sigma),
                                 theta=np.full(len(x), theta)), described)


def test_a_pair_is_scored_by_how_far_it_is_off():
    here = features([10, 30, 50, 70, 90])
    there = features([11, 31, 51, 71, 94], sigma=2.2, theta=0.1)
    score = pair(here, there, np.eye(3), ((100, 100), (100, 100)))
    assert [score[key] for key in COUNTS] == [5, 4, 5, 5, 4]
    np.testing.assert_allclose(score["px"], 1, atol=1e-5)
    np.testing.assert_allclose(score["larger"], 10, atol=1e-4)
    np.testing.assert_allclose(score["degrees"], np.rad2deg(0.1), atol=1e-4)


def test_the_best_of_equals_is_the_number_in_use():
    rows = [{"correct": [3, 4]}, {"correct": [3, 4]}, {"correct": [2, 9]}]
    c = {"default": 2, "times": 1.5, "values": [1, 2], "rows": rows[:2]}
    assert best(c, "correct") == (3, 0, 0)
    assert best({**c, "values": [1, 2, 3], "rows": rows}, "correct") == (4.5, pytest.approx(4 / 7), 1)


@pytest.mark.parametrize("field, value", [("desc_clip", 0.2), ("ori_peak", 0.5), ("cell_width", 1.5), ("sigma_in", 0)])
def test_the_record_can_be_had_again(field, value):
    """Of one photograph and two changes; the warp is cv2's and may differ in a grey level elsewhere."""
    c = RECORD["constants"][FIELDS.index(field)]
    for i, (key, image, picture, homography) in enumerate(pairs()):
        if key in {("chelsea", "turned 30°"), ("chelsea", "gamma 2")}:
            here, there = (sift(grey, SIFTParams(**{field: value})) for grey in (image, picture))
            again = pair(here, there, homography, (image.shape, picture.shape))
            recorded = [c["rows"][c["values"].index(value)][count][i] for count in COUNTS]
            np.testing.assert_allclose([again[count] for count in COUNTS], recorded, rtol=0.02, atol=2)
