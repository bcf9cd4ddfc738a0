"""Files: each loads as the array that it was written from, or is refused in one sentence."""
import hashlib
import io
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysift import photos
from pysift.image import exif_orientation, load_image, resize_keep_aspect, to_gray

_rng = np.random.default_rng(0)
RGB = _rng.integers(0, 256, (12, 17, 3), np.uint8)
RGBA = _rng.integers(0, 256, (12, 17, 4), np.uint8)
DEEP_GREY = _rng.integers(0, 65536, (12, 17), np.uint16)
DEEP_COLOUR = _rng.integers(0, 65536, (12, 17, 3), np.uint16)
FLOATS = _rng.uniform(-3, 2, (12, 17)).astype(np.float32)
PALETTE = PIL.Image.fromarray(RGB).quantize(16)


def pil(array, mode=None):
    image = PIL.Image.fromarray(array)
    return image.convert(mode) if mode else image


FILES = {                           # name: (Pillow picture, how to save it, the array it holds)
    "grey.png": (pil(RGB[..., 0]), {}, RGB[..., 0]),
    "grey16.png": (pil(DEEP_GREY), {}, DEEP_GREY),
    "grey16.tif": (pil(DEEP_GREY), {}, DEEP_GREY),
    "grey16.pgm": (pil(DEEP_GREY), {}, DEEP_GREY),
    "big-endian16.tif": (PIL.Image.frombytes("I;16B", (17, 12), DEEP_GREY.astype(">u2").tobytes()), {},
                         DEEP_GREY),
    "int32.tif": (pil(np.array([[0, 65535]], np.int32)), {}, np.array([[0, 65535]], np.uint16)),
    "float.tif": (pil(FLOATS), {}, FLOATS),
    "one-bit.png": (pil(RGB[..., 0] > 99), {}, np.where(RGB[..., 0] > 99, np.uint8(255), np.uint8(0))),
    "colour.png": (pil(RGB), {}, RGB),
    "colour.bmp": (pil(RGB), {}, RGB),
    "colour.ppm": (pil(RGB), {}, RGB),
    "colour.webp": (pil(RGB), {"lossless": True}, RGB),
    "alpha.png": (pil(RGBA), {}, RGBA),
    "grey-alpha.png": (pil(RGBA[..., :2]), {}, RGBA[..., [0, 0, 0, 1]]),
    "palette.png": (PALETTE, {}, np.array(PALETTE.convert("RGB"))),
    "palette.gif": (PALETTE, {}, np.array(PALETTE.convert("RGB"))),
    "palette-alpha.png": (PALETTE, {"transparency": 3}, np.dstack(
        [np.array(PALETTE.convert("RGB")), np.where(np.array(PALETTE) == 3, np.uint8(0), np.uint8(255))])),
    "cmyk.tif": (pil(RGB, "CMYK"), {}, RGB),
    "first-of-two.tif": (pil(RGB), {"save_all": True, "append_images": [pil(RGB[::-1])]}, RGB),
    "first-of-two.gif": (PALETTE, {"save_all": True, "append_images": [pil(RGB[::-1])]},
                         np.array(PALETTE.convert("RGB"))),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_loads_as_the_array_it_was_written_from(name, tmp_path):
    image, options, expected = FILES[name]
    image.save(tmp_path / name, **options)
    for source in (tmp_path / name, str(tmp_path / name)):
        loaded = load_image(source)
        assert loaded.dtype == expected.dtype and loaded.dtype.isnative and loaded.flags.writeable
        np.testing.assert_array_equal(loaded, expected)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_loads_within_the_loss_of_its_compression(mode, tmp_path):
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    image = PIL.Image.fromarray(smooth).convert(mode)
    image.save(tmp_path / "x.jpg", quality=98, subsampling=0)
    expected = np.array(image.convert("L" if mode == "L" else "RGB"))
    assert np.abs(load_image(tmp_path / "x.jpg").astype(int) - expected).max() <= 6


def test_a_ycbcr_tiff_comes_back_as_rgb(tmp_path):
    pil(RGB, "YCbCr").save(tmp_path / "y.tif")
    assert np.abs(load_image(tmp_path / "y.tif").astype(int) - RGB).max() <= 3


@pytest.mark.parametrize("name", ["deep.png", "deep.tif", "deep.ppm"])
def test_16_bit_colour_keeps_its_upper_byte_and_says_so(name, tmp_path, caplog):
    assert cv2.imwrite(str(tmp_path / name), DEEP_COLOUR[..., ::-1])
    loaded = load_image(tmp_path / name)
    assert np.abs(loaded - DEEP_COLOUR / 257).max() <= 1
    assert "16-bit colour" in caplog.text and name in caplog.text


def test_8_bit_files_and_16_bit_grey_give_no_warning(tmp_path, caplog):
    for name in ("colour.png", "colour.ppm", "alpha.png", "grey16.png", "grey16.tif", "grey16.pgm"):
        FILES[name][0].save(tmp_path / name)
        load_image(tmp_path / name)
    assert not caplog.records


def test_max_dim_shrinks_what_is_loaded():
    coffee = Path(photos.__file__).parent / "coffee.png"
    small = resize_keep_aspect(photos.photo("coffee"), 200)
    np.testing.assert_array_equal(load_image(coffee, max_dim=200), small)


# TIFF 6.0, tag Orientation: the side of the upright picture that row 0, and column 0, of the stored one shows
SIDES = {1: "top left", 2: "top right", 3: "bottom right", 4: "bottom left",
         5: "left top", 6: "right top", 7: "right bottom", 8: "left bottom"}


UPRIGHT = {"colour": RGB, "alpha": RGBA, "grey": RGB[..., 0], "grey16": DEEP_GREY, "float": FLOATS}


def as_stored(upright, orientation):
    """Lay an upright picture down as the TIFF table says."""
    row0, column0 = SIDES[orientation].split()
    stored = upright[::-1] if "bottom" in (row0, column0) else upright
    stored = stored[:, ::-1] if "right" in (row0, column0) else stored
    return np.ascontiguousarray(stored if row0 in ("top", "bottom") else stored.swapaxes(0, 1))


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("kind", ["colour.png", "colour.tif", "colour.webp", "alpha.tif", "grey.tif",
                                  "grey16.png", "grey16.tif", "float.tif"])
def test_exif_orientation_is_reported_and_applied_only_on_demand(orientation, kind, tmp_path, caplog):
    upright = UPRIGHT[kind.split(".")[0]]
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / kind
    options = {"lossless": True} if kind.endswith("webp") else {}
    pil(as_stored(upright, orientation)).save(path, exif=exif, **options)

    assert exif_orientation(path) == orientation
    assert not caplog.records
    np.testing.assert_array_equal(load_image(path, apply_exif=True), upright)
    assert not caplog.records
    np.testing.assert_array_equal(load_image(path), as_stored(upright, orientation))
    said = [r for r in caplog.records if r.name == "pysift" and r.levelno == logging.WARNING]
    assert len(said) == (orientation != 1)
    assert all(f"{kind}: EXIF orientation {orientation} (tag 0x0112)" in r.getMessage() for r in said)


def test_an_upright_jpeg_is_the_one_that_cv2_shows(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    pil(photos.photo("chelsea")).save(tmp_path / "six.jpg", exif=exif)
    ours, theirs = load_image(tmp_path / "six.jpg", apply_exif=True), cv2.imread(str(tmp_path / "six.jpg"))
    assert ours.shape == (451, 300, 3)
    assert np.abs(ours.astype(int) - theirs[..., ::-1]).mean() < 1


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_the_standard_does_not_know_counts_as_upright(value, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = value
    pil(RGB).save(tmp_path / "odd.png", exif=exif)
    assert exif_orientation(tmp_path / "odd.png") == 1
    np.testing.assert_array_equal(load_image(tmp_path / "odd.png", apply_exif=True), RGB)


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


JPEG = encoded(pil(photos.photo("chelsea")), format="JPEG")
LAB = encoded(pil(RGB, "LAB"), format="TIFF")
WIDE = encoded(pil(np.array([[0, 70000]], np.int32)), format="TIFF")
SIGNED = encoded(pil(np.array([[-1, 7]], np.int32)), format="TIFF")


@pytest.mark.parametrize("name, content, error, message", [
    ("cut.jpg", JPEG[:len(JPEG) // 2], OSError, "cut short.*again"),
    ("text.png", b"dear diary\n" * 99, OSError, "no image.*PNG, JPEG or TIFF"),
    ("empty.png", b"", OSError, "empty, 0 bytes.*again"),
    ("lab.tif", LAB, ValueError, "LAB.*save it as RGB"),
    ("wide.tif", WIDE, ValueError, "0 to 70000.*float TIFF"),
    ("signed.tif", SIGNED, ValueError, "-1 to 7.*float TIFF"),
    ("header.ppm", b"P6 1x 1 255 RGB", OSError, "damaged.*again"),
    ("missing/x.png", None, FileNotFoundError, "does not exist.*spelling"),
    ("file.txt/x.png", None, FileNotFoundError, "does not exist.*spelling"),
    ("folder.png", None, IsADirectoryError, "folder.*one image"),
    ("pipe.png", None, OSError, "pipe.*file first"),
])
def test_a_file_that_is_no_picture_is_refused_by_name_and_remedy(name, content, error, message, tmp_path):
    (tmp_path / "file.txt").write_text("text")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for read in (load_image, exif_orientation):
        if read is exif_orientation and error is ValueError:
            continue                                         # they decode, only their pixels do not fit
        with pytest.raises(error, match="(?s)" + re.escape(name) + ".*" + message):
            read(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused_by_name_and_remedy(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"x")
    (tmp_path / "secret.png").chmod(0)
    with pytest.raises(PermissionError, match="secret.png.*permissions"):
        load_image(tmp_path / "secret.png")


@pytest.mark.parametrize("source, error, message", [
    (None, TypeError, "None.*path or an http"), (7, TypeError, "7.*int"),
    (b"x.png", TypeError, "b'x.png'.*bytes"), (np.zeros((2, 2)), TypeError, "ndarray"),
    ("", OSError, "''.*folder"), ("nul\0l.png", ValueError, "null"),
    ("ftp://host/x.png", ValueError, "ftp://host/x.png.*path of the file"),
])
def test_a_source_that_is_no_path_is_refused_by_value(source, error, message):
    with pytest.raises(error, match=message):
        load_image(source)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    pil(RGB).save(tmp_path / "bomb.png")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(ValueError, match="bomb.png.*too many pixels.*204 pixels.*MAX_IMAGE_PIXELS"):
        load_image(tmp_path / "bomb.png")


DAMAGED = {kind: encoded(pil(RGB), format=kind) for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM")}
DAMAGED["GIF"] = encoded(PALETTE, format="GIF")


@pytest.mark.filterwarnings("ignore")                        # Pillow warns of what it then raises, or mends
@given(kind=st.sampled_from(sorted(DAMAGED)), keep=st.floats(0.01, 1),
       hits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4))
def test_damaged_bytes_load_as_an_image_or_are_refused_by_name(kind, keep, hits, tmp_path_factory):
    content = bytearray(DAMAGED[kind])
    for place, byte in hits:
        content[int(place**2 * len(content))] = byte         # squared: rather in the header
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(content[:max(1, int(keep * len(content)))])
    try:
        image = load_image(path)
    except (OSError, ValueError) as error:
        assert "damaged.bin" in str(error) and ": " in str(error)
    else:
        to_gray(image)                                       # its dtype and shape are accepted


def test_a_file_is_loaded_without_importing_anything_of_the_network():
    code = ("import sys; from pysift.image import load_image; load_image(sys.argv[1]); "
            "sys.exit('pysift.fetch' in sys.modules)")
    path = Path(photos.__file__).parent / "camera.png"
    subprocess.run([sys.executable, "-c", code, path], check=True, cwd=Path(photos.__file__).parents[2])


def test_every_photograph_is_rgb_and_has_its_author_licence_and_checksum_on_record():
    folder = Path(photos.__file__).parent
    text = (folder / "LICENSES.md").read_text(encoding="utf-8")
    rows = {row.split("`")[1]: row for row in text.splitlines() if row.startswith("| `")}
    assert sorted(rows) == sorted(p.name for p in folder.glob("*.png"))
    assert sorted(rows) == [f"{name}.png" for name in photos.names()]
    for name in photos.names():
        image = photos.photo(name)
        row = rows[f"{name}.png"]
        assert image.dtype == np.uint8 and image.shape[2:] == (3,)
        assert f"{image.shape[1]} × {image.shape[0]}" in row and "CC0" in row
        assert hashlib.sha256((folder / f"{name}.png").read_bytes()).hexdigest() in row
    assert sum(p.stat().st_size for p in folder.glob("*.png")) < 900_000


def test_an_unknown_photograph_is_refused_with_the_names_of_the_others():
    with pytest.raises(ValueError, match="'lena'.*camera, chelsea, coffee"):
        photos.photo("lena")
