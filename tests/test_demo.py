"""demo and doctor: what a stranger runs first, with and without what is optional."""
import json
import os
import sys

import cv2
import numpy as np
import PIL.Image
import pytest

import pysift
from pysift import photos
from pysift.commands import demo
from pysift.commands.compiling import kernels

pytest_plugins = ("command_line",)


def share_on_target(out):
    return float(out.partition("(")[2].partition(" %)")[0])


def test_the_demo_finds_its_way_back_and_saves_five_pictures(run, tmp_path):
    code, out, err = run("demo", "--output", tmp_path / "new")
    assert (code, err) == (0, "") and share_on_target(out) > 80 and "first departure: none" in out
    assert sorted(os.listdir(tmp_path / "new")) == ["distances.png", "keypoint.png", "keypoints.png", "matches.png",
                                                    "scalespace.png"]
    assert all(np.std(PIL.Image.open(picture).convert("L")) > 5 for picture in (tmp_path / "new").iterdir())


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
