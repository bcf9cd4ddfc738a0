"""The closed forms of benchmarks/blobs.py, and the localisation benchmark's own arithmetic."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize_scalar

import pysift
from benchmarks import blobs, localisation
from benchmarks.peers import PEERS
from pysift import Keypoints

stds = st.floats(1.2, 20)
shifts = st.floats(-2, 2)


@given(s=stds)
def test_the_closed_form_scale_is_where_the_difference_is_least(s):
    best = minimize_scalar(lambda log: blobs.difference(0, 0, np.log(np.exp(log) / 1.6) / np.log(blobs.K), s),
                           bracket=(np.log(s / 3), np.log(s), np.log(3 * s)), tol=1e-10)
    assert np.exp(best.x) == pytest.approx(blobs.closed_form_sigma(s), rel=1e-5)


@given(s=stds)
def test_closed_form_and_its_inverse_cancel(s):
    assert blobs.blob_std(blobs.closed_form_sigma(s)) == pytest.approx(s)


@pytest.mark.parametrize("s, layer", [(4.0, 3), (4.0, 4.5), (6.0, 6)])
def test_the_closed_form_difference_is_that_of_blurred_images(s, layer):
    image = np.exp(-sum((np.indices((161, 161)) - 80)**2) / (2 * s * s))
    fine = 1.6 * 2 ** (layer / 3)
    a, b = (gaussian_filter(image, np.sqrt(sigma**2 - 0.25), truncate=8) for sigma in (fine, fine * 2 ** (1 / 3)))
    x, y = np.array([0, 3, -5]), np.array([0, 2, 4])
    # a sampled Gaussian's variance is that of the continuous one to 1e-6 at these widths
    assert blobs.difference(x, y, layer, s) == pytest.approx((b - a)[80 + y, 80 + x], abs=1e-5)


@given(x=shifts, y=shifts, s=stds)
def test_the_fit_moves_with_the_blob_by_whole_pixels_of_its_octave(x, y, s):
    here = blobs.fitted(x, y, s)
    there = blobs.fitted(x + 16, y - 32, s)                             # octaves up to 3: pixels of 8
    assert there == pytest.approx(here + [16, -32, 0], abs=1e-6, nan_ok=True)


@given(s=stds)
def test_the_fit_of_a_blob_on_a_pixel_errs_in_scale_alone(s):
    x, y, sigma = blobs.fitted(0, 0, s)
    if not np.isnan(sigma):
        assert abs(x) < 1e-9 and abs(y) < 1e-9
        assert 1e-6 < abs(sigma / blobs.closed_form_sigma(s) - 1) < 0.02


@pytest.mark.parametrize("s", [2.6, 3.3, 7.0, 11.0])
def test_pysift_is_as_far_from_the_truth_as_the_fit_on_a_doubled_image(s):
    """What separates them is rounding to 8 bits and 1/8 px² being an average: 0.01 px, 0.4 % in scale."""
    for x, y in [(90.3, 85.1), (88.9, 91.6)]:
        k = pysift.detect(blobs.render(x, y, s, 180))
        best = np.argmin(np.hypot(k.x - x, k.y - y) + np.abs(k.sigma - blobs.closed_form_sigma(s)))
        fit = blobs.fitted(x, y, s, localisation.DOUBLED)
        assert k.x[best] == pytest.approx(fit[0], abs=0.01)
        assert k.y[best] == pytest.approx(fit[1], abs=0.01)
        assert k.sigma[best] == pytest.approx(fit[2], rel=0.004)


@pytest.mark.parametrize("x, y", [(90.3, 85.1), (88.9, 91.6)])
def test_where_the_fit_of_the_closed_form_does_not_settle_pysift_finds_nothing(x, y):
    assert np.isnan(blobs.fitted(x, y, 5.1, localisation.DOUBLED)).all()     # σ̂ = 4.52, midway between two layers
    k = pysift.detect(blobs.render(x, y, 5.1, 180))
    assert not (np.hypot(k.x - x, k.y - y) < 2).any()


def test_the_rendered_blob_has_its_place_and_width():
    image = blobs.render(40.25, 33.5, 5.0, 81).astype(float) - blobs.DARK
    y, x = np.indices(image.shape)
    mass = image.sum()
    cx, cy = (x * image).sum() / mass, (y * image).sum() / mass
    assert (cx, cy) == (pytest.approx(40.25, abs=0.01), pytest.approx(33.5, abs=0.01))
    assert ((x - cx)**2 * image).sum() / mass == pytest.approx(25, rel=0.02)
    assert image.max() == pytest.approx(blobs.BRIGHT - blobs.DARK, abs=2)


def test_the_octave_of_a_scale_is_the_one_that_keypoints_get():
    sigmas = localisation.true_sigmas(48)
    assert (localisation.octaves(sigmas) == Keypoints.at(0, 0, sigmas).octave).all()
    assert [(localisation.octaves(sigmas) == o).sum() for o in range(-1, 3)] == [12] * 4


def test_a_summary_gives_bias_and_spread_and_counts_misses():
    rng = np.random.default_rng(0)
    sigmas = np.array([2.0, 4.0])
    errors = rng.normal([0.25, 0, 0], [0.1, 0.2, 0], (2, 5000, 3))
    errors[..., 2] = 0.01 * sigmas[:, None]                             # 1 % at either scale
    errors[0, :10] = np.nan
    row = localisation.summary("name", 0, errors, sigmas)
    assert row["blobs"] == 10_000 and row["missed"] == 10
    assert row["x [px]"]["mean"] == pytest.approx(0.25, abs=0.005)
    assert row["y [px]"]["std"] == pytest.approx(0.2, abs=0.005)
    assert row["y [px]"]["95 %"] == pytest.approx([-0.392, 0.392], abs=0.02)
    assert row["sigma [%]"]["95 %"] == pytest.approx([1.0, 1.0])
    nothing = localisation.summary("name", 0, np.full((1, 3, 3), np.nan), sigmas[:1])
    assert nothing["missed"] == 3 and nothing["x [px]"] is None


def test_the_run_shows_the_quarter_pixel_and_writes_its_files(monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.record.RESULTS", tmp_path)
    few = [peer for peer in PEERS if peer.module in ("pysift", "cv2")]
    monkeypatch.setattr(localisation, "present", lambda: few)
    errors = localisation.run(quick=True)
    assert np.nanmean(errors["pysift"][..., :2]) == pytest.approx(0, abs=0.02)
    assert np.nanmean(errors["cv2"][..., :2]) == pytest.approx(0.25, abs=0.02)
    assert np.array_equal(errors["pysift"], errors["cv2 precise"], equal_nan=True)
    assert np.array_equal(errors["pysift opencv()"], errors["cv2"], equal_nan=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["localisation-quick.json", "localisation-quick.png"]


def test_a_data_folder_is_refused_since_it_would_not_be_read():
    with pytest.raises(SystemExit, match="leave --data out"):
        localisation.run(data="photographs")
