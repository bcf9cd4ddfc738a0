"""Pictures of digits: MNIST's frame, and the answers of the network that comes with the package."""
import numpy as np
import PIL.Image
import pytest

from cnn import digits, predict
from cnn.digits import make, strokes
from cnn.frame import frame, read


def blob(height=120, width=90, left=20, top=30, bottom=95, right=50):
    picture = np.zeros((height, width), np.uint8)
    picture[top:bottom, left:right] = 255
    picture[top:bottom, left:left + 5] = 200
    return picture


def test_ink_fills_a_box_of_20_pixels_about_its_centre_of_mass():
    for ink in (blob(), blob().T, blob(right=80)):
        out = frame(ink)
        rows, columns = np.nonzero(out)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        for axis in (0, 1):
            mass = out.astype(float).sum(1 - axis)
            assert abs((mass * np.arange(28)).sum() / mass.sum() - 13.5) <= 0.51


def test_the_frame_does_not_depend_on_place_size_or_contrast():
    base = frame(blob())
    for other in (blob(300, 200, 100, 150, 215, 130), blob() // 2, 30 + blob() // 2):
        np.testing.assert_allclose(frame(other), base, atol=2)
    doubled = np.kron(blob(), np.ones((2, 2), np.uint8))
    np.testing.assert_allclose(frame(doubled), base, atol=2)


def test_dark_on_light_and_light_on_dark_and_a_transparent_ground_are_the_same(tmp_path):
    PIL.Image.fromarray(blob()).save(tmp_path / "light.png")
    PIL.Image.fromarray(255 - blob()).save(tmp_path / "dark.png")
    clear = np.zeros((*blob().shape, 4), np.uint8)
    clear[..., 3] = blob()
    PIL.Image.fromarray(clear).save(tmp_path / "clear.png")
    for name in ("light", "dark", "clear"):
        np.testing.assert_allclose(read(tmp_path / f"{name}.png"), blob(), atol=1)


def test_an_empty_sheet_and_what_is_no_picture_are_named(tmp_path):
    PIL.Image.new("L", (50, 50), 255).save(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("no picture")
    reader = predict.Reader()
    with pytest.raises(ValueError, match="empty.png: nothing is drawn"):
        reader.answer(tmp_path / "empty.png")
    for name in ("text", "nothing"):
        with pytest.raises(OSError, match=f"{name}.png cannot be read as a picture"):
            reader.answer(tmp_path / f"{name}.png")


@pytest.fixture(scope="module")
def reader():
    return predict.Reader()


@pytest.mark.parametrize("digit", range(10))
def test_each_drawn_digit_is_recognised(digit, reader):
    answer = reader.answer(digits.path(str(digit)))
    assert answer.digit == digit and answer.probabilities[digit] > 0.5
    assert sum(answer.probabilities) == pytest.approx(1, abs=1e-5)


def test_abrakadabra_is_no_digit(reader):
    answer = reader.answer(digits.path("abrakadabra"))
    assert answer.digit is None and answer.confidence < answer.threshold


def test_the_pictures_are_those_that_the_script_draws(tmp_path):
    make.main(tmp_path)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == sorted([*(f"{k}.png" for k in range(10)), "abrakadabra.png"])
    for name in names:
        made, shipped = (np.asarray(PIL.Image.open(p), int) for p in (tmp_path / name, digits.path(name[:-4])))
        np.testing.assert_allclose(made, shipped, atol=1)
    with pytest.raises(ValueError, match="'11': choose a digit or abrakadabra"):
        digits.path("11")


def test_a_smooth_stroke_passes_its_points_and_a_straight_one_is_straight():
    points = np.array([[0, 0], [0.3, 0.5], [0.9, 0.4], [1, 1]])
    curve = strokes.smooth(points)
    assert np.abs(curve[:, None] - points).sum(2).min(0).max() < 1e-12
    line = strokes.smooth(np.linspace([0, 0], [1, 2], 5))
    np.testing.assert_allclose(line[:, 1], 2 * line[:, 0], atol=1e-12)


def test_the_bundled_network_is_small_and_knows_where_it_comes_from():
    assert (predict.BUNDLED / "weights.npz").stat().st_size < 1_000_000
    recipe = predict.Reader().recipe
    assert (recipe.model, recipe.dataset) == ("lenet", "mnist")
