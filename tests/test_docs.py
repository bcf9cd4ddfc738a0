"""What README and docs/ say is so: links lead somewhere, numbers come from results, tables match the files."""
import json
import re
from pathlib import Path

import pytest

import pysift

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
STEPS = ["image", "scalespace", "extrema", "refine", "orientation", "descriptor", "selection", "pipeline"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_steps_of_readme_are_the_modules_in_pipeline_order():
    files = re.findall(r"^\|[^|]*\| `pysift/(\w+)\.py` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert files == STEPS


def test_the_steps_of_the_package_docstring_are_the_same():
    assert re.findall(r"(\w+)\.py ", pysift.__doc__) == STEPS


def test_the_parity_numbers_of_readme_are_those_of_the_results():
    total = json.loads((ROOT / "benchmarks/results/parity.json").read_text())["total"]
    rows = json.loads((ROOT / "benchmarks/results/parity.json").read_text())["rows"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    keypoints, entries = re.search(r"order \|(.*)\|\n\| descriptor entries \|(.*)\|", text).groups()
    assert [int(n) for n in keypoints.split("|")] == [len(rows), total["theirs"], total["ours"], total["bit_equal"]]
    assert [int(n) for n in entries.split("|")] == [len(rows), total["entries"], total["entries"],
                                                    total["entries_equal"]]


def test_the_speed_numbers_of_readme_are_those_of_the_results():
    rows = json.loads((ROOT / "benchmarks/results/speed.json").read_text())["rows"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for row in rows:
        if row["threads"] == 1:
            same = [r for r in rows if r["image"] == row["image"]]
            ratios = [f"{ratio:.1f}" for ratio in [*(r["ratio"] for r in same),
                                                   *(r["conservative"]["ratio"] for r in same)]]
            assert f"| {row['image']} | {row['keypoints']} | {' | '.join(ratios)} |" in text


def test_what_readme_says_of_the_speed_in_words_holds():
    rows = json.loads((ROOT / "benchmarks/results/speed.json").read_text())["rows"]
    small = [row for row in rows if eval(row["image"].replace("×", "*")) < 1e6]
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "Below a megapixel pysift takes a half to a third of cv2's time." in text
    assert small and all(2 <= row["ratio"] <= 3 for row in small)
    worst = float(re.search(r"never less than ([\d.]+) times as fast", text)[1])
    assert f"{min(row['conservative']['ratio'] for row in rows):.1f}" == f"{worst:.1f}"


def test_the_picture_of_readme_is_in_its_first_lines_and_small():
    first = (ROOT / "README.md").read_text(encoding="utf-8")[:800]
    [name] = re.findall(r"!\[[^]]{40,}\]\((docs/images/front\.\w+)\)", first)        # with words for who cannot see it
    assert (ROOT / name).stat().st_size < 300_000


def test_the_picture_of_readme_is_what_its_script_draws(tmp_path):
    """Fonts and the last bits of a JPEG may differ between machines, what is seen may not."""
    import numpy as np
    import PIL.Image

    from docs import front
    front.main(tmp_path / "front.jpg")
    drawn, kept = (np.asarray(PIL.Image.open(path).convert("RGB"), float)
                   for path in (tmp_path / "front.jpg", front.PICTURE))
    assert drawn.shape == kept.shape and np.abs(drawn - kept).mean() < 2                 # grey levels
    tiles = (drawn - kept)[:960].reshape(30, 32, 40, 32, 3).mean((1, 3))                 # and no place differs much
    assert np.abs(tiles).max() < 12


def test_every_deviation_that_the_sources_refer_to_is_in_the_list():
    named = {int(n) for path in (ROOT / "pysift").rglob("*.py") for numbers in
             re.findall(r"deviations\.md, ([\d and,]+)", path.read_text(encoding="utf-8"))
             for n in re.findall(r"\d+", numbers)}
    listed = {int(n) for n in re.findall(r"^\*\*(\d+)\.", (ROOT / "docs/deviations.md").read_text("utf-8"), re.M)}
    assert named and named <= listed


def test_every_field_of_the_parameters_says_its_meaning():
    """A field without a comment beside it has no home for its unit and source."""
    source = (ROOT / "pysift/params.py").read_text(encoding="utf-8")
    fields = re.findall(r"^    (\w+): (?:int|float|bool|str) = [^#\n]+(#.*)?$", source, re.M)
    assert {name for name, _ in fields} == set(pysift.SIFTParams.__dataclass_fields__)
    assert all(len(comment) > 20 for _, comment in fields)
