"""The data sets: every form of file, damaged ones, the three parts, and the notebook's synthetic images."""
import gzip
import io
import pickle
import tarfile

import numpy as np
import PIL.Image
import pytest
import torch

from cnn import data, formats, synthetic
from cnn_bars import bars, idx

pytest_plugins = ["cnn_tiny"]
RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (20, 3, 32, 32), np.uint8)
LABELS = RNG.integers(0, 10, 20)


def batch(images, labels):
    return pickle.dumps({b"data": images.reshape(len(images), -1), b"labels": labels.tolist()}, protocol=2)


def as_batches(folder):
    for k in range(5):
        (folder / f"data_batch_{k + 1}").write_bytes(batch(PIXELS[4 * k:4 * k + 4], LABELS[4 * k:4 * k + 4]))
    (folder / "test_batch").write_bytes(batch(PIXELS[::-1].copy(), LABELS[::-1]))


def as_archive(folder):
    inner = folder / "cifar-10-batches-py"
    inner.mkdir()
    as_batches(inner)
    with tarfile.open(folder / formats.ARCHIVE, "w:gz") as tar:
        tar.add(inner, inner.name)
    for path in inner.iterdir():
        path.unlink()


def as_sheets(folder):
    for half, images, labels in (("train", PIXELS, LABELS), ("test", PIXELS[::-1], LABELS[::-1])):
        for k in range(2):                                   # ten images a sheet, five a row
            grid = images[10 * k:10 * k + 10].reshape(2, 5, 3, 32, 32).transpose(0, 3, 1, 4, 2).reshape(64, 160, 3)
            PIL.Image.fromarray(grid).save(folder / f"{half}_{k:02}.webp", lossless=True)
        np.save(folder / f"{half}_labels.npy", labels.astype(np.uint8))


@pytest.mark.parametrize("write", [as_batches, as_archive, as_sheets])
def test_cifar_is_the_same_from_batches_archive_and_sheets(write, tmp_path):
    write(tmp_path)
    for half, step in (("train", 1), ("test", -1)):
        images, labels = formats.read_folder(tmp_path, half)
        np.testing.assert_array_equal(images, PIXELS[::step])
        np.testing.assert_array_equal(labels, LABELS[::step])


def test_idx_is_read_packed_or_not_and_whatever_it_is_called(tmp_path):
    images, labels = bars(7, 3)
    for name, blob in (("plain", idx(images)), ("packed.gz", gzip.compress(idx(images))), ("unpacked.gz", idx(images))):
        (tmp_path / name).write_bytes(blob)
        np.testing.assert_array_equal(formats.read_idx(tmp_path / name), images)


@pytest.mark.parametrize("damage, message", [
    (lambda blob: blob[:-1], "bytes of"), (lambda blob: b"\0\0\x0d" + blob[3:], "no IDX"), (lambda blob: b"", "no IDX"),
    (lambda blob: gzip.compress(blob)[:200], "cannot be read"), (lambda blob: blob[:9], "no IDX")])
def test_a_damaged_idx_file_is_named(damage, message, tmp_path):
    path = tmp_path / "images"
    path.write_bytes(damage(idx(bars(7, 3)[0])))
    with pytest.raises(OSError, match=f"images.*{message}.*again"):
        formats.read_idx(path)


def test_what_is_missing_is_named(tmp_path, tiny):
    with pytest.raises(OSError, match="holds no train images.*train-images-idx3-ubyte.*leave --data away"):
        formats.read_folder(tmp_path, "train")
    with pytest.raises(OSError, match="is no folder"):
        data.load("mnist", "train", tmp_path / "nowhere")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(bars(7, 3)[0]))
    with pytest.raises(OSError, match="train-labels-idx1-ubyte is missing"):
        formats.read_folder(tmp_path, "train")
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(bars(6, 3)[1]))
    with pytest.raises(OSError, match="do not belong together"):
        formats.read_folder(tmp_path, "train")


def test_a_sheet_that_is_missing_is_noticed(tmp_path):
    as_sheets(tmp_path)
    (tmp_path / "train_01.webp").unlink()
    with pytest.raises(OSError, match="10 train images and 20 labels"):
        formats.read_folder(tmp_path, "train")


class Evil:
    def __reduce__(self):
        return print, ("code of a stranger",)


def test_a_batch_that_would_run_code_is_refused(tmp_path, capsys):
    as_batches(tmp_path)
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}))
    with pytest.raises(OSError, match="print.*not the original"):
        formats.read_folder(tmp_path, "train")
    assert capsys.readouterr().out == ""


def test_an_archive_of_something_else_is_refused(tmp_path):
    with tarfile.open(tmp_path / formats.ARCHIVE, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("nothing"), io.BytesIO())
    with pytest.raises(OSError, match="not CIFAR-10's archive"):
        formats.read_folder(tmp_path, "train")


def test_training_and_validation_share_the_training_half_and_nothing_else(tiny):
    train, validation, test = (data.load("mnist", part, tiny) for part in data.PARTS)
    assert (len(train), len(validation), len(test)) == (400, 100, 100)
    rows = torch.cat([train.images, validation.images]).flatten(1).tolist()
    half = formats.read_folder(tiny / "mnist", "train")[0].reshape(500, -1).tolist()
    assert sorted(rows) == sorted(half)
    assert not set(map(tuple, rows)) & set(map(tuple, test.images.flatten(1).tolist()))
    again = data.load("mnist", "validation", tiny / "mnist")
    assert torch.equal(again.images, validation.images) and torch.equal(again.labels, validation.labels)


def test_labels_stay_with_their_images(tiny):
    for part in data.PARTS:
        images = data.load("mnist", part, tiny)
        rows = (images.images[:, 0, :, 10].float()).argmax(1)
        assert torch.equal(images.labels, torch.div(rows - 4, 2, rounding_mode="floor"))


def test_unknown_names_are_told_the_known_ones(tiny):
    with pytest.raises(ValueError, match="'emnist': choose one of mnist, fashion, cifar10"):
        data.load("emnist", "train", tiny)
    with pytest.raises(ValueError, match="part='val' must be one of train, validation, test"):
        data.load("mnist", "val", tiny)


def test_normalising_inverts_to_the_pixels():
    source = data.known("cifar10")
    images = torch.from_numpy(PIXELS)
    out = data.normalise(images, source)
    back = out * torch.tensor(source.std).view(3, 1, 1) + torch.tensor(source.mean).view(3, 1, 1)
    torch.testing.assert_close(back * 255, images.float(), atol=1e-3, rtol=0)
    torch.testing.assert_close(data.normalise(images.float() / 255, source), out)


def test_a_set_that_is_not_there_is_downloaded_by_its_address_and_checksum(monkeypatch, tiny):
    asked = []

    def fetch(url, sha256, report):
        asked.append((url, sha256))
        name = url.rpartition("/")[2]
        return next(p for p in (tiny / "mnist" / name, tiny / "mnist" / name.removesuffix(".gz")) if p.exists())

    monkeypatch.setattr("cnn.download.fetch", fetch)
    assert len(data.load("mnist", "test")) == 100
    source = data.known("mnist")
    assert asked == [(source.base + name, sha256) for name, sha256 in source.files]


def painted(label, noise, cx, cy, r, x0, y0, side):
    """Paint one image pixel by pixel, as the notebook does."""
    image = noise.copy()
    size = noise.shape[1]
    for y in range(size):
        for x in range(size):
            inside = (x % 10 < 5, y % 10 < 5, (x - cx)**2 + (y - cy)**2 <= r**2,
                      x0 <= x < x0 + side and y0 <= y < y0 + side, (x + y) % 20 < 10)[label]
            if inside:
                image[:, y, x] = ((.8, .2, .2), (.2, .8, .2), (.2, .2, .8), (.8, .8, .2), (.8, .2, .8))[label]
    return image


def test_the_synthetic_images_are_those_that_loops_paint(monkeypatch):
    drawn = {}
    places = synthetic.places
    monkeypatch.setattr(synthetic, "places", lambda *a: drawn.setdefault("at", places(*a)))
    images, labels = synthetic.make(10, 64, seed=4)
    noise = np.random.default_rng(4).random((10, 3, 64, 64), np.float32)
    for k in range(10):
        at = {name: int(value[k, 0, 0]) for name, value in drawn["at"].items()}
        np.testing.assert_allclose(images[k], painted(labels[k], noise[k], **at), atol=1e-7)


def test_places_of_discs_and_squares_fill_their_ranges():
    at = synthetic.places(20_000, 64, np.random.default_rng(0))
    limits = {"cx": (20, 43), "cy": (20, 43), "r": (10, 19), "x0": (10, 33), "y0": (10, 33), "side": (15, 24)}
    assert {name: (value.min(), value.max()) for name, value in at.items()} == limits


def test_a_synthetic_image_too_small_for_its_discs_is_refused():
    with pytest.raises(ValueError, match="size=40 must be at least 41"):
        synthetic.make(5, 40)
    assert synthetic.make(5, 41)[0].shape == (5, 3, 41, 41)
