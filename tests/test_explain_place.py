"""`explain`: the figure of a place names the keypoint there, or the test that there is none for, with its numbers."""
import functools

import numpy as np
import PIL.Image
import pytest

from pysift.explorer.explain import checks, explain
from pysift.params import SIFTParams
from pysift.photos import photo
from pysift.tracing import trace

pytest_plugins = ("command_line",)
IMAGE = photo("chelsea")[40:200, 100:320]


@functools.cache
def traced():
    return trace(IMAGE)


def lonely(step):
    """The candidates of a step with no keypoint near by, which `explain` tells of."""
    t, c = traced(), traced().candidates
    return [i for i in np.flatnonzero(c.step == step)
            if not len(t.near(c.x[i], c.y[i])[0]) and t.near(c.x[i], c.y[i])[1][0] == i]


def texts(figure):
    return [text.get_text() for part in [figure, *figure.subfigs, *(s for f in figure.subfigs for s in f.subfigs)]
            for text in part.texts]


@pytest.mark.parametrize("step, fails", [("left the octave", "largest |δ| [px, layers]"), ("edge", "tr²/det"),
                                         ("did not settle", "largest |δ| [px, layers]"),
                                         ("low contrast", "S·|D(p + δ)| [range]")])
def test_the_check_that_fails_is_the_last_and_has_the_trace_s_numbers(step, fails):
    t, c = traced(), traced().candidates
    rows = np.flatnonzero(c.step == step)
    assert len(rows) > 10
    for i in rows:
        *before, last = checks(t, i)
        assert last.name == fails and not last.passed and all(check.passed for check in before)
        assert (last.value, last.threshold) == pytest.approx((c.value[i], c.threshold[i]), rel=1e-6)


def test_a_kept_candidate_passes_all_four():
    t = traced()
    for i in np.flatnonzero(t.candidates.step == "kept"):
        assert [check.passed for check in checks(t, i)] == [True] * 4


@pytest.mark.parametrize("step", ["left the octave", "did not settle", "low contrast", "edge"])
def test_the_figure_of_a_place_without_a_keypoint_says_which_step_and_draws_its_checks(step):
    t, i = traced(), lonely(step)[0]
    x, y = float(t.candidates.x[i]), float(t.candidates.y[i])
    figure = explain(t, x, y)
    assert figure.get_suptitle() == f"no keypoint at ({x:g}, {y:g}): {step}"
    ax = next(ax for ax in figure.axes if ax.get_title() == "tests, in their order")
    for said, check in zip(ax.texts, checks(t, i), strict=True):
        assert said.get_text().startswith(f"{check.value:.4g} {'✓' if check.passed else '✗'} asked")
        assert f"{check.threshold:.4g}" in said.get_text()
    for bar, check in zip(ax.patches, checks(t, i), strict=True):
        end, share = bar.get_x() + bar.get_width(), check.value / check.threshold
        assert end == pytest.approx(np.clip(share, 1 / 30, 30)) if share > 0 else end < 0.04
    assert any(t.why(x, y).split(":")[0] in text.replace("\n    ", " ") for text in texts(figure))


def test_the_figure_of_a_keypoint_shows_cube_histogram_checks_and_both_descriptors():
    t, i = traced(), 40
    x, y = (float(v) for v in t.keypoints.xy[i])
    figure = explain(t, x, y)
    k = int(t.near(x, y)[0][0])
    titles = [ax.get_title() for ax in figure.axes]
    assert figure.get_suptitle() == f"keypoint {k} at ({t.keypoints.x[k]:.2f}, {t.keypoints.y[k]:.2f})"
    assert "tests, in their order" in titles and "D [grey levels] about the pixel it settled in" in titles
    assert any("before clipping" in title for title in titles) and f"{t.story(k).descriptor.max():.3f}" in titles[-1]


def test_where_nothing_was_found_d_of_every_octave_is_shown():
    t = traced()
    x, y = next((x, y) for x in range(20, 200) for y in range(20, 140) if not any(map(len, t.near(x, y))))
    figure = explain(t, x, y)
    table = figure.axes[1]
    assert figure.get_suptitle() == f"no keypoint at ({x}, {y})"
    for row, octave in enumerate(t.octaves):
        at = (min(round(y / 2.0**octave.index), octave.dog.shape[1] - 1),
              min(round(x / 2.0**octave.index), octave.dog.shape[2] - 1))
        shown = [text.get_text() for text in table.texts[3 * row:3 * row + 3]]
        assert shown == [f"{octave.dog[(layer, *at)]:.2f}" for layer in (1, 2, 3)]


@pytest.mark.parametrize("shape", [(40, 50), (2, 3), (1, 1)])
def test_a_blank_or_tiny_image_is_explained_at_its_corners(shape):
    t = trace(np.full(shape, 99, np.uint8))
    for place in ((0, 0), (shape[1] - 1, shape[0] - 1)):
        explain(t, *place).canvas.draw()


def test_explain_says_what_trace_says_and_draws_it(run, tmp_path):
    code, out, err = run("explain", "cat.png", "--at", "100,60", "--radius", "5", "-o", tmp_path / "why.png")
    assert (code, err) == (0, "") and out == run("trace", "cat.png", "--at", "100,60", "--radius", "5")[1]
    with PIL.Image.open(tmp_path / "why.png") as picture:
        assert picture.width > 1000


@pytest.mark.parametrize("argv, code, said", [
    (["none.png", "--at", "3,4"], 1, "none.png"), (["cat.png", "--at", "500,4"], 1, "outside the image: x runs from 0"),
    (["cat.png", "--at", "x"], 2, "is not X,Y"), (["cat.png"], 2, "--at"),
    (["cat.png", "--at", "3,4", "--radius", "0"], 1, "radius=0.0 must be positive"),
    (["cat.png", "--at", "3,4", "-o", "no/such/why.png"], 1, "its folder exists"),
    (["cat.png", "--at", "3,4", "-o", "text.png/why.png"], 1, "its folder exists"),
    (["cat.png", "--at", "3,4", "-o", "why.xyz"], 2, ".xyz is no kind of picture"),
    (["cat.png", "--at", "-3,4"], 2, "--at=-3,4")])
def test_explain_says_what_is_wrong_and_writes_nothing(run, pictures, argv, code, said):
    before = sorted(pictures.iterdir())
    assert run("explain", *argv)[0] == code and said in run("explain", *argv)[2]
    assert sorted(pictures.iterdir()) == before


def test_parameters_reach_the_explanation():
    i = lonely("edge")[0]
    t = traced()
    lenient = trace(IMAGE, SIFTParams(edge_threshold=1e6))
    x, y = float(t.candidates.x[i]), float(t.candidates.y[i])
    assert "edge" in explain(t, x, y).get_suptitle() and "edge" not in explain(lenient, x, y).get_suptitle()
