"""The command line: what it prints and writes is what the API returns; every failure has its code and its words.

Most tests call main in this process; those about the process itself start `python -m pysift`.
"""
import json
import os
import pty
import resource
import shlex
import signal
import subprocess
import sys

import cv2
import numpy as np
import PIL.Image
import pytest

import pysift
from pysift import cli, photos
from pysift.commands import demo
from pysift.commands.compiling import kernels
from pysift.files import read_features, read_params
from pysift.params import SIFTParams

PYSIFT = [sys.executable, "-m", "pysift"]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with a photograph, the same turned by 90°, a blank one, and four files that are no image."""
    folder = tmp_path_factory.mktemp("pictures")
    cat = photos.photo("chelsea")[40:200, 100:320]
    for name, pixels in (("cat", cat), ("turned", np.rot90(cat)), ("blank", np.full((40, 50, 3), 99, np.uint8))):
        PIL.Image.fromarray(pixels).save(folder / f"{name}.png")
    PIL.Image.fromarray(cat).save(folder / "cat.jpg")
    (folder / "truncated.jpg").write_bytes((folder / "cat.jpg").read_bytes()[:1500])
    (folder / "text.png").write_text("this is no picture")
    (folder / "empty.png").touch()
    (folder / "folder.png").mkdir()
    return folder


@pytest.fixture
def run(capsys, monkeypatch, pictures):
    """Call main among the pictures; return its code, its stdout and its stderr."""
    monkeypatch.chdir(pictures)

    def run(*argv):
        code = cli.main([str(a) for a in argv])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


@pytest.fixture(scope="session")
def warm():
    """All kernels compiled, so that a process of its own starts at once."""
    cli.main(["warmup"])


def pixels(path):
    with PIL.Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


# the parser -------------------------------------------------------------------------------------


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


# inputs that cannot be read ---------------------------------------------------------------------


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


def test_numba_without_a_folder_for_its_cache_is_a_message(run, monkeypatch):
    def fail(args):
        raise RuntimeError("cannot cache function 'f': no locator available for file 'f.py'")

    monkeypatch.setattr("pysift.commands.doctor.run", fail)
    code, _, err = run("doctor")
    assert code == 1 and "NUMBA_CACHE_DIR" in err


# detect -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options, params", [
    ([], SIFTParams()),
    (["--preset", "opencv"], SIFTParams.opencv()),
    (["--preset", "lowe", "--edge", "5"], SIFTParams.preset("lowe", edge_threshold=5)),
    (["--nfeatures", "40", "--contrast", "0.02", "--sigma", "1.8", "--layers", "2", "--threads", "1"],
     SIFTParams(nfeatures=40, contrast_threshold=0.02, sigma=1.8, n_octave_layers=2)),
    (["--descriptor", "root"], SIFTParams(descriptor="root")),
])
def test_detect_writes_what_sift_returns(run, tmp_path, options, params):
    code, out, err = run("detect", "cat.png", "-o", tmp_path / "cat.npz", "--json", *options)
    expected, written = pysift.sift(pysift.load_image("cat.png"), params), read_features(tmp_path / "cat.npz")
    assert (code, err) == (0, "") and len(expected.keypoints) > 20
    assert written.keypoints == expected.keypoints and np.array_equal(written.descriptors, expected.descriptors)
    assert read_params(tmp_path / "cat.npz") == params
    record = json.loads(out)
    assert (record["keypoints"], record["width"], record["height"]) == (len(expected.keypoints), 220, 160)


@pytest.mark.parametrize("name, options", [("cat.key", []), ("cat.sift", []), ("cat", ["--format", "lowe"])])
def test_detect_writes_text_as_the_suffix_or_format_says(run, tmp_path, name, options):
    assert run("detect", "cat.png", "-o", tmp_path / name, *options)[0] == 0
    expected = pysift.sift(pysift.load_image("cat.png"))
    path = tmp_path / name
    if not path.suffix:
        path = path.rename(path.with_suffix(".key"))
    assert np.array_equal(read_features(path).descriptors, expected.descriptors)


def test_text_cannot_hold_float_descriptors(run, tmp_path):
    code, _, err = run("detect", "cat.png", "-o", tmp_path / "cat.key", "--descriptor", "float32")
    assert code == 1 and "128 integers" in err and not os.listdir(tmp_path)


def test_a_folder_as_output_takes_one_image_too(run, tmp_path):
    assert run("detect", "cat.png", "-o", f"{tmp_path}/new/", "--format", "vlfeat")[0] == 0
    assert run("detect", "turned.png", "-o", tmp_path)[0] == 0
    assert (tmp_path / "new" / "cat.sift").exists() and (tmp_path / "turned.npz").exists()


def test_an_output_that_cannot_be_written_ends_with_1_and_leaves_nothing(run, tmp_path):
    code, _, err = run("detect", "cat.png", "-o", tmp_path / "no" / "cat.npz")
    assert code == 1 and "its folder exists" in err and not os.listdir(tmp_path)


def test_detect_finds_nothing_where_the_mask_is_black(run, tmp_path):
    mask = np.zeros((160, 220), np.uint8)
    mask[:, 110:] = 255
    PIL.Image.fromarray(mask).save(tmp_path / "mask.png")
    assert run("detect", "cat.png", "--mask", tmp_path / "mask.png", "-o", tmp_path / "cat.npz")[0] == 0
    assert (read_features(tmp_path / "cat.npz").keypoints.x >= 109.5).all()
    code, _, err = run("detect", "turned.png", "--mask", tmp_path / "mask.png")
    assert code == 1 and "mask has shape" in err


def test_detect_shrinks_to_the_size_asked_for_and_turns_upright_on_request(run, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.open("cat.png").save(tmp_path / "lying.png", exif=exif)
    for options, size, warned in ((["--max-dim", "110"], (110, 80), True), (["--apply-exif"], (160, 220), False),
                                  (["-q"], (220, 160), False)):
        code, out, err = run("detect", tmp_path / "lying.png", "--json", *options)
        assert code == 0 and (json.loads(out)["width"], json.loads(out)["height"]) == size
        assert ("pysift: warning: " in err and "EXIF" in err) == warned


def test_a_blank_image_has_no_keypoints_and_that_is_no_failure(run, tmp_path):
    code, out, _ = run("detect", "blank.png", "-o", tmp_path / "blank.npz")
    assert code == 0 and "0 keypoints" in out and read_features(tmp_path / "blank.npz").descriptors.shape == (0, 128)


# match, draw, compare, trace --------------------------------------------------------------------


def test_matches_of_a_turned_photograph_lie_a_quarter_turn_apart(run, tmp_path):
    code, out, _ = run("match", "cat.png", "turned.png", "-o", tmp_path / "m.npz", "--json", "--mutual")
    stored, record = np.load(tmp_path / "m.npz"), json.loads(out)
    (x0, y0), (x1, y1) = stored["xy0"].T, stored["xy1"].T
    assert code == 0 and record["matches"]["count"] == len(x0) > 50
    assert np.mean(np.hypot(x1 - y0, y1 - (219 - x0)) < 1) > 0.95          # rot90: (x, y) → (y, 219 − x)


def test_feature_files_match_as_their_images_do(run, tmp_path):
    run("detect", "cat.png", "turned.png", "-o", tmp_path)
    run("detect", "turned.png", "-o", tmp_path / "turned.key")
    images = json.loads(run("match", "cat.png", "turned.png", "--ratio", "0.6", "--json")[1])
    for a, b in (("cat.npz", "turned.npz"), ("cat.npz", "turned.key")):
        files = json.loads(run("match", tmp_path / a, tmp_path / b, "--ratio", "0.6", "--json")[1])
        assert files["matches"] == images["matches"] and files["keypoints"] == images["keypoints"]
    mixed = json.loads(run("match", tmp_path / "cat.npz", "turned.png", "--ratio", "0.6", "--json")[1])
    assert mixed["matches"] == images["matches"]


def test_match_prints_and_writes_the_statistics_of_its_matches(run, tmp_path):
    d0, d1 = (pysift.sift(pysift.load_image(name)).descriptors for name in ("cat.png", "turned.png"))
    stats = pysift.match(d0, d1).stats()
    code, out, _ = run("match", "cat.png", "turned.png", "-o", tmp_path / "m.json")
    assert code == 0 and f"{len(d0)} keypoints" in out and f"{stats['count']} matches" in out
    assert all(f"{name} {stats[name]:.4g}" in out for name in ("mean", "min", "max", "std"))
    assert json.loads((tmp_path / "m.json").read_text())["stats"] == stats


def test_without_matches_the_statistics_are_null_and_the_pictures_are_drawn(run, tmp_path):
    code, out, _ = run("match", "blank.png", "cat.png", "--json", "--draw", tmp_path / "m.png",
                       "--histogram", tmp_path / "h.png")
    assert code == 0
    assert json.loads(out)["matches"] == {"count": 0, "mean": None, "min": None, "max": None, "std": None}
    assert all(pixels(tmp_path / name).size for name in ("m.png", "h.png"))
    assert "0 matches\n" in run("match", "blank.png", "cat.png")[1]


def test_descriptors_of_two_kinds_are_not_matched(run, tmp_path):
    run("detect", "cat.png", "-o", tmp_path / "a.npz", "--descriptor", "root")
    run("detect", "cat.png", "-o", tmp_path / "b.npz", "--descriptor", "float32")
    code, _, err = run("match", tmp_path / "a.npz", tmp_path / "b.npz")
    assert code == 1 and "root" in err and "float32" in err


def test_a_damaged_feature_file_is_named(run, tmp_path):
    (tmp_path / "a.key").write_text("2 128\n1 2 3")
    code, _, err = run("match", tmp_path / "a.key", "cat.png")
    assert code == 1 and "a.key:2: ends in keypoint 1 of 2" in err


def test_draw_marks_the_picture_and_draws_no_more_than_asked_for(run, tmp_path):
    for n in (1, 50, 10**6):
        code, out, _ = run("draw", "cat.png", "-n", n, "-o", tmp_path / f"{n}.png")
        total = len(pysift.detect(pysift.load_image("cat.png")))
        assert code == 0 and f"{min(n, total)} of {total} keypoints" in out
    few, many = (np.count_nonzero(np.ptp(pixels(tmp_path / f"{n}.png"), axis=2) > 150) for n in (1, 50))
    assert few < many                                                      # pixels of the colour of the circles


def test_a_kind_of_picture_that_cannot_be_drawn_is_refused_and_nothing_is_left(run, tmp_path):
    code, _, err = run("draw", "cat.png", "-o", tmp_path / "d.xyz")
    assert code == 1 and "xyz" in err and not os.listdir(tmp_path)


def test_compare_shows_every_stage_equal_to_opencv(run):
    code, out, _ = run("compare", "cat.png", "turned.png", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    theirs = cv2.SIFT_create().detect(cv2.imread("cat.png"))
    assert code == 0 and [r["equal"] for r in records] == [True, True] and records[0]["theirs"] == len(theirs)
    code, out, _ = run("compare", "cat.png", "text.png", "--layers", "2")
    assert code == 3 and "cat.png" in out and "described" in out and "first departure: none" in out


def test_compare_finds_the_stage_that_departs_and_that_is_no_failure(run, monkeypatch):
    import pysift.parity
    find = pysift.parity.find_extrema
    monkeypatch.setattr(pysift.parity, "find_extrema", lambda dog, params: find(dog, params)[1:])
    code, out, _ = run("compare", "cat.png")
    assert code == 0 and "first departure: candidates" in out


def test_trace_accounts_for_every_candidate(run, tmp_path):
    code, out, _ = run("trace", "cat.png", "--json", "-o", tmp_path / "t.npz", "--nfeatures", "30")
    record, stored = json.loads(out), np.load(tmp_path / "t.npz", allow_pickle=False)
    assert code == 0 and sum(record["steps"].values()) == record["candidates"] == len(stored["candidate_step"])
    steps, counts = np.unique(stored["candidate_step"], return_counts=True)
    assert {s: n for s, n in record["steps"].items() if n} == dict(zip(steps.tolist(), counts.tolist()))
    assert np.array_equal(stored["keypoint_x"],
                          pysift.detect(pysift.load_image("cat.png"), SIFTParams(nfeatures=30)).x)
    assert f"{record['steps']['edge']:8}  edge\n" in run("trace", "cat.png", "--nfeatures", "30")[1]


def test_trace_explains_a_place_as_the_api_does(run):
    why = pysift.trace(pysift.load_image("cat.png")).why(100, 60, 5)
    assert run("trace", "cat.png", "--at", "100,60", "--radius", "5")[:2] == (0, why + "\n")
    assert json.loads(run("trace", "cat.png", "--at", "100,60", "--radius", "5", "--json")[1])["why"] == why.split("\n")
    code, out, err = run("trace", "cat.png", "--at=-9,60")
    assert (code, out) == (1, "") and "(-9, 60) lies outside the image" in err


# demo, doctor, warmup ---------------------------------------------------------------------------


def share_on_target(out):
    return float(out.partition("(")[2].partition(" %)")[0])


def test_the_demo_finds_its_way_back_and_saves_five_pictures(run, tmp_path):
    code, out, err = run("demo", "--output", tmp_path / "new")
    assert (code, err) == (0, "") and share_on_target(out) > 80 and "first departure: none" in out
    assert sorted(os.listdir(tmp_path / "new")) == ["distances.png", "keypoint.png", "keypoints.png", "matches.png",
                                                    "scalespace.png"]
    assert all(pixels(tmp_path / "new" / name).std() > 5 for name in os.listdir(tmp_path / "new"))


def test_without_matplotlib_and_opencv_the_demo_still_counts_and_names_the_extras(run, tmp_path, monkeypatch):
    for name in ("matplotlib", "matplotlib.figure", "cv2"):
        monkeypatch.setitem(sys.modules, name, None)
    code, out, _ = run("demo", "--output", tmp_path / "new")
    assert code == 0 and share_on_target(out) > 80 and "siftgrad[plot]" in out and "siftgrad[cv2]" in out


@pytest.mark.parametrize("command, missing, extra", [
    (["draw", "cat.png", "-o", "d.png"], "matplotlib.figure", "siftgrad[plot]"),
    (["match", "cat.png", "cat.png", "--histogram", "h.png"], "matplotlib.figure", "siftgrad[plot]"),
    (["compare", "cat.png"], "cv2", "siftgrad[cv2]"),
])
def test_what_is_not_installed_ends_with_1_and_names_the_extra(run, pictures, monkeypatch, command, missing, extra):
    monkeypatch.setitem(sys.modules, missing, None)
    code, out, err = run(*command)
    assert code == 1 and extra in err and not {"d.png", "h.png"} & set(os.listdir(pictures))


def test_the_demo_warps_as_opencv_does():
    image = photos.photo("chelsea")
    homography = demo.tilted(451, 300)
    ours, theirs = demo.warp(image, homography), cv2.warpPerspective(image, homography, (451, 300))
    inside = cv2.erode((theirs.max(axis=2) > 0).astype(np.uint8), np.ones((5, 5))) > 0
    difference = np.abs(ours.astype(int) - theirs)[inside]
    # cv2 rounds places to 1/32 px, which at these gradients is a few grey levels
    assert inside.mean() > 0.4 and difference.mean() < 0.5 and np.percentile(difference, 99) <= 3
    assert np.array_equal(demo.warp(image, np.eye(3)), image)


def test_the_doctor_reports_what_is_installed(run):
    code, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert code == 0 and report["numpy"] == np.__version__ and report["pillow"] == PIL.__version__
    assert report["opencv"]["version"] == cv2.__version__ and report["opencv"]["ipp"] == cv2.ipp.useIPP()
    assert report["kernels"]["of"] == len(kernels()) and report["kernels"]["writable"] is True
    assert report["threads"] == pysift.get_num_threads()
    text = run("doctor")[1]
    assert f"numpy       {np.__version__}\n" in text


def test_the_doctor_says_what_is_not_installed(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert json.loads(run("doctor", "--json")[1])["opencv"] is None
    assert "opencv      not installed\n" in run("doctor")[1]


def test_after_warmup_every_kernel_is_in_the_cache(run):
    code, out, _ = run("warmup")
    assert code == 0 and f"{len(kernels())} of {len(kernels())} kernels" in out and all(kernels().values())


# the process ------------------------------------------------------------------------------------


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


def test_a_reader_that_goes_away_ends_the_command_quietly(warm, pictures):
    process = subprocess.Popen([*PYSIFT, "detect", *["cat.png"] * 50], cwd=pictures, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 141 and process.stderr.read() == b""
    process.stderr.close()


def test_ctrl_c_ends_with_130_and_no_traceback(warm, pictures):
    process = subprocess.Popen([*PYSIFT, "detect", *["cat.png"] * 5000], cwd=pictures, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "pysift: error: interrupted\n")


def test_several_images_show_a_bar_on_a_terminal_and_data_stays_on_stdout(warm, pictures):
    parent, child = pty.openpty()
    done = subprocess.Popen([*PYSIFT, "detect", "--json", "cat.png", "turned.png"], cwd=pictures,
                            stdout=subprocess.PIPE, stderr=child)
    out, _ = done.communicate(timeout=60)
    os.close(child)
    shown = os.read(parent, 1 << 16)
    os.close(parent)
    assert b"/2" in shown and b"image" in shown
    assert [json.loads(line)["image"] for line in out.splitlines()] == ["cat.png", "turned.png"]


def test_without_tqdm_there_is_no_bar_and_no_complaint(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    code, out, err = run("detect", "cat.png", "turned.png")
    assert (code, err, out.count("\n")) == (0, "", 2)
