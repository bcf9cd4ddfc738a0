"""The three command lines: each answers alone, helps by an example that works, guesses a typo, and fails helpfully."""
import contextlib
import difflib
import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import cnn.cli
import cnn.digits
import diffsift.cli
import pysift.cli
from pysift import photos

ROOT = Path(__file__).resolve().parent.parent
MAINS = {"pysift": pysift.cli.main, "diffsift": diffsift.cli.main, "cnnlab": cnn.cli.main}
PROGRAMS = {"pysift": ["pysift"], "cnnlab": ["cnnlab"], "diffsift": ["python", "-m", "diffsift"]}

# examples that are parsed and not run here, and why
NOT_RUN = {"cnnlab train": "trains for minutes, on data that it downloads", "cnnlab eval": "needs a run",
           "cnnlab compare": "needs runs", "cnnlab gradflow": "downloads CIFAR-10",
           **dict.fromkeys((f"diffsift {name}" for name in diffsift.cli.APPS),
                           "minutes; tests/test_diffsift_apps.py runs each on something small")}


def parsers():
    """Yield each program with its parser and those of its commands, by name."""
    trees = {"pysift": [pysift.cli.build_parser()], "cnnlab": [cnn.cli.build_parser()],
             "diffsift": [diffsift.cli.build_parser(name) for name in diffsift.cli.APPS]}
    for program, mains in trees.items():
        yield program, program, mains[0]
        for main in mains:
            commands = main._subparsers._group_actions[0].choices
            for name, parser in commands.items():
                if program != "diffsift" or name == main_of(main):
                    yield program, f"{program} {name}", parser


def main_of(parser):
    """The one application that this parser of diffsift holds in full."""
    commands = parser._subparsers._group_actions[0].choices
    return next(name for name, sub in commands.items() if sub.get_default("app"))


PARSERS = {name: (program, parser) for program, name, parser in parsers()}


def examples(parser):
    return [line.strip() for line in (parser.epilog or "").partition("example:\n")[2].splitlines() if line.strip()]


def arguments(program, example):
    words = shlex.split(example)
    start = PROGRAMS[program]
    assert words[:len(start)] == start
    return words[len(start):]


EXAMPLES = [(name, program, example) for name, (program, parser) in PARSERS.items() for example in examples(parser)]
RUNNABLE = [case for case in EXAMPLES if not any(" ".join([case[1], *arguments(*case[1:])]).startswith(f"{command} ")
                                                 for command in NOT_RUN)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with what the examples name: photographs, feature files, a picture of a digit."""
    here = tmp_path_factory.mktemp("examples")
    (here / "photos").mkdir()
    cat = photos.photo("chelsea")[40:200, 100:320]
    for name, pixels in (("photo", cat), ("left", cat), ("right", np.rot90(cat)), ("photos/one", cat)):
        PIL.Image.fromarray(pixels).save(here / f"{name}.jpg", quality=95)
    for name in ("left", "right"):
        with contextlib.redirect_stdout(io.StringIO()):
            assert pysift.cli.main(["detect", str(here / f"{name}.jpg"), "-o", str(here / f"{name}.npz")]) == 0
    for name, digit in (("seven", "7"), ("scribble", "abrakadabra")):
        (here / f"{name}.png").write_bytes(cnn.digits.path(digit).read_bytes())
    return here


@pytest.mark.parametrize("name", PARSERS)
def test_every_help_has_an_example(name):
    program, parser = PARSERS[name]
    assert examples(parser), f"{name} --help has no example"
    help_ = parser.format_help()
    assert all(example in help_ for example in examples(parser))


@pytest.mark.parametrize("name, program, example", EXAMPLES)
def test_every_example_is_of_its_command_and_parses(name, program, example):
    words = arguments(program, example)
    assert name in (program, f"{program} {words[0]}")
    if program == "diffsift":
        diffsift.cli.build_parser(words[0]).parse_args(words)
    else:
        {"pysift": pysift.cli, "cnnlab": cnn.cli}[program].build_parser().parse_args(words)


@pytest.mark.parametrize("name, program, example", RUNNABLE)
def test_an_example_that_is_quick_runs(name, program, example, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    words = [str(path) for word in arguments(program, example)
             for path in (sorted(Path().glob(word)) if "*" in word else [word])]
    assert MAINS[program](words) == 0
    out, err = capsys.readouterr()
    assert out and "error" not in err


def test_what_is_not_run_is_still_a_command():
    assert set(NOT_RUN) <= set(PARSERS)


@pytest.mark.parametrize("package", ["pysift", "diffsift", "cnn"])
def test_a_package_alone_answers_with_its_help_and_exit_code_2(package):
    done = subprocess.run([sys.executable, "-m", package], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
    asked = subprocess.run([sys.executable, "-m", package, "--help"], capture_output=True, text=True)
    assert asked.returncode == 0 and asked.stderr == "" and "example:" in asked.stdout
    assert done.stderr.startswith(asked.stdout) and "are required" in done.stderr.splitlines()[-1]


def test_a_command_without_its_arguments_shows_no_more_than_its_usage(capsys):
    assert pysift.cli.main(["detect"]) == 2
    assert "example:" not in capsys.readouterr().err


@pytest.mark.parametrize("program, words, meant", [
    ("pysift", "detct a.png", "detect"), ("pysift", "match a b --rato 0.7", "--ratio"),
    ("pysift", "match a b --rato=0.7", "--ratio"), ("pysift", "match a --rato 0.7", "--ratio"),
    ("pysift", "--verison", "--version"), ("pysift", "detect a --format vlfet", "vlfeat"),
    ("diffsift", "covarience", "covariance"), ("diffsift", "attack --prises 10", "--prices"),
    ("cnnlab", "trian lenet", "train"), ("cnnlab", "train lenet --epoch 3", "--epochs"),
    ("cnnlab", "saliency chelsea --method smoth", "smooth"), ("cnnlab", "gradcam chelsea --layr x", "--layer"),
])
def test_a_typo_is_answered_with_what_was_meant(program, words, meant, capsys):
    assert MAINS[program](words.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.endswith(f"\ndid you mean {meant}?\n")


@pytest.mark.parametrize("program, words", [("pysift", "detect a --xyzzy"), ("pysift", "qqq"), ("cnnlab", "qqq"),
                                            ("diffsift", "qqq"), ("pysift", "match a b --ratio 7")])
def test_nothing_is_guessed_where_nothing_is_alike(program, words, capsys):
    assert MAINS[program](words.split()) == 2
    assert "did you mean" not in capsys.readouterr().err


def test_every_option_of_every_command_is_guessed_from_one_letter_less():
    """Whatever the option: dropping a letter from its middle leaves it, or another just as near, to be guessed."""
    for name, (_, parser) in PARSERS.items():
        for option in parser._option_string_actions:
            if len(option) > 5 and option.startswith("--"):
                typo = option[:4] + option[5:]
                near = parser.suggestion(f"unrecognized arguments: {typo}", [typo])
                assert near and alike(typo, near) >= alike(typo, option), (name, typo, near)


def alike(a, b):
    return difflib.SequenceMatcher(None, b, a).ratio()


MISSING = [("pysift", "draw {cat} -o k.png", "matplotlib", "plot"), ("pysift", "compare {cat}", "cv2", "cv2"),
           ("pysift", "match {cat} {cat} --draw m.png", "matplotlib", "plot"),
           ("diffsift", "covariance", "torch", "torch"), ("diffsift", "covariance", "matplotlib", "plot"),
           ("diffsift", "attack", "cv2", "cv2"), ("cnn", "predict --demo", "torch", "torch"),
           ("cnn", "predict --demo -o a.png", "matplotlib", "plot"), ("cnn", "saliency chelsea", "torch", "torch"),
           ("cnn", "train lenet", "torch", "torch")]


@pytest.mark.parametrize("package, words, missing, extra", MISSING)
def test_a_missing_package_is_named_with_the_extra_that_installs_it(package, words, missing, extra, folder):
    script = (f"import sys\nsys.modules[{missing!r}] = None\nfrom {package}.cli import main\n"
              "sys.exit(main(sys.argv[1:]))")
    done = subprocess.run([sys.executable, "-c", script, *words.format(cat="photo.jpg").split()], cwd=folder,
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert package == "cnn" or done.stdout == ""                     # said before the work, not after it
    assert missing in done.stderr and f'pip install "siftgrad[{extra}]"' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("program, words, code, remedy", [
    ("pysift", "demo -o photo.jpg", 2, "photo.jpg is a file: name a folder"),
    ("pysift", "match photo.jpg photo.jpg --draw m.xyz", 2, ".xyz is no kind of picture: use .png"),
    ("pysift", "match left.npz right.npz --ratio 0.001", 0, "no match: a larger --ratio"),
    ("diffsift", "align --image nowhere.png", 1, "'nowhere.png' does not exist"),
    ("diffsift", "align --image photos", 1, "'photos' is a folder"),
    ("diffsift", "covariance -o photo.jpg", 2, "photo.jpg is a file: name a folder"),
    ("diffsift", "covariance -o photo.jpg/deeper", 2, "photo.jpg is a file: name a folder"),
    ("diffsift", "covariance --threads 0", 2, "'0' is not a whole number from 1 on"),
    ("diffsift", "covariance --size -5", 2, "'-5' is not a whole number from 1 on"),
    ("diffsift", "covariance --noise -1", 2, "'-1' is not above 0"),
    ("diffsift", "align --turn nan", 2, "'nan' is not finite"),
    ("diffsift", "learn --plants 0", 2, "'0' is not a whole number from 1 on"),
    ("diffsift", "learn --data nowhere", 1, "--data nowhere is no folder"),
    *(("diffsift", f"{app} --size 8", 1, "choose a larger --size or another --image")
      for app in ("covariance", "saliency", "align", "attack", "invert", "learn")),
    ("cnnlab", "train lenet -o photo.jpg", 2, "photo.jpg is a file: name a folder"),
    ("cnnlab", "eval photo.jpg", 1, "give the folder of a run"),
    ("cnnlab", "gradflow --depths 9", 2, "9 is not 6n + 2"),
    ("cnnlab", "gradflow --depths 2", 2, "2 is not 6n + 2"),
    ("cnnlab", "gradflow --rate -3", 2, "-3 must be positive"),
    ("cnnlab", "saliency chelsea -o s.jpg", 2, "give it the suffix .png"),
    ("cnnlab", "saliency chelsea --class taby", 1, "281 tabby"),
    ("cnnlab", "predict --demo -o photos", 1, "photos: is a directory: check the name"),
])
def test_a_failure_is_one_sentence_with_a_remedy(program, words, code, remedy, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert MAINS[program](words.split()) == code
    assert remedy in capsys.readouterr().err.splitlines()[-1]


def test_without_a_network_training_says_how_to_go_on_without_one(folder, monkeypatch, capsys, tmp_path):
    def refuse(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIFTGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("socket.create_connection", refuse)
    assert cnn.cli.main(["train", "lenet"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "Name or service not known" in last and "check the network" in last and "--data" in last


def test_a_folder_that_may_not_be_written_to_is_refused_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)      # root may write anywhere
    assert diffsift.cli.main(["covariance", "-o", str(tmp_path / "new")]) == 2
    assert f"{tmp_path} may not be written to" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("side", [1, 4])
@pytest.mark.parametrize("program, words", [
    ("pysift", "detect tiny.png"), ("pysift", "match tiny.png tiny.png --draw m.png"), ("pysift", "trace tiny.png"),
    ("pysift", "draw tiny.png -o k.png"), ("pysift", "compare tiny.png"), ("cnnlab", "saliency tiny.png"),
    ("cnnlab", "gradcam tiny.png")])
def test_a_tiny_picture_has_no_keypoints_and_that_is_no_failure(program, words, side, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    PIL.Image.fromarray(np.arange(side * side * 3, dtype=np.uint8).reshape(side, side, 3)).save("tiny.png")
    assert MAINS[program](words.split()) == 0
    assert "rror" not in capsys.readouterr().err
