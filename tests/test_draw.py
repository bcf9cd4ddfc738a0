"""Laws of drawing: what the artists hold, not what the pixels look like."""
import functools
import io
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from pysift import draw
from pysift.descriptor import describe_octave
from pysift.keypoints import Keypoints
from pysift.matching import Matches
from pysift.params import SIFTParams
from pysift.photos import photo
from pysift.scalespace import build_scalespace
from pysift.tracing import trace
from strategies import seeds, texture


@pytest.fixture(autouse=True)
def no_pyplot(monkeypatch):
    """Importing pyplot anywhere below is an error: its state is global."""
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)


def keypoints(n, seed=0):
    x, y, sigma, theta, response = np.random.default_rng(seed).uniform([0, 0, 1, 0, 0], [60, 40, 9, 6.28, 1], (n, 5)).T
    return Keypoints.at(x, y, sigma, theta, response)


def polylines(ax):
    """Every polyline of the axes, in the order drawn."""
    return [line for drawn in ax.collections if isinstance(drawn, LineCollection) for line in drawn.get_segments()]


@functools.cache
def traced():
    return trace(photo("camera")[100:200, 180:300])


@functools.cache
def story(i=0):
    return traced().story(i)


def panels(one):
    """The axes of plot_keypoint: patch, three of the cube, histogram, descriptor."""
    return draw.plot_keypoint(one).get_axes()


@given(seeds, st.integers(0, 20), st.one_of(st.none(), st.integers(0, 25)))
def test_the_strongest_keypoints_are_drawn_as_circles_of_3_sigma_with_a_line_to_theta(seed, n, asked):
    table = keypoints(n, seed)
    lines = polylines(draw.plot_keypoints(np.zeros((40, 60)), table, n=asked))
    strongest = sorted(range(n), key=lambda i: -table.response[i])[:asked]
    assert len(lines) == len(strongest)
    for line, i in zip(lines, strongest):
        arms = line[1:] - table.xy[i]
        np.testing.assert_allclose(line[0], table.xy[i], rtol=1e-6)
        np.testing.assert_allclose(np.hypot(*arms.T), 3 * table.sigma[i], rtol=1e-5)
        assert np.arctan2(*arms[0, ::-1]) % (2 * np.pi) == pytest.approx(table.theta[i], abs=1e-4)


def test_a_keypoint_without_orientation_is_a_circle_without_a_line():
    line, = polylines(draw.plot_keypoints(np.zeros((40, 60)), Keypoints.at([30], [20], sigma=[2])))
    np.testing.assert_allclose(np.hypot(*(line - [30, 20]).T), 6, rtol=1e-6)


def test_the_title_says_how_many_keypoints_there_are():
    image = np.zeros((40, 60))
    assert draw.plot_keypoints(image, keypoints(9), n=4).get_title() == "the 4 strongest of 9 keypoints"
    assert draw.plot_keypoints(image, keypoints(1)).get_title() == "1 keypoint"
    assert draw.plot_keypoints(image, Keypoints.empty()).get_title() == "0 keypoints"


def test_circles_that_leave_the_image_do_not_shrink_it():
    ax = draw.plot_keypoints(np.zeros((40, 60)), Keypoints.at([1], [1], sigma=[50]))
    ax.figure.canvas.draw()
    assert (*ax.get_xlim(), *ax.get_ylim()) == (-0.5, 59.5, 39.5, -0.5)              # first centre at (0, 0), y down


def test_lines_carry_a_dark_halo_so_that_they_show_on_any_ground():
    ax = draw.plot_keypoints(np.zeros((40, 60)), keypoints(3))
    lines, = ax.collections
    halo, = lines.get_path_effects()
    assert halo._gc["foreground"] == "black" and halo._gc["linewidth"] > lines.get_linewidths()[0]


@pytest.mark.parametrize("dtype, white", [
    (np.uint8, 255), (np.uint16, 65535), (np.uint16, 4095), (np.float32, 1), (np.float64, 255), (bool, 1)])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_an_image_of_any_type_and_depth_is_shown_the_same(dtype, white, channels):
    pattern = np.indices((40, 60)).sum(0) % 2
    image = (pattern * white).astype(dtype)
    image = np.tile(image[..., None], channels) if channels else image
    shown, = draw.plot_keypoints(image, Keypoints.empty()).images
    np.testing.assert_array_equal(shown.get_array(), np.tile(pattern[..., None], 3))


@pytest.mark.parametrize("image", [np.zeros(9), np.zeros((4, 4, 2)), np.zeros((2, 4, 4, 3)), np.zeros((4, 4), complex),
                                   np.zeros((0, 4)), None])
def test_what_is_no_image_is_named(image):
    with pytest.raises(ValueError, match=r"give numbers \(H, W\)"):
        draw.plot_keypoints(image, Keypoints.empty())


def test_a_negative_number_to_draw_is_refused():
    with pytest.raises(ValueError, match="n=-1"):
        draw.plot_keypoints(np.zeros((4, 4)), Keypoints.empty(), n=-1)


@given(st.integers(0, 9), st.integers(0, 12))
def test_matches_are_lines_between_their_keypoints_in_two_images_side_by_side(m, n):
    left, right = np.full((40, 60), 0.25), np.full((50, 30, 3), 0.75)
    here, there, rng = keypoints(12, 1), keypoints(12, 2), np.random.default_rng(m)
    matches = Matches(rng.integers(0, 12, m), rng.integers(0, 12, m), np.arange(m), np.zeros(m))
    ax = draw.plot_matches(left, here, right, there, matches, n=n)
    canvas = ax.images[0].get_array()
    shift = canvas.shape[1] - 30
    assert (canvas[:40, :60] == 0.25).all() and (canvas[:50, shift:] == 0.75).all() and shift > 60
    lines = polylines(ax)
    assert len(lines) == min(m, n)
    for line, i, j in zip(lines, matches.index0, matches.index1):
        np.testing.assert_allclose(line, [here.xy[i], there.xy[j] + [shift, 0]], rtol=1e-6)
    assert ax.get_title() == (f"{m} match{'es' * (m != 1)}" if n >= m else
                              f"the {n} nearest of {m} match{'es' * (m != 1)}")


@given(seeds, st.integers(1, 60))
def test_the_histogram_counts_every_distance_and_marks_the_mean(seed, n):
    matches = Matches(np.zeros(n), np.zeros(n), np.random.default_rng(seed).uniform(1, 300, n), np.zeros(n))
    ax = draw.plot_distances(matches)
    assert sum(bar.get_height() for bar in ax.patches) == n
    mean = matches.stats()["mean"]
    assert ax.lines[0].get_xdata()[0] == mean
    assert f"{mean:.4g}" in ax.get_legend().get_texts()[0].get_text()


def test_no_matches_are_an_empty_histogram():
    ax = draw.plot_distances(Matches.empty())
    assert not ax.patches and not ax.lines and ax.get_xlabel() and ax.get_ylabel()


@pytest.mark.parametrize("plot", [
    lambda ax: draw.plot_keypoints(np.zeros((40, 60)), keypoints(2), ax=ax),
    lambda ax: draw.plot_matches(np.zeros((40, 60)), keypoints(2), np.zeros((40, 60)), keypoints(2),
                                 Matches([0], [1], [5], [0]), ax=ax),
    lambda ax: draw.plot_distances(Matches([0], [1], [5], [0]), ax=ax)])
def test_given_axes_are_drawn_on_and_returned_and_others_are_new(plot):
    first, second = Figure().subplots(1, 2)
    assert plot(second) is second and second.has_data() and not first.has_data()
    assert plot(None).figure is not plot(None).figure


@pytest.mark.parametrize("layers", [1, 3, 5])
def test_the_scale_space_has_a_row_an_octave_with_all_its_levels_and_differences(layers):
    params = SIFTParams(n_octave_layers=layers)
    octaves = build_scalespace(texture(1, (40, 56)), params)
    figure = draw.plot_scalespace(octaves, params=params)
    *rows, bar = figure.axes
    assert len(rows) == 2 * len(octaves) and bar.get_ylabel() == "D [grey levels]"
    for o, left, right in zip(octaves, rows[::2], rows[1::2]):
        np.testing.assert_array_equal(left.images[0].get_array(), np.hstack(o.levels))
        np.testing.assert_array_equal(right.images[0].get_array(), np.hstack(o.dog))
        assert right.images[0].norm.vmin == -right.images[0].norm.vmax < 0             # 0 is the middle colour
        labels = [label.get_text() for label in left.get_xticklabels()]
        expected = [1.6 * 2 ** (o.index + i / layers) for i in range(layers + 3)]        # σ, input pixels
        np.testing.assert_allclose([float(text.split()[-1]) for text in labels], expected, rtol=0.005)
        assert f"octave {o.index}" in left.get_ylabel()


def test_no_octave_is_nothing_to_draw():
    with pytest.raises(ValueError, match="too small"):
        draw.plot_scalespace([])


def test_the_patch_carries_a_grid_of_four_by_four_cells_of_3_sigma_turned_to_theta():
    k, ax = story().keypoint, panels(story())[0]
    lines = np.array(polylines(ax)[:10]) - k.xy[0]
    along = np.array([np.cos(k.theta[0]), np.sin(k.theta[0])])
    across = along[::-1] * [-1, 1]
    cells = np.stack([lines @ along, lines @ across], axis=-1) / (3 * k.sigma[0])
    expected = [[[t, -2], [t, 2]] for t in range(-2, 3)] + [[[-2, t], [2, t]] for t in range(-2, 3)]
    np.testing.assert_allclose(cells, expected, atol=1e-4)
    arrow = polylines(ax)[10] - k.xy[0]
    assert arrow[1] @ along > 2 * 3 * k.sigma[0] and abs(arrow[1] @ across) < 1e-3
    left, right, top, bottom = story().extent
    assert ax.images[0].get_extent() == [left, right, bottom, top] and ax.get_ylim() == (bottom, top)


def test_the_cube_shows_the_27_differences_layer_by_layer():
    cubes = panels(story())[1:4]
    for plane, ax, layer in zip(story().cube, cubes, story().keypoint.layer[0] + [-1, 0, 1]):
        assert [text.get_text() for text in ax.texts] == [f"{v:.2f}" for v in plane.ravel()]
        assert ax.get_xlabel() == f"layer {layer}"
    frame, = cubes[1].lines
    assert frame.get_xdata().mean() == pytest.approx(1, abs=0.2) and not cubes[0].lines


def test_the_orientation_of_the_keypoint_points_at_a_red_bar():
    for i in range(8):
        ax = panels(story(i))[4]
        red = [bar.get_x() + bar.get_width() / 2 for bar in ax.patches
               if to_hex(bar.get_facecolor()) == draw._RED.lower()]
        theta = ax.lines[1].get_xdata()[0]
        assert theta == np.rad2deg(story(i).keypoint.theta[0])
        assert min(abs((theta - angle + 180) % 360 - 180) for angle in red) <= 5
        heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in ax.patches}
        assert [heights[round(-10 * b % 360)] for b in range(36)] == story(i).histogram.tolist()


def test_rays_of_a_ramp_that_brightens_along_theta_point_along_it():
    """And a ramp that brightens a right angle clockwise of θ, downwards; y points down."""
    ramp = np.tile(np.arange(64, dtype=np.float32), (1, 64, 1))
    for angle, direction in ((0, (1, 0)), (270, (0, 1)), (180, (-1, 0))):
        d = describe_octave(ramp, np.int32([0]), *np.float32([[32], [32], [2], [angle]])).reshape(4, 4, 8)
        ax = panels(story()._replace(descriptor=d))[5]
        rays = np.array(polylines(ax))
        lengths = np.hypot(*(rays[:, 1] - rays[:, 0]).T)
        np.testing.assert_allclose(lengths, 0.45 * d.ravel() / d.max(), atol=1e-6)       # short of half a cell
        np.testing.assert_allclose((rays[:, 1] - rays[:, 0]).sum(0) / lengths.sum(), direction, atol=1e-3)
        np.testing.assert_allclose(rays[::8, 0], [[col, row] for row in range(4) for col in range(4)])
        assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_every_picture_of_a_photograph_can_be_saved():
    image, table = photo("chelsea"), keypoints(9)
    matches = Matches([0], [1], [5], [0])
    for drawn in (draw.plot_keypoints(image, table), draw.plot_matches(image, table, image, table, matches),
                  draw.plot_distances(matches), draw.plot_scalespace(traced().octaves), draw.plot_keypoint(story())):
        target = io.BytesIO()
        (drawn if isinstance(drawn, Figure) else drawn.figure).savefig(target)
        assert target.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("plot", [lambda: draw.plot_keypoints(np.zeros((4, 4)), Keypoints.empty()),
                                  lambda: draw.plot_distances(Matches.empty()),
                                  lambda: draw.plot_keypoint(story())])
def test_without_matplotlib_the_message_names_the_extra(plot, monkeypatch):
    story()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"siftgrad\[plot\]"):
        plot()
