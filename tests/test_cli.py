"""The command line: every failure has its exit code and its words, and none has a traceback.

Most tests call main in this process; those about the process itself start `python -m pysift`.
"""
import io
import json
import os
import pty
import resource
import shlex
import signal
import subprocess
import sys
import termios

import pytest

import pysift
from pysift import cli
from pysift.commands.report import say
from pysift.files import read_features

pytest_plugins = ("command_line",)
PYSIFT = [sys.executable, "-m", "pysift"]


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_help_of_a_command_ends_with_an_example_that_parses(run, command):
    code, out, _ = run(command, "--help")
    examples = out.partition("example:\n")[2].strip().splitlines()
    assert code == 0 and examples
    for example in examples:
        name, *argv = shlex.split(example)
        assert name == "pysift" and cli.build_parser().parse_args(argv).command == command


def test_help_comes_at_once_and_imports_neither_numpy_nor_numba():
    heavy = "'numpy', 'numba', 'PIL', 'matplotlib', 'cv2', 'tqdm'"
    script = ("import sys\nfrom pysift.cli import main\ncode = main(['--help'])\n"
              f"sys.exit(code or [name for name in ({heavy}) if name in sys.modules] or 0)")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in cli.COMMANDS)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3     # s of processor, not of clock


def test_the_version_is_that_of_the_package(run):
    assert run("--version") == (0, f"pysift {pysift.__version__}\n", "")


@pytest.mark.parametrize("argv, words", [
    ([], "required: COMMAND"),
    (["detct", "cat.png"], "did you mean detect?"),
    (["detect", "cat.png", "--nfeature", "9"], "did you mean --nfeatures?"),
    (["detect", "cat.png", "--xyzzy"], "unrecognized arguments: --xyzzy"),
    (["detect"], "required: IMAGE"),
    (["detect", "cat.png", "--nfeatures", "many"], "invalid int value: 'many'"),
    (["detect", "cat.png", "--nfeatures", "-5"], "nfeatures=-5 is out of range"),
    (["detect", "cat.png", "--contrast", "nan"], "contrast_threshold=nan"),
    (["detect", "cat.png", "--sigma", "0"], "sigma=0.0 is out of range"),
    (["detect", "cat.png", "--layers", "0"], "n_octave_layers=0 is out of range"),
    (["detect", "cat.png", "--edge", "-1"], "edge_threshold=-1.0 is out of range"),
    (["detect", "cat.png", "--descriptor", "surf"], "descriptor='surf' is unknown"),
    (["detect", "cat.png", "--preset", "surf"], "preset 'surf' is unknown"),
    (["detect", "cat.png", "--max-dim", "0"], "'0' is not a whole number from 1 on"),
    (["detect", "cat.png", "--threads", "0"], "'0' is not a whole number from 1 on"),
    (["detect", "cat.png", "--format", "lowe"], "add -o OUT"),
    (["detect", "cat.png", "-o", "cat.csv"], ".csv names no kind of feature file"),
    (["detect", "cat.png", "turned.png", "-o", "both.npz"], "one file for 2 images"),
    (["detect", "cat.png", "turned.png", "-o", "text.png"], "one file for 2 images"),
    (["detect", "cat.png", "cat.jpg", "-o", "out"], "cat.png and cat.jpg would both become out/cat.npz"),
    (["match", "cat.png"], "required: B"),
    (["match", "cat.png", "turned.png", "--ratio", "1.5"], "1.5 is not in (0, 1]"),
    (["match", "cat.png", "turned.png", "-o", "matches.txt"], "suffix .npz or .json"),
    (["match", "cat.npz", "turned.png", "--draw", "m.png"], "--draw needs the two images"),
    (["draw", "cat.png"], "required: -o/--output"),
    (["draw", "cat.png", "-o", "d.png", "-n", "-1"], "'-1' is not a whole number from 1 on"),
    (["compare", "cat.png", "--with", "surf"], "invalid choice: 'surf'"),
    (["trace", "cat.png", "--at", "3"], "'3' is not X,Y"),
])
def test_wrong_usage_ends_with_2_says_why_and_writes_nothing(run, pictures, argv, words):
    before = sorted(os.listdir(pictures))
    code, out, err = run(*argv)
    assert (code, out) == (2, "") and words in err and "error:" in err
    assert sorted(os.listdir(pictures)) == before


@pytest.mark.parametrize("name", ["missing.png", "folder.png", "truncated.jpg", "text.png", "empty.png"])
@pytest.mark.parametrize("command", [["detect"], ["compare"], ["trace"], ["draw", "-o", "d.png"],
                                     ["match", "cat.png"]])
def test_a_file_that_is_no_image_ends_with_1_and_is_named(run, pictures, command, name):
    code, out, err = run(*command, name)
    assert (code, out) == (1, "") and err.startswith("pysift: error: ") and name in err and err.count("\n") == 1
    assert not (pictures / "d.png").exists()


def test_a_failing_image_does_not_stop_the_rest_and_ends_with_3(run, tmp_path):
    code, out, err = run("detect", "cat.png", "text.png", "missing.png", "turned.png", "-o", tmp_path / "new", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    assert [r["image"] for r in records] == ["cat.png", "text.png", "missing.png", "turned.png"]
    assert ["error" in r for r in records] == [False, True, True, False]
    assert err.count("pysift: error: ") == 2 and "text.png" in err and "missing.png" in err
    assert sorted(os.listdir(tmp_path / "new")) == ["cat.npz", "turned.npz"]


def test_images_that_all_fail_end_with_1(run):
    assert run("detect", "text.png", "missing.png")[0] == 1


def test_a_picture_too_large_for_the_memory_says_so(run, monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 1 << 10)
    code, _, err = run("detect", "cat.png")
    assert code == 1 and "cat.png: an image of 220 × 160 needs" in err


def test_the_place_of_an_error_is_shown_only_when_asked_for(pictures):
    for option, shown in (("-v", False), ("-vv", True)):
        done = subprocess.run([*PYSIFT, "trace", pictures / "text.png", option], capture_output=True, text=True)
        assert done.returncode == 1 and ("Traceback" in done.stderr) == shown


def test_a_process_ends_with_the_code_of_main_and_says_nothing_on_stderr_when_all_is_well(warm, pictures, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}                # where × and → have no code
    done = subprocess.run([*PYSIFT, "detect", "cat.png", "-o", tmp_path / "cat.npz"], cwd=pictures, env=environment,
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "keypoints" in done.stdout
    assert len(read_features(tmp_path / "cat.npz").keypoints) > 50
    failed = subprocess.run([*PYSIFT, "detect", "--xyzzy"], cwd=pictures, capture_output=True, text=True)
    assert failed.returncode == 2 and "Traceback" not in failed.stderr


def test_compilation_is_announced_once_and_only_when_it_happens():
    script = ("import numba\nfrom pysift.commands.compiling import announce_compilation as announce\n"
              "announce(); announce(); print(end='quiet', flush=True)\n"
              "f, g = numba.njit(lambda x: x + 1), numba.njit(lambda x: x + 2)\n"
              "import sys; sys.stderr.write('before|'); f(1); g(1); f(1)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    before, _, after = done.stderr.partition("|")
    assert (before, after.count("\n")) == ("before", 1) and "compiling the kernels" in after


@pytest.mark.slow
def test_with_an_empty_cache_warmup_says_that_it_compiles_and_later_commands_need_not(pictures, tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def start(*argv):
        return subprocess.run([*PYSIFT, *argv], cwd=pictures, env=environment, capture_output=True, text=True)

    cold = start("warmup")
    ready, _, total = cold.stdout.partition(" kernels")[0].partition(" of ")
    assert ready == total != "" and cold.stderr.count("compiling the kernels") == cold.stderr.count("\n") == 1
    for options in ([], ["--preset", "opencv"], ["--descriptor", "root"]):
        done = start("detect", "cat.png", *options)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_line_reaches_its_reader_before_the_next_is_computed():
    stream = io.TextIOWrapper(io.BytesIO())
    say("one", stream)
    assert stream.buffer.getvalue() == b"one\n"


def test_a_reader_that_goes_away_ends_the_command_quietly(warm, pictures):
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen([*PYSIFT, "detect", *["cat.png"] * 50], cwd=pictures, env=buffered,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 141 and process.stderr.read() == b""
    process.stderr.close()


def test_ctrl_c_ends_with_130_and_no_traceback(warm, pictures):
    # A process in the background of a script, as pytest may be, passes on that it ignores SIGINT.
    process = subprocess.Popen([*PYSIFT, "detect", *["cat.png"] * 5000], cwd=pictures, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "pysift: error: interrupted\n")


def test_several_images_show_a_bar_on_a_terminal_and_data_stays_on_stdout(warm, pictures):
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, 80))
    done = subprocess.Popen([*PYSIFT, "detect", "--json", "cat.png", "turned.png"], cwd=pictures,
                            stdout=subprocess.PIPE, stderr=child)
    out, _ = done.communicate(timeout=60)
    os.write(child, b"end")                                                  # so that there is something to read
    shown = os.read(parent, 1 << 16)
    os.close(child)
    os.close(parent)
    assert b"/2" in shown and b"image" in shown
    assert [json.loads(line)["image"] for line in out.splitlines()] == ["cat.png", "turned.png"]


def test_without_tqdm_there_is_no_bar_and_no_complaint(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    code, out, err = run("detect", "cat.png", "turned.png")
    assert (code, err, out.count("\n")) == (0, "", 2)
