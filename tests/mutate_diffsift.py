"""Flip every sign and every comparison of the relaxations and of the derivatives by hand; name the test that turns red.

    python tests/mutate_diffsift.py            all functions, a quarter of an hour; writes docs/mutants.json and .md
    python tests/mutate_diffsift.py unit_vjp   one, nothing is written

a + b ↔ a − b, −a → a, += ↔ −=, a < b ↔ a ≥ b, a > b ↔ a ≤ b, a == b ↔ a != b, one at a time, in each function of
diffsift/vjp/, relax.py and jet.py.  The mutant lives in memory only.  The tests that name the function run first, then
those of its file.  A survivor makes the exit status 1.
"""
import ast
import contextlib
import inspect
import io
import json
import pkgutil
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLIPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
         ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
TESTS = {"relax": ["test_diffsift_relax.py", "test_vjp.py"], "jet": ["test_diffsift_jet.py", "test_vjp.py"]}


def functions():
    """Yield (module, function) for each function of diffsift.vjp, relax and jet, the private ones too."""
    import diffsift.vjp

    names = [f"diffsift.vjp.{info.name}" for info in pkgutil.iter_modules(diffsift.vjp.__path__)]
    for module in map(import_module, ["diffsift.relax", "diffsift.jet", *names]):
        yield from ((module, f) for f in vars(module).values()
                    if inspect.isfunction(f) and f.__module__ == module.__name__)


def sites(tree):
    """Return the nodes that can be flipped, but for axes: the −1 of sum(−1) is a name, not a sign."""
    axes = {node for call in ast.walk(tree) if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
            for argument in call.args[call.func.attr == "roll":] + [k.value for k in call.keywords]
            for node in ast.walk(argument)
            if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)}
    axes |= {node for subscript in ast.walk(tree) if isinstance(subscript, ast.Subscript)
             for node in ast.walk(subscript.slice) if isinstance(node, ast.UnaryOp)}
    return [node for node in ast.walk(tree)
            if (isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in FLIPS)
            or (isinstance(node, ast.Compare) and type(node.ops[0]) in FLIPS)
            or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and node not in axes)]


def mutant(module, function, index):
    """Return the code of `function` with its site number `index` flipped, and the changed line."""
    source = textwrap.dedent(inspect.getsource(function))
    tree = ast.parse(source)
    node = sites(tree)[index]
    line = source.splitlines()[node.lineno - 1].strip()
    if isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd()
    elif isinstance(node, ast.Compare):
        node.ops[0] = FLIPS[type(node.ops[0])]()
    else:
        node.op = FLIPS[type(node.op)]()
    namespace = dict(vars(module))
    exec(compile(ast.fix_missing_locations(tree), f"<mutant of {function.__name__}>", "exec"), namespace)
    return namespace[function.__name__].__code__, line


class FirstFailure:
    """A plugin of pytest that keeps the name of the first red test, and counts."""

    name, ran = None, 0

    def pytest_runtest_logreport(self, report):
        self.ran += report.when == "call"
        if report.failed and self.name is None:
            self.name = report.nodeid.split("::")[-1]

    def pytest_collectreport(self, report):
        if report.failed and self.name is None:
            self.name = f"{report.nodeid.split('/')[-1]} does not load"


def first_failure(file, *arguments):
    plugin = FirstFailure()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["-x", "-q", str(ROOT / "tests" / file), *arguments], plugins=[plugin])
    if not plugin.ran and plugin.name is None and "-k" not in arguments:
        sys.exit("no test ran")
    return plugin.name


def caught_by(module, function):
    """Name the first red test, looking where it is likeliest."""
    own = TESTS.get(module.__name__.split(".", 1)[1], ["test_vjp.py"])
    return (first_failure(own[0], "-k", function.__name__)
            or next(filter(None, (first_failure(file) for file in own)), None))


def write(rows):
    """docs/mutants.json, and its table: a row a function."""
    (ROOT / "docs/mutants.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = (ROOT / "docs/mutants.md").read_text(encoding="utf-8").split("| function |")[0]
    lines = ["| function | flips | first caught by |", "|---|---|---|"]
    for name in dict.fromkeys(row["function"] for row in rows):
        caught = [row["caught"] or "**none**" for row in rows if row["function"] == name]
        tests = dict.fromkeys(test.split("[")[0] for test in caught)
        lines.append(f"| `{name}` | {len(caught)} | {', '.join(f'`{test}`' for test in tests)} |")
    (ROOT / "docs/mutants.md").write_text(page + "\n".join(lines) + "\n", encoding="utf-8")


def main(names):
    for file in {file for files in TESTS.values() for file in files}:
        if first_failure(file) is not None:
            sys.exit(f"tests/{file} is red without a mutant")
    rows = []
    for module, function in list(functions()):
        if names and function.__name__ not in names:
            continue
        for index in range(len(sites(ast.parse(textwrap.dedent(inspect.getsource(function)))))):
            original = function.__code__
            function.__code__, line = mutant(module, function, index)
            try:
                caught = caught_by(module, function)
            finally:
                function.__code__ = original
            name = f"{module.__name__.removeprefix('diffsift.')}.{function.__name__}"
            rows.append({"function": name, "flip": index, "line": line, "caught": caught})
            print(f"{name}  #{index}  {line}\n    {caught or 'SURVIVED'}", flush=True)
    survivors = sum(row["caught"] is None for row in rows)
    print(f"{len(rows)} mutants, {survivors} survived")
    if not names:
        write(rows)
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main(sys.argv[1:])
