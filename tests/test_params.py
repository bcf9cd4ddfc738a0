"""SIFTParams: what it accepts, what it says when it does not, and the numbers that follow from the fields."""
import math
import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysift.params import PRESETS, SIFTParams

DEFAULT = SIFTParams()
TINY = 1e-9
# field → the least and the greatest value accepted, one below, one above
LIMITS = {
    "nfeatures": (0, 2**31 - 1, -1, 2**31),
    "n_octave_layers": (1, 32, 0, 33),
    "sigma": (TINY, 100, 0, 100.1),
    "sigma_in": (0, 100, -TINY, 100.1),
    "first_octave": (-1, 0, -2, 1),
    "kernel_reach": (TINY, 16, 0, 16.1),
    "octave_margin": (0, 16, -1, 17),
    "contrast_threshold": (0, 1e6, -TINY, 1.1e6),
    "prefilter": (0, 1, -TINY, 1.01),
    "border": (1, 2**20, 0, 2**20 + 1),
    "max_steps": (1, 100, 0, 101),
    "accept_offset": (TINY, 1, 0, 1.01),
    "edge_threshold": (0, 1e9, -TINY, 1.1e9),
    "n_ori_bins": (4, 360, 3, 361),
    "ori_sigma": (TINY, 100, 0, 100.1),
    "ori_reach": (TINY, 100, 0, 100.1),
    "ori_peak": (0, 1, -TINY, 1.01),
    "n_cells": (1, 16, 0, 17),
    "n_desc_bins": (1, 64, 0, 65),
    "cell_width": (TINY, 100, 0, 100.1),
    "desc_sigma": (TINY, 100, 0, 100.1),
    "desc_clip": (TINY, 1, 0, 1.01),
    "desc_scale": (TINY, 1e6, 0, 1.1e6),
    "simd_lanes": (4, 16, 2, 32),
}
KINDS = {f.name: str(f.type) for f in fields(SIFTParams)}
FLOATS = [name for name, kind in KINDS.items() if kind == "float"]
INTS = [name for name, kind in KINDS.items() if kind == "int"]
sigmas, layers = st.floats(0.5, 5), st.integers(1, 12)


def test_every_number_has_limits():
    assert set(LIMITS) == set(FLOATS + INTS)


@pytest.mark.parametrize("name", LIMITS)
def test_limits_themselves_are_accepted(name):
    for value in LIMITS[name][:2]:
        assert getattr(SIFTParams(**{name: value}), name) == value


@pytest.mark.parametrize("name", LIMITS)
def test_value_out_of_range_is_refused_with_name_value_and_remedy(name):
    for value in LIMITS[name][2:]:
        with pytest.raises(ValueError, match=rf"^{name}=.*: use .*\d") as error:
            SIFTParams(**{name: value})
        assert str(float(value) if name in FLOATS else value) in str(error.value)


@pytest.mark.parametrize("name", [*FLOATS, *INTS])
def test_what_is_no_number_is_refused_by_name(name):
    kind = KINDS[name]
    for value in ("1", None, True, 1j, [1.0], np.array([1.0, 2.0]), math.nan):
        with pytest.raises(TypeError, match=rf"^{name}=.* must be a finite {kind}"):
            SIFTParams(**{name: value})


@pytest.mark.parametrize("name", FLOATS)
def test_infinity_is_out_of_range(name):
    for value in (math.inf, -math.inf):
        with pytest.raises(ValueError, match=rf"^{name}=-?inf is out of range: use"):
            SIFTParams(**{name: value})


@pytest.mark.parametrize("name", INTS)
def test_a_fraction_is_no_integer(name):
    with pytest.raises(TypeError, match=rf"^{name}=4\.5 must be a finite int"):
        SIFTParams(**{name: 4.5})


@pytest.mark.parametrize("name", ["precise_upscale", "prefilter_floor"])
def test_a_switch_is_a_bool(name):
    for value in (True, False, np.True_, np.False_):
        assert getattr(SIFTParams(**{name: value}), name) is bool(value)
    for value in (1, 0.0, "yes", None):
        with pytest.raises(TypeError, match=rf"^{name}="):
            SIFTParams(**{name: value})


@pytest.mark.parametrize("value", ["uint16", "", None, 3])
def test_unknown_descriptor_is_refused_with_those_known(value):
    with pytest.raises(ValueError, match=f"^descriptor={value!r} is unknown: use one of uint8, float32, root"):
        SIFTParams(descriptor=value)


@pytest.mark.parametrize("lanes", [5, 6, 12])
def test_simd_lanes_are_a_vector_width(lanes):
    with pytest.raises(ValueError, match=f"^simd_lanes={lanes} .*: use 4, 8 or 16"):
        SIFTParams(simd_lanes=lanes)


@pytest.mark.parametrize("scalar", [np.float32, np.float64, np.int8, np.uint64, np.array, int])
def test_numpy_scalars_become_plain_numbers(scalar):
    p = SIFTParams(sigma=scalar(2), n_octave_layers=scalar(4))
    assert p == SIFTParams(sigma=2.0, n_octave_layers=4) and hash(p) == hash(SIFTParams(sigma=2, n_octave_layers=4))
    assert type(p.sigma) is float and type(p.n_octave_layers) is int


def test_fields_cannot_be_set_and_have_names():
    with pytest.raises(FrozenInstanceError):
        DEFAULT.sigma = 2.0
    with pytest.raises(TypeError, match="positional"):
        SIFTParams(500)
    with pytest.raises(TypeError, match="nOctaveLayers"):
        SIFTParams(nOctaveLayers=4)


def test_parameters_are_values():
    p = SIFTParams(sigma=1.7, descriptor="root")
    assert pickle.loads(pickle.dumps(p)) == p == DEFAULT.replace(sigma=1.7, descriptor="root") != DEFAULT
    assert {p: 1}[SIFTParams(descriptor="root", sigma=1.7)] == 1
    assert DEFAULT == SIFTParams()                                  # replace left it alone
    with pytest.raises(ValueError, match="^sigma=-1.0"):
        DEFAULT.replace(sigma=-1)


def test_defaults_are_those_of_opencv_and_opencv_differs_in_the_bias_only():
    cv2 = pytest.importorskip("cv2")
    theirs, ours = cv2.SIFT_create(), SIFTParams.opencv()
    assert (ours.nfeatures, ours.n_octave_layers, ours.contrast_threshold, ours.edge_threshold, ours.sigma) == (
        theirs.getNFeatures(), theirs.getNOctaveLayers(), theirs.getContrastThreshold(), theirs.getEdgeThreshold(),
        theirs.getSigma())
    assert DEFAULT.precise_upscale and ours == DEFAULT.replace(precise_upscale=False)
    assert SIFTParams.opencv(sigma=2) == ours.replace(sigma=2)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_profile_whose_fields_can_be_overridden(name):
    assert SIFTParams.preset(name) == SIFTParams(**PRESETS[name])
    assert SIFTParams.preset(name, nfeatures=7, descriptor="root", contrast_threshold=0.5) == SIFTParams(
        **PRESETS[name]).replace(nfeatures=7, descriptor="root", contrast_threshold=0.5)


def test_presets_are_what_they_are_called():
    assert SIFTParams.preset("default") == DEFAULT and SIFTParams.preset("opencv") == SIFTParams.opencv()
    assert SIFTParams.preset("rootsift") == SIFTParams(descriptor="root")
    lowe = SIFTParams.preset("lowe")                                # "|D| less than 0.03" on [0, 1], no filter before
    assert lowe.contrast_threshold / lowe.n_octave_layers == pytest.approx(0.03)
    assert lowe.candidate_threshold() == 0
    with pytest.raises(ValueError, match="^preset 'vlfeat' is unknown: use one of default, lowe, opencv, rootsift"):
        SIFTParams.preset("vlfeat")


def test_blurs_of_the_defaults_are_those_of_opencv():
    """The figures are those of its buildGaussianPyramid, in double, and its createInitialImage, in float."""
    assert [round(s, 7) for s in DEFAULT.level_sigmas()] == [
        1.6, 1.2262735, 1.5450078, 1.9465878, 2.4525470, 3.0900156]
    assert DEFAULT.base_sigma() == np.float32(1.2489997)            # √1.56 is 1.2489996, but 1.6f is 1.6 + 2.4e-8
    assert DEFAULT.n_levels == 6


@given(sigmas, layers)
def test_blurs_add_up_to_the_levels(sigma, S):
    """Gaussians add in variance, so level i carries σ₀·2^(i/S); level S twice the blur of level 0."""
    blurs = SIFTParams(sigma=sigma, n_octave_layers=S).level_sigmas()
    assert len(blurs) == S + 3
    np.testing.assert_allclose(np.sqrt(np.cumsum(np.square(blurs))), sigma * 2.0 ** (np.arange(S + 3) / S), rtol=1e-12)


@given(sigmas, st.floats(0, 2), st.sampled_from([-1, 0]))
def test_base_blur_supplies_what_the_input_lacks(sigma, carried, first_octave):
    """Doubling doubles the blur that the input has; 0.1 px at least is added."""
    p = SIFTParams(sigma=sigma, sigma_in=carried, first_octave=first_octave)
    missing = sigma**2 - (carried * 2**-first_octave) ** 2
    assert p.base_sigma() ** 2 == pytest.approx(max(missing, 0.01), rel=1e-5, abs=1e-5)     # float32, as in cv2
    assert p.base_sigma() == float(np.float32(p.base_sigma())) >= np.float32(0.1)


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.sampled_from([-1, 0]), st.integers(0, 4))
def test_octaves_are_the_rounded_logarithm_of_the_short_side(height, width, first_octave, margin):
    """round(log₂ m − margin) + 1 = n means 2^(n + margin − 3/2) < m < 2^(n + margin − 1/2), squared: integers."""
    p = SIFTParams(first_octave=first_octave, octave_margin=margin)
    n, m = p.n_octaves(height, width), min(height, width) * (2 if first_octave else 1)
    assert n == p.n_octaves(width, height) >= 0
    assert 4 * m**2 < 2 ** (2 * (n + margin) + 1)
    assert n == 0 or 4 * m**2 > 2 ** (2 * (n + margin) - 1)


@pytest.mark.parametrize("side, octaves", [(1, 0), (2, 1), (3, 2), (5, 2), (6, 3), (512, 9), (480, 9), (1080, 10)])
def test_octaves_of_some_images(side, octaves):
    assert DEFAULT.n_octaves(side, 2000) == octaves


@given(st.floats(0, 0.5), st.integers(1, 8), st.floats(0, 1))
def test_candidate_threshold_is_a_share_of_the_contrast_in_grey_levels(contrast, S, share):
    """½·C/S of the 255 grey levels by default, cut to a whole level as cv2 does, or not."""
    p = SIFTParams(contrast_threshold=contrast, n_octave_layers=S, prefilter=share)
    levels = share * contrast / S * 255
    assert p.candidate_threshold() == math.floor(levels) and type(p.candidate_threshold()) is float
    assert p.replace(prefilter_floor=False).candidate_threshold() == pytest.approx(levels)


def test_candidate_threshold_of_the_defaults_is_one_grey_level():
    assert DEFAULT.candidate_threshold() == 1
    assert DEFAULT.replace(prefilter_floor=False).candidate_threshold() == pytest.approx(1.7)
