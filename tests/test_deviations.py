"""docs/deviations.md: its table is the record, the record is of these rules, and its sentences hold."""
import json
from pathlib import Path

import numpy as np
import pytest

from docs import constants
from docs.deviations_measured import PATH, SETTINGS, table

PAGE = (Path(__file__).resolve().parent.parent / "docs/deviations.md").read_text(encoding="utf-8")
RECORD = json.loads(PATH.read_text(encoding="utf-8"))


def total(what, key):
    [row] = [row for row in RECORD["rows"] if what in row["what"]]
    return np.sum(row[key]) if isinstance(row[key], list) else row[key]


def share(what, part, whole):
    return total(what, part) / total(what, whole)


def test_the_record_is_of_these_rules_and_all_pairs():
    assert {row["what"]: row["changes"] for row in RECORD["rows"]} == SETTINGS
    assert len(RECORD["pairs"]) == 66 and all(len(row["correct"]) == 66 for row in RECORD["rows"])
    assert len(table(RECORD).splitlines()) == 2 + len(SETTINGS)


@pytest.mark.parametrize("what", ["pysift", "square roots"])
def test_a_pair_measured_again_gives_what_is_recorded(what):
    """The first pair of the first photograph, by the same counts."""
    [row] = [row for row in RECORD["rows"] if what in row["what"]]
    key, image, picture, homography = constants.pairs()[0]
    assert list(key) == RECORD["pairs"][0]
    params = constants.SIFTParams(**row["changes"])
    found = constants.pair(constants.sift(image, params), constants.sift(picture, params), homography,
                           (image.shape, picture.shape))
    assert [found[name] for name in constants.COUNTS] == [row[name][0] for name in constants.COUNTS]


def test_what_the_page_says_is_so():
    assert total("quarter pixel", "off_px") > 2 * total("pysift", "off_px")
    assert 1.1 < total("up to 0.6", "keypoints") / total("pysift", "keypoints") < 1.15
    assert 1.17 < total("up to 0.6", "correct") / total("pysift", "correct") < 1.25
    assert total("up to 0.6", "off_px") < 1.03 * total("pysift", "off_px")
    for what in ("no threshold before", "0.8 of the threshold"):
        assert all(total(what, key) == total("pysift", key) for key in constants.COUNTS)
    for what in ("no contrast threshold", "neither contrast nor edge"):
        assert total(what, "keypoints") > 3 * total("pysift", "keypoints")
        assert share(what, "repeated", "places") < share("pysift", "repeated", "places")
    assert total("not doubled", "correct") < total("pysift", "correct") / 2
    assert 1 < total("square roots", "correct") / total("pysift", "correct") < 1.03
    assert total("square roots", "keypoints") == total("pysift", "keypoints")
    assert "accept_offset=0.6" in PAGE
