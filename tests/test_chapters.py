"""The chapters of the pipeline are whole: a chapter for every step, with all its parts, and what it shows exists."""
import ast
import re
from pathlib import Path

import pytest

from pysift import SIFTParams

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs/pipeline"
CHAPTERS = sorted(FOLDER.glob("*.md"))
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in CHAPTERS}
STEPS = [name for name in TEXTS if name != "index"]
PARTS = ["The formula", "The code", "The figure", "What goes wrong without it", "The derivative", "Exercise"]
SUPPORT = {"image", "keypoints", "params"}                       # what the driver imports and is no step

CELL = re.compile(r"^```\{code-cell\} ipython3\n(.*?)^```$", re.M | re.S)
SHOWN = re.compile(r"^```\{literalinclude\} (\S+)\n(.*?)^```$", re.M | re.S)
PARAMS = SIFTParams()


def parts(text):
    """Heading → what stands under it."""
    pieces = re.split(r"^## (.*)$", text, flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2]))


def cells(text):
    return ["\n".join(line for line in cell.splitlines() if not line.startswith(":")) for cell in CELL.findall(text)]


def shown(text):
    """(file, option → value) of each literalinclude."""
    return [(file, dict(re.findall(r"^:([\w-]+): (.*)$", options, re.M))) for file, options in SHOWN.findall(text)]


def defined(path):
    """Dotted names of the functions and classes of a file."""
    found = set()

    def visit(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                found.add(prefix + child.name)
                visit(child, f"{prefix}{child.name}.")
    visit(ast.parse(path.read_text(encoding="utf-8")), "")
    return found


def test_every_step_that_the_driver_imports_has_a_chapter_and_so_has_matching():
    tree = ast.parse((ROOT / "pysift/pipeline.py").read_text(encoding="utf-8"))
    steps = {node.module.removeprefix("pysift.") for node in tree.body
             if isinstance(node, ast.ImportFrom) and node.module.startswith("pysift.")} - SUPPORT
    assert len(steps) == 6
    assert set(STEPS) == steps | {"differences", "matching"}     # the differences are a part of scalespace.py


def test_the_index_lists_the_chapters_in_one_order_and_they_are_numbered_in_it():
    toctree = re.search(r"```\{toctree\}\n:hidden:\n\n(.*?)```", TEXTS["index"], re.S)[1].split()
    assert set(toctree) == set(STEPS)
    assert re.findall(r"^\| \d \[[^]]+\]\((\w+)\.md\)", TEXTS["index"], re.M) == toctree
    assert [int(re.search(r"^# (\d) ", TEXTS[name], re.M)[1]) for name in toctree] == list(range(1, 9))


@pytest.mark.parametrize("name", TEXTS)
def test_everything_shown_from_the_source_is_there(name):
    found = shown(TEXTS[name])
    assert len(found) == TEXTS[name].count("literalinclude")     # none escapes the pattern
    for file, options in found:
        path = (FOLDER / file).resolve()
        assert path.is_file(), f"{name} shows {file}, which is no file"
        assert options["language"] == "python"
        assert options["pyobject"] in defined(path), f"{file} defines no {options['pyobject']}"
        assert options.get("caption", file).endswith(path.name)


@pytest.mark.parametrize("name", STEPS)
def test_a_chapter_has_all_its_parts_in_order(name):
    assert list(parts(TEXTS[name])) == PARTS


@pytest.mark.parametrize("name", STEPS)
def test_a_chapter_names_its_source(name):
    text = " ".join(parts(TEXTS[name])["The formula"].split())
    assert "[Lowe §" in text or (name == "selection" and "OpenCV" in text)
    assert "$" in text or name == "selection"


@pytest.mark.parametrize("name", STEPS)
def test_the_code_is_that_of_both_twins(name):
    packages = {file.split("/")[2] for file, _ in shown(parts(TEXTS[name])["The code"])}
    assert packages == ({"pysift"} if name == "matching" else {"pysift", "diffsift"})


@pytest.mark.parametrize("name", STEPS)
def test_the_figure_is_made_in_a_cell_from_a_photograph(name):
    code = "\n".join(cells(parts(TEXTS[name])["The figure"]))
    assert re.search(r'photo\("\w+"\)', code)
    assert code.endswith("figure")


@pytest.mark.parametrize("name", TEXTS)
def test_every_figure_has_a_text_in_its_place(name):
    figures = [cell for cell in CELL.findall(TEXTS[name]) if cell.endswith("\nfigure\n")]
    assert figures
    assert all(re.match(r':mystnb: \{image: \{alt: "[^"]{30,}"\}\}\n', cell) for cell in figures)


@pytest.mark.parametrize("name", STEPS)
def test_what_goes_wrong_is_measured_and_held(name):
    """A cell prints numbers, and what the prose says of them is asserted: the page does not build if it is not so."""
    text = parts(TEXTS[name])["What goes wrong without it"]
    assert any("print(" in cell for cell in cells(text))
    assert "assert " in text


@pytest.mark.parametrize("name", STEPS)
def test_the_derivative_shows_a_vjp_and_its_formula(name):
    text = parts(TEXTS[name])["The derivative"]
    assert any(file.startswith("../../diffsift/vjp/") and options["pyobject"].endswith("_vjp")
               for file, options in shown(text))
    assert r"\bar" in text and cells(text)


@pytest.mark.parametrize("name", STEPS)
def test_the_exercise_hides_an_answer_that_runs(name):
    question, answer = parts(TEXTS[name])["Exercise"].split("<details><summary>Answer</summary>")
    assert "?" in question and not cells(question)
    assert cells(answer) and answer.rstrip().endswith("</details>")


@pytest.mark.parametrize("name", TEXTS)
def test_cells_are_python_of_120_columns_and_copy_no_step(name):
    ours = {n for folder in ("pysift", "diffsift") for path in (ROOT / folder).rglob("*.py") for n in defined(path)}
    code = cells(TEXTS[name])
    assert len(code) == TEXTS[name].count("{code-cell}")
    for cell in code:
        named = {node.name for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.FunctionDef)}
        assert not named & ours, "shown by literalinclude, not copied"
        assert max(map(len, cell.splitlines())) <= 120


@pytest.mark.parametrize("name, pattern, value", [
    ("scalespace", r"\$\\sigma_0 = ([\d.]+)\$", PARAMS.sigma),
    ("scalespace", r"\\sigma_\\text\{in\} = ([\d.]+)", PARAMS.sigma_in),
    ("scalespace", r"\$S = (\d)\$", PARAMS.n_octave_layers),
    ("scalespace", r"S \+ 3 = (\d)", PARAMS.n_levels),
    ("scalespace", r"cut at (\d)σ", PARAMS.kernel_reach),
    ("scalespace", r"\\approx ([\d.]+)\$ px are missing", round(PARAMS.base_sigma(), 3)),
    ("scalespace", r"has the number −(\d)", -PARAMS.first_octave),
    ("extrema", r"\\tfrac\{([\d.]+)\}\{3\}", PARAMS.contrast_threshold),
    ("extrema", r"\\right\\rfloor = (\d) \.", PARAMS.candidate_threshold()),
    ("extrema", r"Within (\d) pixels of the border", PARAMS.border),
    ("refine", r"C = ([\d.]+)", PARAMS.contrast_threshold),
    ("refine", r"r = (\d+) \.", PARAMS.edge_threshold),
    ("orientation", r"\\mathrm\{round\}\(([\d.]+)\\sigma\)", PARAMS.ori_reach * PARAMS.ori_sigma),
    ("orientation", r"2\(([\d.]+)\\sigma\)\^2", PARAMS.ori_sigma),
    ("orientation", r"The (\d+) bins", PARAMS.n_ori_bins),
    ("orientation", r"at least ([\d.]+) times the highest", PARAMS.ori_peak),
    ("descriptor", r"square of (\d) × \d cells", PARAMS.n_cells),
    ("descriptor", r"each (\d)σ wide", PARAMS.cell_width),
    ("descriptor", r"Clip each entry at ([\d.]+)", PARAMS.desc_clip),
    ("descriptor", r"Then × (\d+)", PARAMS.desc_scale),
])
def test_the_constants_of_the_prose_are_those_of_the_code(name, pattern, value):
    found = re.findall(pattern, " ".join(TEXTS[name].split()))
    assert found and {float(number) for number in found} == {value}


def test_five_fits_at_most_and_half_a_pixel_are_what_the_refinement_reads():
    assert "five fits at most" in TEXTS["refine"] and PARAMS.max_steps == 5
    assert r"|\delta_i| \ge \frac12" in TEXTS["refine"] and PARAMS.accept_offset == 0.5
    assert SIFTParams.preset("lowe").contrast_threshold / PARAMS.n_octave_layers == pytest.approx(0.03)
