"""What may import what, and how long a file may grow: read off the sources with `ast`, nothing is run.

A red test prints one offender a line.  A new module of pysift goes into LAYERS, as low as it can.
"""
import ast
import configparser
import re
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("pysift", "diffsift", "cnn", "benchmarks", "tests", "docs")
PATHS = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
         for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py"))}         # dotted name → file
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in PATHS.items()}

# package → what its modules may import anywhere, and what only inside the function that needs it
TABLE = {
    "pysift":   ({"numpy", "numba", "PIL", "pysift"}, {"matplotlib", "cv2", "tqdm"}),
    "pysift.kernels": ({"numpy", "numba", "llvmlite", "pysift.kernels"}, set()),         # llvmlite is numba's own
    "diffsift": ({"numpy", "torch", "diffsift", "pysift.params", "pysift.keypoints", "pysift.usage"},
                 {"matplotlib"}),
    "diffsift.apps": ({"numpy", "torch", "diffsift", "pysift.params", "pysift.keypoints"},
                      {"matplotlib", "cv2", "pysift"}),
    "cnn":      ({"numpy", "torch", "PIL", "cnn", "pysift.usage"}, {"matplotlib", "tqdm"}),
    "cnn.tape": ({"numpy", "numba", "cnn.tape"}, set()),
}

# pysift from the ground up: a module imports from lower layers only, so a step never imports a step
LAYERS = (
    {"kernels"},                                    # njit
    {"kernels.lanes"},
    {"kernels.memory", "kernels.arithmetic"},
    {"kernels.samples"},
    {"kernels.blur", "kernels.upsample", "kernels.orientation", "kernels.descriptor"},
    {"params", "usage"},
    {"keypoints", "threads", "workspace", "fetch"},
    {"load"},
    {"image", "scalespace", "extrema", "refine", "orientation", "descriptor", "selection", "matching"},
    {"pipeline", "convert", "photos"},
    {"tracing", "cv"},
    {"parity", "draw"},
    {"__init__"},
    {"explorer"},
    {"layouts"},
    {"files"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
# the tape likewise: the engine knows no operation, an operation no net
TAPE_LAYERS = (
    {"engine"},
    {"registry", "windows", "optimisers", "initial"},
    {"shaping", "conv", "checks"},
    {"elementwise"},
    {"reductions"},
    {"pooling", "functions", "operators"},
    {"layers"},
    {"nets"},
    {"__init__"},
)
BUDGET = {"lines": 250, "code lines": 40, "arguments": 9}        # of a file, of a function, of a kernel


def is_under(name, package):
    return name == package or name.startswith(package + ".")


def imports(tree):
    """Yield the dotted name of each import, and whether it waits for a call (or for a type checker)."""
    late = {node for parent in ast.walk(tree)
            if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef))
            or (isinstance(parent, ast.If) and "TYPE_CHECKING" in ast.unparse(parent.test))
            for node in ast.walk(parent)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            for alias in node.names:                             # `from a import b`: b may be a module
                name = f"{source}.{alias.name}"
                yield (name if name in PATHS else source), node in late


def layer(name):
    """Return the height of a module of pysift, or None where LAYERS has no place for it."""
    return next((height for height, row in enumerate(LAYERS) if part(name) in row), None)


def part(name):
    """Return what LAYERS calls a module: its folder in pysift, or its own name there; of kernels, its own in them."""
    parts = f"{name}.__init__".split(".")[1:]
    return ".".join(parts[:2]).removesuffix(".__init__") if parts[0] == "kernels" else parts[0]


def modules(package):
    return ((name, tree) for name, tree in TREES.items() if is_under(name, package))


def is_kernel(function):
    return any(re.search(r"\b(n?jit|(gu)?vectorize)\b", ast.unparse(d)) for d in function.decorator_list)


def code_lines(path, tree):
    """Return the numbers of the lines that hold code: more than a comment or a docstring."""
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    with tokenize.open(path) as file:
        tokens = [t for t in tokenize.generate_tokens(file.readline) if t.type not in blank]
    code = {line for t in tokens for line in range(t.start[0], t.end[0] + 1)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            code -= set(range(node.lineno, node.end_lineno + 1))
    return code


def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def assert_none(offenders):
    assert not offenders, "\n" + "\n".join(sorted(offenders))


def test_each_package_imports_only_what_the_table_allows():
    offenders = []
    for name, tree in TREES.items():
        package = max((p for p in TABLE if is_under(name, p)), key=len, default=None)
        if package is None:
            continue
        anywhere, in_functions = TABLE[package]
        for target, is_late in imports(tree):
            allowed = anywhere | in_functions if is_late else anywhere
            if target.split(".")[0] in sys.stdlib_module_names or any(is_under(target, a) for a in allowed):
                continue
            where = "inside a function" if is_late else "at its top"
            offenders.append(f"{name} imports {target} {where}, where {package} may import {sorted(allowed)}")
    assert_none(offenders)


def test_each_module_of_pysift_has_a_layer():
    assert_none([f"{name}: give it a place in LAYERS"
                 for name, _ in modules("pysift") if layer(name) is None])


def test_each_module_of_pysift_imports_from_lower_layers_only():
    assert_none([f"{name} imports {target}, which is not below it"
                 for name, tree in modules("pysift") for target, _ in imports(tree)
                 if is_under(target, "pysift") and None not in (layer(name), layer(target))
                 and layer(target) >= layer(name) and part(target) != part(name)])


def test_each_module_of_the_tape_imports_from_lower_layers_only():
    heights = {f"cnn.tape.{part}".removesuffix(".__init__"): h for h, row in enumerate(TAPE_LAYERS) for part in row}
    found = dict(modules("cnn.tape"))
    assert set(heights) == set(found)
    homes = {target: target if target in heights else "cnn.tape"                       # `from cnn.tape import Tensor`
             for tree in found.values() for target, _ in imports(tree) if is_under(target, "cnn.tape")}
    assert_none([f"{name} imports {target}, which is not below it"
                 for name, tree in found.items() for target, _ in imports(tree)
                 if target in homes and heights[homes[target]] >= heights[name]])


def test_each_header_of_the_tape_lists_what_its_module_imports():
    offenders = []
    for name, tree in modules("cnn.tape"):
        line = re.search(r"^imports:(.*)$", ast.get_docstring(tree), re.MULTILINE)
        if line:
            listed = {word for word in re.findall(r"\w+", line[1]) if f"cnn.tape.{word}" in PATHS}
            imported = {t.removeprefix("cnn.tape.") for t, _ in imports(tree) if t.startswith("cnn.tape.")}
            if listed != imported:
                offenders.append(f"{name} lists {sorted(listed)} and imports {sorted(imported)}")
        elif name != "cnn.tape":
            offenders.append(f"{name} has no line of imports in its header")
    assert_none(offenders)


def test_each_header_of_pysift_lists_what_its_module_imports():
    offenders = []
    for name, tree in modules("pysift"):
        line = re.search(r"^imports:(.*?)(   |$)", ast.get_docstring(tree) or "", re.MULTILINE)
        if line:
            listed = {word for word in re.findall(r"[\w.]+", line[1]) if f"pysift.{word}" in PATHS}
            imported = {t.removeprefix("pysift.") for t, _ in imports(tree) if t.startswith("pysift.")}
            in_words = not listed and "nothing" not in line[1]           # "every step"
            if listed != imported and not in_words:
                offenders.append(f"{name} lists {sorted(listed)} and imports {sorted(imported)}")
    assert_none(offenders)


def test_a_command_line_imports_only_the_standard_library_before_it_knows_the_command():
    assert_none([f"{name} imports {target} at its top: move it into the sub-command"
                 for package, part in (("pysift", "cli"), ("cnn", "cli"), ("pysift", "usage"))
                 for name, tree in modules(f"{package}.{part}")
                 for target, is_late in imports(tree)
                 if not is_late and target.split(".")[0] not in sys.stdlib_module_names
                 and target not in (package, "pysift.usage") and not is_under(target, f"{package}.cli")])


def test_the_oracle_imports_no_kernel():
    assert_none([f"tests/oracle.py imports {target}" for target, _ in imports(TREES["tests.oracle"])
                 if target != "pysift.params" and target.split(".")[0] in ("numba", *FOLDERS)])


def test_no_folder_is_called_utils_and_no_module_common_or_helpers():
    assert_none([f"{name}: name it after what it does" for name in PATHS
                 if {"utils", "common", "helpers"} & set(name.split("."))])


def test_files_functions_and_kernels_keep_to_the_budget():
    sizes = []
    for name, path in PATHS.items():
        code = code_lines(path, TREES[name])
        if not is_under(name, "tests"):                       # a test file is as long as the laws it holds
            sizes.append((name, len(path.read_text(encoding="utf-8").splitlines()), "lines"))
        for f in ast.walk(TREES[name]):
            if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)):
                span = set(range(f.lineno, f.end_lineno + 1))
                sizes.append((f"{name}.{f.name}", len(code & span), "code lines"))
                if is_kernel(f):
                    n = len(f.args.posonlyargs + f.args.args + f.args.kwonlyargs)
                    sizes.append((f"{name}.{f.name}", n, "arguments"))
    assert_none([f"{name} has {size} {unit}, {BUDGET[unit]} at most"
                 for name, size, unit in sizes if size > BUDGET[unit]])


def test_an_installed_pysift_needs_numpy_numba_and_pillow_only():
    lines = setup_cfg()["options"]["install_requires"].split("\n")
    assert {re.match(r"[\w-]+", line)[0] for line in lines if line} == {"numpy", "numba", "pillow"}


def test_each_extra_that_a_message_names_exists():
    extras = set(setup_cfg()["options.extras_require"])
    assert_none([f"{name} names siftgrad[{extra}]"
                 for name, path in PATHS.items() if path != Path(__file__)
                 for group in re.findall(r"siftgrad\[([\w,]+)\]", path.read_text(encoding="utf-8"))
                 for extra in group.split(",") if extra not in extras])
