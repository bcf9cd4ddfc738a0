"""The adapters of benchmarks/peers.py: all put keypoints and descriptors into one frame."""
import numpy as np
import pytest

import pysift
from benchmarks import blobs
from benchmarks.peers import PEERS, Peer, absent, present
from pysift.convert import LAYOUTS
from strategies import photo

BY_NAME = {peer.name: peer for peer in PEERS}
QUARTER = {"pysift opencv()", "cv2", "scikit-image", "kornia-rs"}     # they double by half-pixel interpolation
CENTRES = [(40.3, 57.8), (45.0, 52.0), (43.75, 60.5)]


def installed(names):
    """Parametrise over these adapters; what is not installed is skipped with its reason."""
    return pytest.mark.parametrize("peer", [
        pytest.param(peer, id=peer.name, marks=pytest.mark.skipif(not peer.available(), reason=str(peer.missing())))
        for peer in map(BY_NAME.get, names)])


every_peer = installed(BY_NAME)


def degrees(angle):
    """Bring differences of radians into 0 … 180 degrees."""
    return np.abs(np.rad2deg((angle + np.pi) % (2 * np.pi) - np.pi))


def partners(ours, theirs):
    """Return indices of keypoints at one place (0.5 px), scale (10 %) and angle (15°), each of `ours` once."""
    i, j = np.nonzero((np.hypot(ours.x[:, None] - theirs.x, ours.y[:, None] - theirs.y) < 0.5)
                      & (np.abs(np.log(ours.sigma[:, None] / theirs.sigma)) < 0.1)
                      & (degrees(ours.theta[:, None] - theirs.theta) < 15))
    i, first = np.unique(i, return_index=True)
    return i, j[first]


def cosines(a, b):
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@every_peer
@pytest.mark.parametrize("s", [3.0, 6.0])
def test_a_blob_is_found_at_its_place_and_scale(peer, s):
    # 0.05 px: the quadratic fit itself errs by that much at these scales; ¼ px is what half-pixel doubling adds.
    # 2 %: a linear interpolation widens a blob of s = 3 by 1 %, the fit errs by up to 0.6 %.
    bias = 0.25 if peer.name in QUARTER else 0.0
    for x, y in CENTRES:
        k = peer.features(blobs.render(x, y, s, 128)).keypoints
        nearest = np.argmin(np.hypot(k.x - x, k.y - y) + np.abs(k.sigma - blobs.closed_form_sigma(s)))
        assert abs(k.x[nearest] - x - bias) < 0.05
        assert abs(k.y[nearest] - y - bias) < 0.05
        assert k.sigma[nearest] == pytest.approx(blobs.closed_form_sigma(s), rel=0.02)


@every_peer
def test_angle_and_descriptor_are_those_of_cv2_at_the_same_keypoint(peer):
    image = photo("camera", 256, 256)
    reference = BY_NAME["cv2" if peer.name in QUARTER else "cv2 precise"].features(image)
    found = peer.features(image)
    i, j = partners(found.keypoints, reference.keypoints)
    assert len(i) > 0.2 * len(reference.keypoints)        # at most a tenth would pair by chance, were angles wrong
    turned = degrees(found.keypoints.theta[i] - reference.keypoints.theta[j])
    # scikit-image's angles carry +5°; kornia's patch backend and pycolmap with pooling read them off small patches
    patchy = peer.name in ("kornia patch", "pycolmap DSP")
    assert np.median(turned) < (6 if patchy or peer.name == "scikit-image" else 3)
    a, b = found.descriptors[i].astype(float), reference.descriptors[j].astype(float)
    a = a**2 if peer.root else a                                      # RootSIFT squared is SIFT up to its length
    cosine = cosines(a, b)
    assert np.median(cosine) > (0.8 if patchy else 0.9)               # pooled or windowed otherwise; not 0.62 …
    assert np.median(cosine) > 0.2 + np.median(cosines(a[:, LAYOUTS["vlfeat"]], b))    # … as in a wrong layout


@installed([name for name, peer in BY_NAME.items() if peer.module != "kornia"])    # it keeps extrema of rounding
def test_a_flat_image_has_no_features(peer):
    keypoints, descriptors = peer.features(np.full((64, 64), 90, np.uint8))
    assert len(keypoints) == 0 and descriptors.shape == (0, 128)


@every_peer
def test_every_keypoint_has_a_scale_and_a_descriptor(peer):
    image = blobs.render(40.3, 41.8, 4.0, 90)                          # few extrema: kornia must pad
    keypoints, descriptors = peer.features(image)
    assert len(keypoints) == len(descriptors) > 0
    assert (keypoints.sigma > 0).all() and (descriptors.astype(float).sum(axis=1) > 0).all()


@installed(["kornia pyramid", "kornia patch"])
def test_kornia_is_asked_for_as_many_features_as_pysift_finds(peer):
    image = photo("camera", 256, 256)
    assert peer.prepare(image)()[0].shape[1] == len(pysift.detect(image))


@installed(["pysift", "pysift opencv()", "cv2", "cv2 precise"])
def test_detection_and_description_alone_give_what_both_together_give(peer):
    image = photo("camera", 128, 128)
    features = peer.features(image)
    alone = peer.detect(image)()
    described = peer.describe(image)()
    if peer.module == "cv2":
        alone, described = pysift.convert.from_cv2(alone), described[1]
    assert alone == features.keypoints
    assert np.array_equal(described, features.descriptors)


@pytest.mark.parametrize("ours, theirs", [("pysift", "cv2 precise"), ("pysift opencv()", "cv2")])
def test_pysift_and_cv2_return_the_same_features(ours, theirs):
    image = photo("camera", 256, 256)
    a, b = BY_NAME[ours].features(image), BY_NAME[theirs].features(image)
    assert np.array_equal(a.keypoints.xy, b.keypoints.xy) and np.array_equal(a.keypoints.sigma, b.keypoints.sigma)
    assert np.array_equal(a.descriptors, b.descriptors)


@installed(["kornia pyramid", "kornia patch"])
def test_the_padding_of_kornia_is_dropped(peer):
    import torch
    lafs = torch.zeros(1, 3, 2, 3)
    lafs[0, 1] = torch.tensor([[12.0, 0, 7], [0, 12, 9]])                 # σ = 2 at (7, 9); the others are padding
    keypoints, descriptors = peer.read((lafs, torch.tensor([[0.0, 1, 0]]), torch.arange(384.0).reshape(1, 3, 128)))
    assert (keypoints.x, keypoints.y, keypoints.sigma) == (7, 9, 2)
    assert descriptors.tolist() == [list(range(128, 256))]


@installed(["pycolmap DSP"])
def test_pooling_over_sizes_changes_descriptors(peer):
    image = photo("camera", 128, 128)
    pooled, plain = peer.features(image), BY_NAME["pycolmap"].features(image)
    i, j = partners(pooled.keypoints, plain.keypoints)
    assert np.median(cosines(pooled.descriptors[i].astype(float), plain.descriptors[j].astype(float))) < 0.97


@every_peer
def test_threads_are_asked_for_and_told(peer, monkeypatch):
    monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    assert peer.set_threads(1) == 1


def test_what_cannot_be_imported_says_why(monkeypatch):
    gone = Peer("gone", "no_such_module", *[None] * 3)
    monkeypatch.setattr("benchmarks.peers.PEERS", (gone, BY_NAME["pysift"]))
    assert not gone.available() and "no_such_module" in gone.missing()
    assert [peer.name for peer in present()] == ["pysift"]
    assert list(absent()) == ["gone"]
    with pytest.raises(ImportError):
        gone.version  # noqa: B018
