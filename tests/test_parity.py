"""pysift equals cv2.SIFT to the bit: same keypoints in the same order, same fields, same descriptors."""
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pysift
from benchmarks.photographs import PHOTOGRAPHS
from pysift.parity import compare, opencv_candidates, opencv_scalespace
from pysift.pipeline import peak_bytes

pytest.importorskip("skimage", reason='real photographs come with scikit-image: pip install "siftgrad[test]"')


def fields(keypoints):
    return [(*k.pt, k.size, k.angle, k.response, k.octave, k.class_id) for k in keypoints]


def assert_same(theirs, ours):
    """Keypoints and descriptors are equal to the bit, in the same order, and of the same types."""
    assert fields(ours[0]) == fields(theirs[0])
    assert isinstance(ours[0], tuple)
    if theirs[1] is None:
        assert ours[1] is None
    else:
        assert ours[1].dtype == theirs[1].dtype
        np.testing.assert_array_equal(ours[1], theirs[1])


@pytest.mark.parametrize("precise", [False, True], ids=["default", "precise"])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_gives_the_keypoints_and_descriptors_of_cv2(name, precise):
    image = PHOTOGRAPHS[name]()
    theirs = cv2.SIFT_create(enable_precise_upscale=precise).detectAndCompute(image, None)
    assert_same(theirs, pysift.SIFT_create(enable_precise_upscale=precise).detectAndCompute(image, None))


def test_the_photographs_are_many_and_unlike():
    """The parity above would say little on few or uniform pictures."""
    shapes = {name: make().shape for name, make in PHOTOGRAPHS.items()}
    assert len(shapes) >= 24
    assert min(min(s[:2]) for s in shapes.values()) == 32
    assert max(s[0] * s[1] for s in shapes.values()) > 2_000_000
    assert {s[1] % 8 for s in shapes.values()} >= {0, 1, 3, 5}
    assert any(s[0] > s[1] for s in shapes.values())


def test_an_extra_photograph_gives_the_keypoints_and_descriptors_of_cv2(extra_photograph):
    image = cv2.imread(str(extra_photograph))
    for precise in (False, True):
        assert_same(cv2.SIFT_create(enable_precise_upscale=precise).detectAndCompute(image, None),
                    pysift.SIFT_create(enable_precise_upscale=precise).detectAndCompute(image, None))


@given(name=st.sampled_from(sorted(PHOTOGRAPHS)), corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
       shape=st.tuples(st.integers(1, 200), st.integers(1, 200)), layers=st.integers(1, 6),
       contrast=st.sampled_from([0.0, 0.003, 0.01, 0.02, 0.04, 0.08, 0.2]), edge=st.floats(2, 50),
       sigma=st.sampled_from([1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4]), n=st.sampled_from([0, 0, 1, 2, 7, 40, 200]),
       precise=st.booleans(), masked=st.booleans(), seed=st.integers(0, 9))
@settings(max_examples=150)
def test_any_parameters_on_any_crop_give_what_cv2_gives(name, corner, shape, layers, contrast, edge, sigma, n,
                                                        precise, masked, seed):
    whole = PHOTOGRAPHS[name]()
    h, w = min(shape[0], whole.shape[0]), min(shape[1], whole.shape[1])
    top, left = int(corner[0] * (whole.shape[0] - h)), int(corner[1] * (whole.shape[1] - w))
    image = np.ascontiguousarray(whole[top:top + h, left:left + w])
    mask = np.random.default_rng(seed).integers(0, 3, (h, w), dtype=np.uint8) if masked else None
    arguments = (n, layers, contrast, edge, sigma, precise)
    assert_same(cv2.SIFT_create(*arguments).detectAndCompute(image, mask),
                pysift.SIFT_create(*arguments).detectAndCompute(image, mask))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 20, 100, 333, 1000, 5000])
@pytest.mark.parametrize("name", ["grass", "page of text", "coffee"])
def test_the_strongest_n_come_in_the_order_in_which_cv2_leaves_them(name, n):
    """Ties at the cut included: nth_element and partition permute the survivors."""
    image = PHOTOGRAPHS[name]()
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[:, image.shape[1] // 3:] = 1
    for m in (None, mask):
        assert_same(cv2.SIFT_create(n).detectAndCompute(image, m), pysift.SIFT_create(n).detectAndCompute(image, m))


def test_descriptors_of_type_8u_equal_those_of_cv2():
    image = PHOTOGRAPHS["cameraman"]()
    theirs = cv2.SIFT_create(0, 3, 0.04, 10, 1.6, descriptorType=cv2.CV_8U).detectAndCompute(image, None)
    assert_same(theirs, pysift.SIFT_create(descriptorType=cv2.CV_8U).detectAndCompute(image, None))


def test_compute_depends_on_octave_minus_one_exactly_as_cv2_does():
    """Without a keypoint of octave −1 cv2 does not double the image, and every descriptor changes."""
    image = PHOTOGRAPHS["coffee"]()
    keypoints = cv2.SIFT_create().detect(image)
    coarse = [k for k in keypoints if k.octave & 255 != 255]
    foreign = [cv2.KeyPoint(50, 60, 10), cv2.KeyPoint(70.3, 60.2, 3, 77), cv2.KeyPoint(2, 2, 40, 359.99)]
    for some in (keypoints, keypoints[::3], coarse, coarse[::-1], foreign, foreign + list(coarse), []):
        theirs, ours = cv2.SIFT_create().compute(image, some), pysift.SIFT_create().compute(image, some)
        assert_same(theirs, ours)
    whole, alone = cv2.SIFT_create().compute(image, keypoints)[1], cv2.SIFT_create().compute(image, coarse)[1]
    assert (whole[[k.octave & 255 != 255 for k in keypoints]] != alone).any()


def test_describe_has_no_such_dependence():
    """pysift.describe gives a keypoint of detect its descriptor of sift, whatever else is in the list."""
    image = PHOTOGRAPHS["coffee"]()
    params = pysift.SIFTParams.opencv()
    keypoints, descriptors = pysift.sift(image, params)
    coarse = keypoints.octave >= 0
    np.testing.assert_array_equal(pysift.describe(image, keypoints[coarse], params), descriptors[coarse])


def test_several_images_at_once_give_tuples_as_in_cv2():
    images = [PHOTOGRAPHS["coins"](), PHOTOGRAPHS["text"]()]
    theirs, ours = cv2.SIFT_create().detect(images), pysift.SIFT_create().detect(images)
    assert [fields(k) for k in ours] == [fields(k) for k in theirs]


def test_the_methods_around_the_three_answer_as_those_of_cv2():
    theirs, ours = cv2.SIFT_create(7, 4, 0.05, 12, 1.5), pysift.SIFT_create(7, 4, 0.05, 12, 1.5)
    for method in ("descriptorSize", "descriptorType", "defaultNorm", "empty", "getDefaultName", "getNFeatures",
                   "getNOctaveLayers", "getContrastThreshold", "getEdgeThreshold", "getSigma"):
        assert getattr(ours, method)() == getattr(theirs, method)(), method
    for method, value in (("setNFeatures", 9), ("setNOctaveLayers", 2), ("setContrastThreshold", 0.03),
                          ("setEdgeThreshold", 8.0), ("setSigma", 1.4)):
        getattr(ours, method)(value)
        getattr(theirs, method)(value)
    image = PHOTOGRAPHS["rocket"]()
    assert_same(theirs.detectAndCompute(image, None), ours.detectAndCompute(image, None))


@pytest.mark.parametrize("image", [None, np.zeros((0, 0), np.uint8), np.zeros((4, 4), complex), "photo.png",
                                   np.zeros((2, 3, 4, 3), np.uint8), np.full((9, 9), np.nan)])
def test_what_is_no_image_is_refused_by_a_message(image):
    with pytest.raises((TypeError, ValueError), match="image"):
        pysift.SIFT_create().detectAndCompute(image, None)


def test_the_drop_in_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="descriptorType=3.*CV_32F"):
        pysift.SIFT_create(descriptorType=3)
    with pytest.raises(ValueError, match="useProvidedKeypoints.*compute"):
        pysift.SIFT_create().detectAndCompute(np.zeros((9, 9), np.uint8), None, useProvidedKeypoints=True)
    with pytest.raises(ValueError, match="nOctaveLayers|n_octave_layers=0"):
        pysift.SIFT_create(nOctaveLayers=0)


@pytest.mark.parametrize("name", ["cat, odd width", "coffee, 593 × 97", "text", "gravel, 63 × 61"])
@pytest.mark.parametrize("precise", [False, True], ids=["default", "precise"])
def test_every_stage_equals_the_stage_of_cv2(name, precise):
    report = compare(PHOTOGRAPHS[name](), pysift.SIFTParams(precise_upscale=precise), label=name)
    assert report.first_departure is None, report.table()
    assert report.equal and report.to_dict()["equal"]
    assert report.theirs == report.ours == report.matched == report.bit_equal > 10


def test_the_report_names_the_first_stage_that_departs(monkeypatch):
    """A threshold one ulp off in our candidates leaves the scale space equal and is named."""
    import pysift.parity
    true = pysift.parity.find_extrema
    monkeypatch.setattr(pysift.parity, "find_extrema", lambda levels, params: true(levels, params)[1:])
    report = compare(PHOTOGRAPHS["text"]())
    assert report.first_departure == "candidates" and not report.equal
    assert "first departure: candidates" in report.table()


def test_the_report_refuses_parameters_that_cv2_has_not():
    image = PHOTOGRAPHS["text"]()
    with pytest.raises(ValueError, match="no argument for"):
        compare(image, pysift.SIFTParams(ori_peak=0.9))
    with pytest.raises(ValueError, match="float64.*uint8"):
        compare(image / 255)


def test_comparing_leaves_cv2_as_it_was():
    cv2.setNumThreads(2)
    try:
        compare(PHOTOGRAPHS["cat's eye, 32 × 32"]())
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(1)


def test_the_stages_of_cv2_lead_to_the_keypoints_of_cv2():
    """The rebuilt oracle stages are right: run through our later steps they end in cv2.SIFT's keypoints."""
    image = PHOTOGRAPHS["coins"]()[..., 0].astype(np.float32)
    params = pysift.SIFTParams.opencv(simd_lanes=pysift.cv.native_lanes())
    octaves = opencv_scalespace(cv2, image, params)
    keypoints = pysift.pipeline.select(pysift.pipeline.find_keypoints(octaves, params), params, None)
    assert fields(pysift.convert.to_cv2(keypoints)) == fields(cv2.SIFT_create().detect(image.astype(np.uint8)))
    assert len(opencv_candidates(cv2, octaves[0].dog, params)) > 100


@pytest.mark.skipif(pysift.cv.native_lanes() != 16, reason="needs a processor with AVX-512, to run AVX2 code on it")
def test_parity_holds_on_the_narrower_registers_too():
    """cv2 adds in another order on AVX2 than on AVX-512; pysift follows either."""
    script = """
import sys; sys.path[:0] = sys.argv[1:]
import cv2, pysift, test_parity as t
assert pysift.cv.native_lanes() == 8
cv2.setNumThreads(1); cv2.ipp.setUseIPP(False)
for name in ("grass", "motorcycle", "text"):
    image = t.PHOTOGRAPHS[name]()
    t.assert_same(cv2.SIFT_create().detectAndCompute(image, None), pysift.SIFT_create().detectAndCompute(image, None))
"""
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", script, str(here), str(here.parent)], capture_output=True, text=True,
                          env={**os.environ, "OPENCV_CPU_DISABLE": "AVX512-SKX"})
    assert done.returncode == 0, done.stderr


def test_a_picture_too_large_for_memory_is_refused_before_it_is_touched():
    """A view of one pixel pretends to be a terapixel; building its scale space would need petabytes."""
    huge = np.broadcast_to(np.uint8(7), (1 << 20, 1 << 20))
    assert peak_bytes(*huge.shape) > 1 << 45
    for call in (pysift.sift, pysift.detect, pysift.trace, pysift.SIFT_create().detect):
        with pytest.raises(MemoryError, match="GiB.*resize_keep_aspect"):
            call(huge)
