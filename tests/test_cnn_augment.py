"""Augmentation: what each distortion must keep, and what it must change."""
import pytest
import torch

from cnn import augment

COLOURED = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def spot(n=200, x=13.5, y=13.5, spread=2.0):
    """n equal images (n, 1, 28, 28) of a soft spot at (x, y)."""
    k = torch.arange(28.0)
    image = torch.exp(-((k[None] - x)**2 + (k[:, None] - y)**2) / (2 * spread**2))
    return image.expand(n, 1, 28, 28)


def centre(images):
    k = torch.arange(images.shape[-1], dtype=images.dtype)
    mass = images.sum((1, 2, 3))
    return (images.sum((1, 2)) * k).sum(1) / mass, (images.sum((1, 3)) * k).sum(1) / mass


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
def test_shape_type_and_range_are_kept_and_the_input_is_left_alone(name):
    before = COLOURED.clone()
    out = augment.AUGMENTATIONS[name](COLOURED)
    assert out.shape == COLOURED.shape and out.dtype == COLOURED.dtype
    assert 0 <= out.min() and out.max() <= 1 + 1e-5
    assert torch.equal(COLOURED, before)


@pytest.mark.parametrize("name", ["digits", "flips", "photos", "erasing", "erasing-half"])
def test_a_seed_repeats_the_draw_and_another_gives_another(name):
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(augment.AUGMENTATIONS[name](COLOURED))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_without_amplitude_a_digit_is_left_as_it_is(monkeypatch):
    for name in ("_TURN", "_ZOOM", "_SLANT", "_SHIFT", "_BEND"):
        monkeypatch.setattr(augment, name, 0.0)
    torch.testing.assert_close(augment.digits(COLOURED), COLOURED, atol=1e-5, rtol=0)


def test_the_shift_of_a_digit_is_in_pixels_and_fills_its_range(monkeypatch):
    for name in ("_TURN", "_ZOOM", "_SLANT", "_BEND"):
        monkeypatch.setattr(augment, name, 0.0)
    torch.manual_seed(0)
    for moved in centre(augment.digits(spot())):
        assert (moved - 13.5).abs().max() < augment._SHIFT + 0.02
        assert (moved - 13.5).abs().max() > 0.9 * augment._SHIFT and abs((moved - 13.5).mean()) < 0.2


def test_a_turn_keeps_the_distance_from_the_middle_and_is_up_to_ten_degrees(monkeypatch):
    for name in ("_SHIFT", "_ZOOM", "_SLANT", "_BEND"):
        monkeypatch.setattr(augment, name, 0.0)
    torch.manual_seed(0)
    x, y = centre(augment.digits(spot(x=20.5, spread=1.5)))
    torch.testing.assert_close(torch.hypot(x - 13.5, y - 13.5), torch.full((200,), 7.0), atol=0.05, rtol=0)
    angles = torch.rad2deg(torch.atan2(y - 13.5, x - 13.5))
    assert 9 < angles.abs().max() < 10.1 and angles.min() < -8 and angles.max() > 8


def test_a_zoom_changes_the_distance_by_its_factor_alone(monkeypatch):
    for name in ("_SHIFT", "_TURN", "_SLANT", "_BEND"):
        monkeypatch.setattr(augment, name, 0.0)
    torch.manual_seed(0)
    x, y = centre(augment.digits(spot(x=20.5, spread=1.5)))
    factor = (x - 13.5) / 7
    assert 0.895 < factor.min() < 0.92 and 1.08 < factor.max() < 1.11 and (y - 13.5).abs().max() < 0.02


def test_the_bending_has_the_amplitude_that_its_constant_says(monkeypatch):
    for name in ("_SHIFT", "_TURN", "_SLANT", "_ZOOM"):
        monkeypatch.setattr(augment, name, 0.0)
    torch.manual_seed(0)
    x, y = centre(augment.digits(spot(2000)))               # in the middle lies a knot, of deviation _BEND
    for moved in (x, y):
        assert 0.7 < (moved - 13.5).std() / augment._BEND < 1.1


def quarters(image):
    return {image[:, i:i + 14, j:j + 14].numpy().tobytes() for i in (0, 14) for j in (0, 14)}


def test_a_broken_digit_has_its_quarters_elsewhere_or_others_on_top_of_it():
    torch.manual_seed(0)
    images = torch.rand(200, 1, 28, 28)
    out = augment.broken(images)
    shuffled = [quarters(a) == quarters(b) for a, b in zip(images, out)]
    assert 70 < sum(shuffled) < 130                           # of 200: four deviations of a fair coin
    for image, strange, is_shuffled in zip(images, out, shuffled):
        assert not torch.equal(image, strange)
        if is_shuffled:                                       # every quarter has moved
            assert all((image[:, i:i + 14, j:j + 14] != strange[:, i:i + 14, j:j + 14]).any()
                       for i in (0, 14) for j in (0, 14))
        else:
            assert (strange >= image).all()


def test_a_photo_is_a_crop_of_its_mirrored_border_flipped_half_of_the_time():
    torch.manual_seed(0)
    images = COLOURED[:8].repeat_interleave(50, 0)
    out = augment.photos(images)
    padded = torch.nn.functional.pad(images[::50], [4] * 4, mode="reflect")
    flipped, places = 0, set()
    for k, crop in enumerate(out):
        found = [(i, j, flip) for i in range(9) for j in range(9) for flip in (False, True)
                 if torch.equal(padded[k // 50, :, i:i + 32, j:j + 32].flip(2) if flip else
                                padded[k // 50, :, i:i + 32, j:j + 32], crop)]
        assert len(found) == 1
        flipped += found[0][2]
        places.add(found[0][:2])
    assert 160 < flipped < 240                                # of 400: four deviations of a fair coin
    assert len(places) > 75                                   # of 81


def test_flips_mirror_about_half_and_leave_the_others():
    torch.manual_seed(0)
    out = augment.flips(COLOURED)
    same, mirrored = ((out == image).all((1, 2, 3)) for image in (COLOURED, COLOURED.flip(3)))
    assert (same ^ mirrored).all() and 16 <= mirrored.sum() <= 48


@pytest.mark.parametrize("name, side", [("erasing", 8), ("erasing-half", 16)])
def test_erasing_covers_one_square_of_a_part_of_the_side_that_may_be_cut_by_the_border(name, side):
    torch.manual_seed(0)
    hidden = (augment.AUGMENTATIONS[name](torch.ones(400, 1, 32, 32)) == 0.5)[:, 0]
    rows, columns = hidden.any(2).sum(1), hidden.any(1).sum(1)
    assert torch.equal(rows * columns, hidden.sum((1, 2)))                  # a rectangle
    assert rows.max() == columns.max() == side
    assert side / 2 <= rows.min() <= side / 2 + 1 and side / 2 <= columns.min() <= side / 2 + 1
    assert hidden.any(0).all()                                              # any pixel may be hidden
