"""docs/soft_vs_hard.md is what its script makes of the sources now, and the script loses no line of code."""
import ast
import importlib.util
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location("soft_vs_hard", ROOT / "docs/soft_vs_hard.py")
soft_vs_hard = importlib.util.module_from_spec(spec)
spec.loader.exec_module(soft_vs_hard)
PACKAGES = ("pysift", "diffsift")


def bare(code):
    """Syntax trees of the functions and classes of some code, docstrings apart, by name."""
    found = {}
    for node in ast.parse(code).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for inner in ast.walk(node):
                if isinstance(inner, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(inner):
                    inner.body = inner.body[1:] or [ast.Pass()]
            found[node.name] = ast.dump(node)
    return found


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the sources that the script reads instead."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        for name in soft_vs_hard.MODULES:
            shutil.copy(ROOT / package / f"{name}.py", tmp_path / package)
    monkeypatch.setattr(soft_vs_hard, "ROOT", tmp_path)
    return tmp_path


def test_the_page_is_what_the_script_makes_of_the_sources():
    assert (ROOT / "docs/soft_vs_hard.md").read_text(encoding="utf-8") == soft_vs_hard.page(), (
        "the sources changed: run python docs/soft_vs_hard.py")


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("name", soft_vs_hard.MODULES)
def test_every_function_stands_there_once_with_all_its_code(package, name):
    whole = bare((ROOT / package / f"{name}.py").read_text(encoding="utf-8"))
    shown = [bare(code) for code in soft_vs_hard.units(package, name).values()]
    assert sum(map(len, shown)) == len(whole)
    assert {k: v for part in shown for k, v in part.items()} == whole


@pytest.mark.parametrize("name", soft_vs_hard.MODULES)
def test_functions_of_one_name_stand_in_one_row(name):
    rows = soft_vs_hard.columns(name).split("<tr><td")[1:]
    pairs = [[set(bare(cell.split("```")[0])) for cell in row.split("```python\n")[1:]] for row in rows]
    public = [{n for n in set().union(*pair) if not n.startswith("_")} for pair in pairs]
    assert all(len(names) == 1 for names in public)
    assert len(set().union(*public)) == len(rows)


@pytest.mark.parametrize("name", soft_vs_hard.MODULES)
def test_each_header_names_what_was_relaxed_the_limit_the_singular_points_and_what_is_fixed(name):
    said = soft_vs_hard.header_fields(name)
    assert tuple(said) == soft_vs_hard.FIELDS
    header = " ".join(ast.get_docstring(soft_vs_hard.tree("diffsift", name)).split())
    assert all(len(text) > 20 and text in header for text in said.values())


def test_the_table_has_a_row_for_each_step_and_five_columns():
    table = [line for line in soft_vs_hard.page().splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(soft_vs_hard.MODULES)
    assert all(line.replace("\\|", "").count("|") == 6 for line in table)


def test_no_example_is_left_that_doctest_would_run():
    assert ">>>" not in soft_vs_hard.page()


@pytest.mark.parametrize("old, new", [("return _trilinear(", "return -_trilinear("),
                                      ("Singular     no gradient", "Singular     no slope")])
def test_a_change_of_code_or_header_changes_the_page(copy, old, new):
    before, path = soft_vs_hard.page(), copy / "diffsift/descriptor.py"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert new.removeprefix("Singular     ") in soft_vs_hard.page() != before
