"""What README and docs/ show to be typed works: a command runs, or at least parses, and Python runs.

A command that takes a network, a data set or minutes goes to the parser of its program; every other one is run, in a
folder that holds the files it names.  Lines with >>> are doctests (setup.cfg), cells run when the site is built.
"""
import configparser
import doctest
import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import benchmarks.__main__
import cnn.cli
import diffsift.cli
import pysift.cli
from pysift.photos import photo

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(path for path in (ROOT / "docs").rglob("*.md") if "_static" not in path.parts)])
MAINS = {"pysift": pysift.cli.main, "cnnlab": cnn.cli.main, "diffsift": diffsift.cli.main}
NOT_RUN = {"make": "sets up an environment, or runs this test", "pip": "changes the environment",
           "python -m diffsift": "minutes; tests/test_diffsift_apps.py runs each on something small",
           "cnnlab train": "minutes, on data that it downloads", "torchrun": "the same", "cnnlab eval": "needs a run",
           "python -m cnn.two_networks": "minutes",
           "cnnlab compare": "needs runs", "cnnlab gradflow": "downloads CIFAR-10",
           "cnnlab saliency my.jpg --model vgg16": "downloads 528 MB"}
LISTINGS = {"soft_vs_hard.md": "shows the sources; tests/test_soft_vs_hard.py"}

FENCE = re.compile(r"^( *)(```+|:::+)(\S*)[^\n]*\n(.*?)^\1\2 *$", re.M | re.S)
PROGRAM = r"(?:pysift|cnnlab|python|torchrun|make|pip)"


def fences(page):
    """(language, what stands in it) of each fenced block."""
    return [(language, body) for _, _, language, body in FENCE.findall(page.read_text(encoding="utf-8"))]


def lines(page):
    """Each command that a reader would copy, as words: the lines of a console, and indented lines like them."""
    consoles = "".join(body for language, body in fences(page) if language == "console").replace("\\\n", " ")
    indented = re.findall(rf"^ {{4,}}({PROGRAM} .*)", FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    return list(filter(None, (shlex.split(line, comments=True) for line in [*consoles.splitlines(), *indented])))


def mentions(page):
    """Each command that a sentence names in `code`."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [shlex.split(" ".join(found.split())) for found in re.findall(rf"(?<!`)`({PROGRAM}\s[^`]+)`", prose)]


def program(words):
    """Return the name of one of our command lines and its arguments, or None."""
    if words[0] == "torchrun":
        words = ["python", *words[words.index("-m"):]]
    if words[:2] == ["python", "-m"]:
        name = {"cnn": "cnnlab"}.get(words[2], words[2])
        return (name, words[3:]) if name in MAINS else None
    return (words[0], words[1:]) if words[0] in MAINS else None


def parse(words):
    """Give a command to the parser of its program; fail unless it is understood."""
    if ours := program(words):
        name, rest = ours
        parser = {"pysift": pysift.cli.build_parser, "cnnlab": cnn.cli.build_parser,
                  "diffsift": lambda: diffsift.cli.build_parser(rest[0] if rest else "covariance")}[name]()
        commands = parser._subparsers._group_actions[0].choices
        if rest and rest[-1] == "--help" or len(rest) == 1:                  # only named, as in `pysift match`
            assert rest[0] in commands
        elif rest:
            parser.parse_args(rest)
    elif words[0] == "make":
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
        assert {word for word in words[1:] if "=" not in word} <= targets
    elif words[:2] == ["pip", "install"]:
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg", encoding="utf-8")
        extras = re.fullmatch(r"(?:\.|siftgrad)(?:\[([\w,]+)\])?", words[2])
        assert set((extras[1] or "all").split(",")) <= set(setup["options.extras_require"])
    elif words[:3] == ["python", "-m", "benchmarks"]:
        assert set(words[3:4]) <= set(benchmarks.__main__.BENCHMARKS)
        assert {word for word in words if word.startswith("-")} <= {"-m", "--data", "--quick"}
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2])
    else:
        assert words[0] == "python" and (ROOT / words[1]).is_file()


def is_run(words):
    return not any((" ".join(words) + " ").startswith(f"{start} ") for start in NOT_RUN)


LINES = [(page, words) for page in PAGES for words in lines(page)]
RUN = list(dict.fromkeys(" ".join(words) for _, words in LINES if is_run(words)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files that the commands name."""
    here = tmp_path_factory.mktemp("shown")
    for name in ("photo", "a", "b", "cat", "my", "left", "right"):
        turned = np.rot90(photo("chelsea")[:160, :320], 2 * (name in ("b", "right")))
        PIL.Image.fromarray(turned).save(here / f"{name}.jpg")
    PIL.Image.fromarray(photo("chelsea")[60:92, 120:152]).save(here / "frog.png")
    return here


def test_every_fence_is_of_a_kind_that_some_test_runs():
    kinds = {(language, page.name) for page in PAGES for language, _ in fences(page)
             if language not in ("console", "python", "pycon", "text") and not language.startswith("{")}
    assert not kinds, f"{kinds}: call it console, python, pycon, or text where it is nothing to run"
    assert not [page.name for page in PAGES for language, body in fences(page)
                if language == "text" and re.search(rf"^\$? ?{PROGRAM} ", body, re.M)]


def test_there_are_commands_of_each_program_to_try():
    names = [words[0] for _, words in LINES]
    assert {"pysift", "cnnlab", "python", "make"} <= set(names) and len(names) > 30
    assert sum(len(mentions(page)) for page in PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_understood(page):
    for words in [*lines(page), *mentions(page)]:
        try:
            parse(words)
        except (AssertionError, SystemExit, TypeError) as error:
            pytest.fail(f"{page.name} shows {shlex.join(words)}: {error}")


@pytest.mark.parametrize("command", RUN)
def test_a_command_that_is_cheap_runs_and_writes_what_it_names(command, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    name, words = program(command.split())
    words = [str(path) for word in words for path in (sorted(Path().glob(word)) if "*" in word else [word])]
    assert MAINS[name](words) == 0
    out, err = capsys.readouterr()
    assert out and "rror" not in err
    named = [words[i + 1] for i, word in enumerate(words) if word in ("-o", "--output", "--draw")]
    assert all(Path(path).exists() for path in named), named


def test_what_is_not_run_is_shown_somewhere():
    assert [start for start in NOT_RUN
            if not any((" ".join(words) + " ").startswith(f"{start} ") for page in PAGES
                       for words in [*lines(page), *mentions(page)])] == []


def python(page):
    """The blocks of Python that are no doctests: each is a program of its own."""
    return [body for language, body in fences(page) if language == "python" and ">>>" not in body]


@pytest.mark.parametrize("page", [page for page in PAGES if python(page)], ids=lambda page: page.name)
def test_python_without_prompts_runs_too(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if page.name not in LISTINGS:
        for body in python(page):
            exec(compile(body, str(page), "exec"), {})               # what it says fails, if anything does


def test_every_doctest_of_the_pages_is_seen_by_doctest():
    """A prompt inside a block that doctest cannot read would never run."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found = doctest.DocTestParser().get_examples(text)
        assert len(found) == len(re.findall(r"^ *>>> ", text, re.M)), page.name
