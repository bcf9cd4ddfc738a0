"""docs/benchmarks.md: every record has its section, its tables are the record, and its sentences hold."""
import re
from pathlib import Path
from statistics import mean, median

import pytest

from docs.benchmarks_tables import TABLES, made, peers, read, wide

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
RECORDS = sorted(path.stem for path in (ROOT / "benchmarks/results").glob("*.json") if "-quick" not in path.stem)


def cells(table):
    """Rows of a Markdown table, the head first, without the line between."""
    head, _, *rows = table.replace("\N{NBSP}", " ").splitlines()
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in (head, *rows)]


def test_every_record_has_its_table_and_its_section():
    assert sorted(TABLES) == RECORDS
    assert sorted(re.findall(r'shown\("(\w+)"\)', PAGE)) == RECORDS
    sections = re.split(r"^## ", PAGE, flags=re.M)[1:]
    assert len(sections) == len(RECORDS) and all("**Gaps.**" in section for section in sections)


def test_no_number_is_typed_by_hand():
    prose = re.sub(r"^---.*?^---|```.*?```|`[^`]*`", "", PAGE, flags=re.S | re.M)
    assert not re.findall(r"(?<![A-Za-z])\d+", prose)                   # cv2 and AVX2 are names


@pytest.mark.parametrize("name", RECORDS)
def test_a_table_is_whole_and_says_where_it_comes_from(name):
    record = read(name)
    head, *rows = cells(TABLES[name](record))
    assert rows and all(len(row) == len(head) and "nan" not in row and "None" not in row for row in rows)
    line = made(record)
    assert f"python -m benchmarks {name}" in line and record["date"] in line
    assert record["machine"]["processor"] in line and f"results/{name}.json" in line


def test_the_parity_table_adds_up_to_the_total():
    head, *rows = cells(TABLES["parity"](read("parity")))
    total, sums = read("parity")["total"], [sum(map(int, column)) for column in list(zip(*rows))[1:]]
    assert sums == [len(read("parity")["rows"]), total["theirs"], total["ours"], total["bit_equal"], total["entries"],
                    total["entries_equal"], sums[-1]]


def test_ratios_of_the_tables_are_those_of_their_own_times():
    """What two columns say together: cv2's time over ours, their memory over ours."""
    for row in cells(TABLES["speed"](read("speed")))[1:]:
        assert float(row[5]) == pytest.approx(float(row[3]) / float(row[4]), rel=0.06)       # of whole milliseconds
        assert float(row[8]) < float(row[5])                   # cv2 does not wait for pages when it is at its best
    for row in cells(TABLES["memory"](read("memory")))[1:]:
        assert float(row[4]) == pytest.approx(float(row[3]) / float(row[1]), rel=0.02)


def test_programs_that_are_alike_have_the_same_cells():
    for name in ("matching", "localisation"):
        rows = {row[0]: row[1:] for row in cells(TABLES[name](read(name)))}
        assert rows["pysift"] == rows["cv2 precise"] and rows["cv2"] == rows["pysift opencv()"]
        assert all(a != b for a, b in zip(rows["pysift"], rows["cv2"]))          # of every column, else it is of all
    for row in cells(TABLES["invariance"](read("invariance")))[1:]:
        assert row[1] == row[2] != row[3] == row[4]


def test_what_the_page_says_of_speed_memory_and_start_up_is_so():
    for row in read("speed")["rows"]:
        assert min(ways["all"]["ratio"] for ways in row["regimes"].values()) > 1 < row["conservative"]["ratio"]
        assert row["threads"] <= 2
    for row in cells(peers(read("speed")))[1:]:
        assert all(cell == "left out" or float(cell) < 1 for cell in row[4:])
    memory = read("memory")["rows"]
    for ours, theirs in zip(*([row for row in memory if row["program"] == who] for who in ("pysift", "cv2"))):
        assert ours["formula"] < ours["net"] < min(1.1 * ours["formula"], theirs["net"])
    seconds = {what: median(values) for what, values in read("startup")["seconds"].items()}
    assert all(seconds[what] < wanted for what, wanted in read("startup")["wanted"].items())
    assert max(seconds, key=seconds.get) in ("pysift: first call ever", "… in seconds of a processor")


def test_what_the_page_says_of_growth_and_limits_is_so():
    of = {name: {who: fit[0] for who, fit in curve["exponents"].items()}
          for name, curve in read("cost")["curves"].items()}
    assert of["pixels, as installed"]["cv2"] > 1.05 > of["pixels, as installed"]["pysift"] > 0.95
    assert max(of["keypoints"].values()) < 1
    gain = {name: -p["cv2"] > -p["pysift"] for name, p in of.items() if name.startswith("threads")}
    assert list(gain.values()) == [True, True, False]
    for image in dict.fromkeys(row["image"] for row in read("limit")["rows"]):
        share = {row["stage"]: row["share"] for row in read("limit")["rows"] if row["image"] == image}
        assert share["descriptors"] > share["levels"] > share["extrema"] > share["orientations"] > share["normalising"]
        assert share["refine"] is None and share["selection"] is None


def test_what_the_page_says_of_quality_is_so():
    correct = {name: mean(row["correct"] for row in read("matching")["rows"] if row["peer"] == name)
               for name in read("matching")["auc"]}
    assert min(correct["scikit-image"], correct["pycolmap"], correct["pycolmap DSP"]) > correct["cv2"]
    x = {row["peer"]: row["x [px]"]["mean"] for row in read("localisation")["rows"] if row["octave"] == 0}
    biased = {name for name, off in x.items() if abs(off - 0.25) < 0.01}
    assert biased == {"cv2", "pysift opencv()", "scikit-image", "kornia-rs"}
    assert all(read("invariance")["equal"].values())
    means = {row[0]: float(row[1].split("/")[0]) for row in cells(TABLES["invariance"](read("invariance")))[1:]}
    assert set(sorted(means, key=means.get)[:3]) == {"noise", "blur", "viewpoint"}


def test_what_the_page_says_of_derivatives_is_so():
    for row in read("gradients")["rows"]:
        for name in ("diffsift opencv", "diffsift smooth"):
            assert 2 * row["ratios"]["kornia patch"] < row["ratios"][name] < read("gradients")["wanted"]
            many = row["side"] == 256 and row["slots"] == 320
            assert row["ratios"][name] < 0.9 if many else row["ratios"][name] > 0.9
    ours = [row["ratios"][name] for row in read("gradients")["rows"] for name in ("diffsift opencv", "diffsift smooth")]
    assert f"({min(ours):.1f} to {max(ours):.1f} times" in (ROOT / "README.md").read_text(encoding="utf-8")
    passed = {name: set(tried.values()) == {"yes"} for name, tried in read("gradients")["transforms"].items()}
    assert [name for name, all_of_them in passed.items() if all_of_them] == ["diffsift opencv", "diffsift smooth"]
    card = {(row["contestant"], row["width"], row["batch"]): row for row in read("gradients_cuda")["rows"]}
    took = {key: sum(row["median"].values()) for key, row in card.items()}
    for width in (640, 1600):
        one, many, theirs, patch = (
            (took[name, width, batch]) for name, batch in (("diffsift opencv", 1), ("diffsift opencv", 16),
                                                           ("kornia pyramid", 16), ("kornia patch", 1)))
        assert many < 2 * one and theirs > 7 * many and 0.5 < one / patch < 2
        assert card["kornia patch", width, 16]["peak_bytes"] > 1.8 * card["diffsift opencv", width, 16]["peak_bytes"]
    aim = read("tape")["aim"]
    worst = {row["shape"] for row in read("tape")["rows"]
             if max(row[step]["ratio"] for step in ("forward", "backward")) > aim}
    assert worst == {name for name in worst if "depthwise" in name}


def test_a_figure_keeps_its_alternative_text_and_its_size():
    from matplotlib.figure import Figure
    html = wide(Figure(figsize=(5, 3)), "a law").data
    assert 'alt="a law"' in html and "min-width: 400px" in html and "overflow-x: auto" in html
