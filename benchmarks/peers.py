"""The implementations of SIFT that are measured: for each the raw call, and its result in pysift's frame.

    grey uint8 → prepare → call() → read → Features: first pixel's centre at (0, 0), σ in input pixels, θ clockwise,
                                           descriptors in OpenCV's layout

All run as a user gets them, with the defaults of the installed version and on the CPU, but for:

    pysift     sums in the order of the processor at hand, as cv2: otherwise last bits differ
    pycolmap   no limit on the number of features; affine shape is off, as by default
    kornia     asks for a number of features: as many as pysift finds, so that it may fill them; its padding is
               dropped.  Under inference_mode.

So contrast thresholds, octaves and orientations a point are everyone's own, and so is the norm: pycolmap and
kornia return RootSIFT (`root` below).  Bias stays in: cv2's default and scikit-image's +0.25 px are what they return.
"""
from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import cv2
import numpy as np

import pysift
from pysift import Features, Keypoints, SIFTParams, convert
from pysift.cv import native_lanes

Call = Callable[[], object]


@dataclass(frozen=True)
class Peer:
    """One implementation in one mode.

    Attributes
    ----------
    name : what tables call it
    module : what it imports
    prepare : grey (H, W) uint8 → the call to be timed; input converted, objects built
    read : what the call returns → Features
    threads : asks for n threads, returns how many it will use: 1 where it knows no threads
    root : whether the descriptors are RootSIFT: √ of the descriptor at unit sum
    detect, describe : as `prepare`, for detection alone, and for the description of its own keypoints; or None
    """

    name: str
    module: str
    prepare: Callable[[np.ndarray], Call]
    read: Callable[..., Features]
    threads: Callable[[int], int]
    root: bool = False
    detect: Callable[[np.ndarray], Call] | None = None
    describe: Callable[[np.ndarray], Call] | None = None

    def missing(self) -> str | None:
        """Return why it cannot be imported, or None if it can."""
        try:
            import_module(self.module)
        except ImportError as error:
            return str(error)
        return None

    def available(self) -> bool:
        """Whether it can be imported."""
        return self.missing() is None

    @property
    def version(self) -> str:
        """The version of the installed module; ImportError without one."""
        return import_module(self.module).__version__

    def set_threads(self, n: int) -> int:
        """Ask for n threads, before `prepare`; return how many will be used."""
        return self.threads(n)

    def features(self, grey: np.ndarray) -> Features:
        """Detect and describe, in pysift's frame; (H, W) uint8."""
        return self.read(self.prepare(grey)())


def present() -> list[Peer]:
    """Those that can be imported, in the order of PEERS."""
    return [peer for peer in PEERS if peer.available()]


def absent() -> dict[str, str]:
    """Name and reason of those that cannot."""
    return {peer.name: reason for peer in PEERS if (reason := peer.missing())}


def _one(n: int) -> int:
    return 1


def _pysift_threads(n: int) -> int:
    pysift.set_num_threads(n)
    return n


def ours(name: str, params: SIFTParams) -> Peer:
    """Return pysift with these parameters as a peer."""
    return Peer(name, "pysift", lambda grey: partial(pysift.sift, grey, params), lambda features: features,
                _pysift_threads, root=params.descriptor == "root",
                detect=lambda grey: partial(pysift.detect, grey, params),
                describe=lambda grey: partial(pysift.describe, grey, pysift.detect(grey, params), params))


def _cv2_threads(n: int) -> int:
    cv2.setNumThreads(n)
    return n


def _read_cv2(result) -> Features:
    keypoints, descriptors = result
    return Features(convert.from_cv2(keypoints), np.zeros((0, 128)) if descriptors is None else descriptors)


def _cv2(name: str, **options) -> Peer:
    def describe(grey: np.ndarray) -> Call:
        sift = cv2.SIFT_create(**options)
        return partial(sift.compute, grey, sift.detect(grey, None))

    return Peer(name, "cv2", lambda grey: partial(cv2.SIFT_create(**options).detectAndCompute, grey, None),
                _read_cv2, _cv2_threads,
                detect=lambda grey: partial(cv2.SIFT_create(**options).detect, grey, None), describe=describe)


def _skimage(grey: np.ndarray) -> Call:
    from skimage.feature import SIFT
    from skimage.util import img_as_float
    image = img_as_float(grey)

    def call() -> object:
        sift = SIFT()
        try:
            sift.detect_and_extract(image)
        except RuntimeError as error:
            if "no features" not in str(error):          # its word for an empty result
                raise
            return None
        return sift
    return call


def _read_skimage(sift) -> Features:
    if sift is None:
        return Features(Keypoints.empty(), np.zeros((0, 128), np.uint8))
    return Features(convert.from_skimage(sift), convert.convert_descriptors(sift.descriptors, "skimage", "opencv"))


def _pycolmap(name: str, **options) -> Peer:
    def prepare(grey: np.ndarray) -> Call:
        import pycolmap
        pycolmap.logging.minloglevel = 1                 # or each extractor announces itself on stderr
        settings = pycolmap.FeatureExtractionOptions()
        settings.use_gpu, settings.num_threads = False, 1
        settings.sift.mergedict({"max_num_features": grey.size, "estimate_affine_shape": False, **options})
        extractor = pycolmap.FeatureExtractor.create(settings, pycolmap.Device.cpu)
        return partial(extractor.extract_from_uint8_array, np.ascontiguousarray(grey))

    return Peer(name, "pycolmap", prepare, _read_pycolmap, _one, root=True)


def _read_pycolmap(result) -> Features:
    keypoints, descriptors = result
    rows = np.array([(k.x, k.y, k.a11, k.a12, k.a21, k.a22) for k in keypoints]).reshape(-1, 6)
    return Features(convert.from_colmap(rows), np.asarray(descriptors.data).reshape(-1, 128))


def _kornia_threads(n: int) -> int:
    import torch
    torch.set_num_threads(n)
    return n


def _kornia(name: str, backend: str) -> Peer:
    def prepare(grey: np.ndarray) -> Call:
        import torch
        from kornia.feature import SIFTFeatureScaleSpace
        sift = SIFTFeatureScaleSpace(max(len(pysift.detect(grey)), 1), descriptor_backend=backend,
                                     descriptor_layout="opencv").eval()
        image = torch.from_numpy(grey.astype(np.float32) / 255)[None, None]
        return torch.inference_mode()(partial(sift, image))

    return Peer(name, "kornia", prepare, _read_kornia, _kornia_threads, root=True)


def _read_kornia(result) -> Features:
    from kornia.feature import laf_is_filled
    lafs, responses, descriptors = (tensor[0] for tensor in result)
    filled = laf_is_filled(lafs[None])[0]
    keypoints = convert.from_laf(lafs[filled].numpy()).replace(response=responses[filled].numpy())
    return Features(keypoints, descriptors[filled].numpy())


def _rayon_threads(n: int) -> int:
    """Set the pool of kornia_rs, which the first call in a process makes and no later call changes."""
    return int(os.environ.setdefault("RAYON_NUM_THREADS", str(n)))


def _kornia_rs(grey: np.ndarray) -> Call:
    from kornia_rs.imgproc import Sift
    return partial(Sift().detect_and_compute, grey.astype(np.float32)[:, :, None])


def _read_kornia_rs(result) -> Features:
    keypoints, descriptors = result
    return Features(convert.from_cv2([cv2.KeyPoint(k.x, k.y, k.size, k.angle, k.response, k.packed_octave)
                                      for k in keypoints]), np.asarray(descriptors))


PEERS: tuple[Peer, ...] = (
    ours("pysift", SIFTParams(simd_lanes=native_lanes())),
    ours("pysift opencv()", SIFTParams.opencv(simd_lanes=native_lanes())),
    _cv2("cv2"),
    _cv2("cv2 precise", enable_precise_upscale=True),
    Peer("scikit-image", "skimage", _skimage, _read_skimage, _one),
    _pycolmap("pycolmap"),
    _pycolmap("pycolmap DSP", domain_size_pooling=True),
    _kornia("kornia pyramid", "pyramid"),
    _kornia("kornia patch", "patch"),
    Peer("kornia-rs", "kornia_rs", _kornia_rs, _read_kornia_rs, _rayon_threads),
)
