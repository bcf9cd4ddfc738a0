"""detect, match, draw, compare and trace: what they print and write is what the API returns."""
import http.server
import json
import os
import threading

import cv2
import numpy as np
import PIL.Image
import pytest

import pysift
from pysift.files import read_features, read_params
from pysift.params import SIFTParams

pytest_plugins = ("command_line",)


def pixels(path):
    with PIL.Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("options, params", [
    ([], SIFTParams()),
    (["--preset", "opencv"], SIFTParams.opencv()),
    (["--preset", "lowe", "--edge", "20"], SIFTParams.preset("lowe", edge_threshold=20)),
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


def test_a_picture_is_detected_at_its_url_and_an_address_without_one_is_a_failure(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SIFTGRAD_CACHE", str(tmp_path / "cache"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            code, _, err = run("detect", f"{url}/cat.png", f"{url}/none.png", "-o", tmp_path / "new")
        finally:
            server.shutdown()
    assert code == 3 and f"{url}/none.png" in err and "404" in err
    expected = pysift.sift(pysift.load_image("cat.png"))
    assert os.listdir(tmp_path / "new") == ["cat.npz"]
    assert read_features(tmp_path / "new" / "cat.npz").keypoints == expected.keypoints


def test_detect_uses_as_many_threads_as_asked_for(run):
    before = pysift.get_num_threads()
    try:
        assert run("detect", "cat.png", "--threads", before + 1)[0] == 0 and pysift.get_num_threads() == before + 1
    finally:
        pysift.set_num_threads(before)


def test_a_blank_image_has_no_keypoints_and_that_is_no_failure(run, tmp_path):
    code, out, _ = run("detect", "blank.png", "-o", tmp_path / "blank.npz")
    assert code == 0 and "0 keypoints" in out and read_features(tmp_path / "blank.npz").descriptors.shape == (0, 128)


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


@pytest.mark.parametrize("options, choice", [
    ([], {}), (["--ratio", "0.1"], {"ratio": 0.1}), (["--mutual", "--ratio", "1"], {"mutual": True, "ratio": 1.0})])
def test_match_prints_and_writes_the_statistics_of_its_matches(run, tmp_path, options, choice):
    d0, d1 = (pysift.sift(pysift.load_image(name)).descriptors for name in ("cat.png", "turned.png"))
    stats = pysift.match(d0, d1, **choice).stats()
    code, out, _ = run("match", "cat.png", "turned.png", "-o", tmp_path / "m.json", *options)
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
    assert code == 2 and ".xyz is no kind of picture" in err and not os.listdir(tmp_path)


def test_a_picture_that_cannot_be_finished_leaves_the_old_one(run, tmp_path, monkeypatch):
    def fill_the_disk(figure, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fill_the_disk)
    (tmp_path / "d.png").write_bytes(b"old")
    code, _, err = run("draw", "cat.png", "-o", tmp_path / "d.png")
    assert code == 1 and "d.png cannot be written (No space left on device)" in err
    assert (tmp_path / "d.png").read_bytes() == b"old" and os.listdir(tmp_path) == ["d.png"]


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
    monkeypatch.setattr(pysift.parity, "find_extrema", lambda levels, params: find(levels, params)[1:])
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
    for place, radius in (((100, 60), 3), ((100, 60), 20)):
        why = pysift.trace(pysift.load_image("cat.png")).why(*place, radius)
        argv = ["trace", "cat.png", "--at", f"{place[0]},{place[1]}", *([] if radius == 3 else ["--radius", radius])]
        assert run(*argv)[:2] == (0, why + "\n")
        assert json.loads(run(*argv, "--json")[1])["why"] == why.split("\n")
    code, out, err = run("trace", "cat.png", "--at=-9,60")
    assert (code, out) == (1, "") and "(-9, 60) lies outside the image" in err
