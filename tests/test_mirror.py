"""diffsift mirrors pysift: the same files, the same functions in the same order, with the same leading arguments.

Read off the sources, nothing is run.  What one of the two lacks, or takes otherwise, stands here with its reason.
"""
import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STEPS = ["scalespace", "extrema", "refine", "orientation", "descriptor"]
MIRRORED = [*STEPS, "selection", "pipeline"]

# in pysift only
HARD_ONLY = {
    "borrowed_scalespace": "memory is torch's", "run_blur": "threads are torch's", "scanner": "threads are torch's",
    "difference": "Planes.cubes takes all 27 at once",
    "canonical_order": "slots are in order of weight", "unmasked": "a mask is a factor on the weight",
    "search": "all octaves at once, for a fixed shape", "select": "the slots are chosen in find_keypoints",
    "peak_bytes": "stated in sift", "read": "images are tensors", "check_memory": "the memory may be a GPU's",
}
# in diffsift only
SOFT_ONLY = {
    "is_extremum": "the gate has a derivative, the scan has none", "window_reach": "shapes are fixed beforehand",
    "square_reach": "shapes are fixed beforehand",
}
# argument lists that differ, pysift's and diffsift's
DIFFERENT = {
    "derivatives": "levels, layer, y, x become the cube about them",
    "angle_histogram": "N keypoints of many levels at once, rows first as in assign_orientations",
    "distinct": "cells and weights, for keypoints keep their slots",
    "strongest": "weights and responses of slots",
    "to_input_frame": "every angle bin has a slot, so there is no index",
}


def module(package, name):
    return ast.parse((ROOT / package / f"{name}.py").read_text(encoding="utf-8"))


def functions(package, name):
    """Public functions in the order of the file: name → names of its arguments up to `params`."""
    found = {}
    for node in module(package, name).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [a.arg for a in node.args.posonlyargs + node.args.args]
            end = arguments.index("params") + 1 if "params" in arguments else len(arguments)
            found[node.name] = arguments[:end]
    return found


def header(package, name):
    return ast.get_docstring(module(package, name))


@pytest.mark.parametrize("name", MIRRORED)
def test_the_same_functions_stand_in_the_same_order(name):
    hard, soft = functions("pysift", name), functions("diffsift", name)
    assert [f for f in hard if f not in HARD_ONLY] == [f for f in soft if f not in SOFT_ONLY]


@pytest.mark.parametrize("name", MIRRORED)
def test_shared_functions_take_the_same_leading_arguments(name):
    hard, soft = functions("pysift", name), functions("diffsift", name)
    for function in hard.keys() & soft.keys() - DIFFERENT.keys():
        theirs = ["images" if a == "image" and name == "pipeline" else a for a in hard[function]]
        n = len(theirs) if "params" in theirs else min(len(theirs), len(soft[function]))
        assert soft[function][:n] == theirs[:n], function


def test_every_exception_is_one():
    """A name that both have, or neither, needs no excuse."""
    hard = {f: a for name in MIRRORED for f, a in functions("pysift", name).items()}
    soft = {f: a for name in MIRRORED for f, a in functions("diffsift", name).items()}
    assert HARD_ONLY.keys() <= hard.keys() - soft.keys()
    assert SOFT_ONLY.keys() <= soft.keys() - hard.keys()
    assert all(hard[f] != soft[f] for f in DIFFERENT)


@pytest.mark.parametrize("name", STEPS)
def test_headers_name_the_same_step_and_source(name):
    hard, soft = (header(package, name).split("\n")[0] for package in ("pysift", "diffsift"))
    assert hard.split(":")[0] == soft.split(":")[0] and hard.split("[")[1:] == soft.split("[")[1:]


@pytest.mark.parametrize("name", STEPS)
def test_each_soft_step_says_what_is_relaxed_the_limit_the_singular_points_and_what_is_fixed(name):
    parts = re.findall(r"^(Relaxed|Limit|Singular|Held fixed)  ", header("diffsift", name), re.MULTILINE)
    assert parts == ["Relaxed", "Limit", "Singular", "Held fixed"]
    assert f"Hard twin  pysift/{name}.py" in header("diffsift", name)


@pytest.mark.parametrize("path", sorted((ROOT / "diffsift").glob("*.py")), ids=lambda path: path.stem)
def test_headers_list_what_their_module_imports(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    line = re.search(r"^imports:(.*?)(   |$)", ast.get_docstring(tree), re.MULTILINE)
    if path.stem == "__init__" or "every step" in line[1]:
        return
    imported = {node.module.removeprefix("diffsift.") for node in tree.body
                if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in ("diffsift", "pysift")}
    assert {word for word in re.findall(r"[\w.]+", line[1]) if word in imported or (
        ROOT / "diffsift" / f"{word}.py").exists()} == imported
    assert not imported & set(STEPS) or path.stem == "pipeline"             # a step never imports a step


def test_the_package_docstring_lists_the_steps_in_order():
    files = re.findall(r"^    .*?(\w+)\.py  ", header("diffsift", "__init__"), re.MULTILINE)
    assert files == MIRRORED
