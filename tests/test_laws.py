"""docs/laws.md and the tests say the same: a law is the first line of the docstring of its test."""
import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| (\w+\.\d+) \| (.*) \| `(test_\w+)` \|$", re.MULTILINE)


def stated():
    """Yield (number, sentence, test) for each test of the folder whose docstring states a law."""
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                first = (ast.get_docstring(node) or "").split("\n")[0]
                if law := re.fullmatch(r"Law (\w+\.\d+): (.*)", first):
                    yield *law.groups(), node.name


@pytest.fixture(scope="module")
def written():
    """Return the rows (number, sentence, test) of docs/laws.md."""
    return ROW.findall((ROOT / "docs" / "laws.md").read_text(encoding="utf-8"))


def test_every_law_is_written_down_as_its_test_states_it(written):
    assert sorted(written) == sorted(stated())


def test_no_two_laws_share_a_number(written):
    numbers = [number for number, _, _ in written]
    assert len(set(numbers)) == len(numbers) > 0
