"""Flip every sign of every hand-made derivative, one at a time, and name the test that turns red.

    python tests/mutate_vjp.py            all functions, minutes
    python tests/mutate_vjp.py unit_vjp   one

a + b ↔ a − b, −a → a, += ↔ −=, in each function of diffsift/vjp/.  The mutant lives in memory only.  The tests that
name the function run first, then the whole file.  A survivor makes the exit status 1.
"""
import ast
import contextlib
import inspect
import io
import pkgutil
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLIPS = {ast.Add: ast.Sub, ast.Sub: ast.Add}


def functions():
    """Yield (module, function) for each function of diffsift.vjp, the private ones too."""
    import diffsift.vjp

    for info in pkgutil.iter_modules(diffsift.vjp.__path__):
        module = import_module(f"diffsift.vjp.{info.name}")
        yield from ((module, f) for f in vars(module).values()
                    if inspect.isfunction(f) and f.__module__ == module.__name__)


def sites(tree):
    """Return the nodes whose sign can be flipped, but for axes: the −1 of sum(−1) is a name, not a sign."""
    axes = {node for call in ast.walk(tree) if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
            for argument in call.args[call.func.attr == "roll":] + [k.value for k in call.keywords]
            for node in ast.walk(argument)
            if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)}
    axes |= {node for subscript in ast.walk(tree) if isinstance(subscript, ast.Subscript)
             for node in ast.walk(subscript.slice) if isinstance(node, ast.UnaryOp)}
    return [node for node in ast.walk(tree)
            if (isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in FLIPS)
            or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and node not in axes)]


def mutant(module, function, index):
    """Return the code of `function` with its sign number `index` flipped, and the changed line."""
    source = textwrap.dedent(inspect.getsource(function))
    tree = ast.parse(source)
    node = sites(tree)[index]
    line = source.splitlines()[node.lineno - 1].strip()
    if isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd()
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


def first_failure(*arguments):
    plugin = FirstFailure()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["-x", "-q", str(ROOT / "tests/test_vjp.py"), *arguments],
                    plugins=[plugin])
    if not plugin.ran and "-k" not in arguments:
        sys.exit("no test ran")
    return plugin.name


def main(names):
    if first_failure() is not None:
        sys.exit("tests/test_vjp.py is red without a mutant")
    survivors = total = 0
    for module, function in list(functions()):
        if names and function.__name__ not in names:
            continue
        for index in range(len(sites(ast.parse(textwrap.dedent(inspect.getsource(function)))))):
            original = function.__code__
            function.__code__, line = mutant(module, function, index)
            try:
                caught = first_failure("-k", function.__name__) or first_failure()
            finally:
                function.__code__ = original
            total, survivors = total + 1, survivors + (caught is None)
            print(f"{module.__name__.removeprefix('diffsift.')}.{function.__name__}  #{index}  {line}\n"
                  f"    {caught or 'SURVIVED'}", flush=True)
    print(f"{total} mutants, {survivors} survived")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main(sys.argv[1:])
