"""pysift with cv2's face: `pysift.SIFT_create` in the place of `cv2.SIFT_create`.

    image (BGR or grey) → detect | compute | detectAndCompute → tuple of cv2.KeyPoint, float32 (N, 128)

Same keypoints, same order, same packed octave; what cv2 does and pysift's own interface does not is here:
BGR colours, `None` for no descriptors, the order that nth_element leaves behind, and descriptors that
change when no keypoint of octave −1 is among them.

imports: convert, image, keypoints, params, pipeline, scalespace, selection; cv2 inside the functions that need it
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pysift.convert import from_cv2, to_cv2
from pysift.image import check_mask, grey_levels
from pysift.keypoints import Keypoints
from pysift.params import SIFTParams
from pysift.pipeline import check_memory, describe_on, find_keypoints
from pysift.scalespace import Octave, borrowed_scalespace
from pysift.selection import distinct, unmasked

_CV_8U, _CV_32F, _NORM_L2 = 0, 5, 4


def SIFT_create(nfeatures: int = 0, nOctaveLayers: int = 3, contrastThreshold: float = 0.04,  # noqa: N802
                edgeThreshold: float = 10, sigma: float = 1.6, enable_precise_upscale: bool = False, *,
                descriptorType: int = _CV_32F) -> SIFT:
    """Create a detector with the parameters, methods and results of `cv2.SIFT_create`.

    Parameters
    ----------
    nfeatures, nOctaveLayers, contrastThreshold, edgeThreshold, sigma, enable_precise_upscale : as cv2
    descriptorType : cv2.CV_32F or cv2.CV_8U

    Raises
    ------
    ValueError, TypeError : a parameter is out of range; ImportError : OpenCV is not installed.

    >>> sift = SIFT_create(nfeatures=100)
    >>> keypoints, descriptors = sift.detectAndCompute(np.zeros((64, 64), np.uint8), None)
    >>> keypoints, descriptors
    ((), None)
    """
    if descriptorType not in (_CV_8U, _CV_32F):
        raise ValueError(f"descriptorType={descriptorType!r} is not supported: use cv2.CV_32F or cv2.CV_8U")
    params = SIFTParams.opencv(
        nfeatures=nfeatures, n_octave_layers=nOctaveLayers, contrast_threshold=contrastThreshold,
        edge_threshold=edgeThreshold, sigma=sigma, simd_lanes=native_lanes()).replace(
        precise_upscale=bool(enable_precise_upscale))
    return SIFT(params, np.float32 if descriptorType == _CV_32F else np.uint8)


def native_lanes() -> int:
    """Return the width of the registers for which cv2 dispatches SIFT on this processor.

    It decides in which order cv2 adds, and so the last bits (docs/deviations.md, 9).
    """
    try:
        import cv2
    except ImportError:
        raise ImportError('SIFT_create returns cv2.KeyPoint objects: pip install "siftgrad[cv2]", '
                          "or use pysift.sift, which needs no OpenCV") from None
    avx512_skx, avx2 = 256, 11
    return 16 if cv2.checkHardwareSupport(avx512_skx) else 8 if cv2.checkHardwareSupport(avx2) else 4


class SIFT:
    """cv2.SIFT's methods on pysift; made by `SIFT_create`.  It holds parameters and no other state."""

    def __init__(self, params: SIFTParams, dtype: type) -> None:
        self._params, self._dtype = params, dtype

    def detect(self, image, mask=None):
        """Return the keypoints of an image as a tuple of cv2.KeyPoint; of a list of images, one tuple each."""
        if isinstance(image, (list, tuple)):
            masks = [None] * len(image) if mask is None else mask
            return tuple(self.detect(i, m) for i, m in zip(image, masks, strict=True))
        with self._octaves(image) as octaves:
            return to_cv2(self._find(octaves, image, mask))

    def detectAndCompute(self, image, mask=None, descriptors=None, useProvidedKeypoints=False):  # noqa: N802
        """Return keypoints and descriptors, (N, 128) in descriptorType, None where N is 0."""
        if useProvidedKeypoints:
            raise ValueError("useProvidedKeypoints=True has no keypoints to use from Python: "
                             "call compute(image, keypoints)")
        with self._octaves(image) as octaves:
            keypoints = self._find(octaves, image, mask)
            return to_cv2(keypoints), self._describe(octaves, keypoints)

    def compute(self, image, keypoints: Sequence, descriptors=None):
        """Describe the given cv2.KeyPoint objects.

        As in cv2, the image is doubled only if one of them lies in octave −1, so a descriptor depends on
        its neighbours in the list; `pysift.describe` has no such dependence.
        """
        if isinstance(image, (list, tuple)):
            pairs = [self.compute(i, k) for i, k in zip(image, keypoints, strict=True)]
            return tuple(k for k, _ in pairs), tuple(d for _, d in pairs)
        given = from_cv2(keypoints)
        # an angle of −1, cv2's "none", is used there as the number −1
        theta = np.deg2rad(np.array([k.angle for k in keypoints], np.float64))
        with self._octaves(image, first_octave=int(min(given.octave.min(initial=0), 0))) as octaves:
            return tuple(keypoints), self._describe(octaves, given.replace(theta=theta))

    def _octaves(self, image, **changes):
        if isinstance(image, np.ndarray) and image.ndim >= 2:
            check_memory(image.shape[0], image.shape[1], self._params)
        return borrowed_scalespace(grey_levels(image, order="bgr"), self._params.replace(**changes))

    def _find(self, octaves: list[Octave], image, mask) -> Keypoints:
        mask = check_mask(mask, image.shape[:2])
        found = find_keypoints(octaves, self._params)
        found = found[distinct(found)]
        found = found[retain_best(found.response.tolist(), self._params.nfeatures)]
        return found[unmasked(found, mask)]

    def _describe(self, octaves: list[Octave], keypoints: Keypoints) -> np.ndarray | None:
        if len(keypoints) == 0:
            return None
        return describe_on(octaves, keypoints, self._params).astype(self._dtype)

    def descriptorSize(self) -> int:  # noqa: N802
        """Return the length of a descriptor."""
        return self._params.n_cells**2 * self._params.n_desc_bins

    def descriptorType(self) -> int:  # noqa: N802
        """Return cv2.CV_32F or cv2.CV_8U."""
        return _CV_32F if self._dtype == np.float32 else _CV_8U

    def defaultNorm(self) -> int:  # noqa: N802
        """Return cv2.NORM_L2."""
        return _NORM_L2

    def empty(self) -> bool:
        """Return True, as cv2.SIFT does: it has no model to load."""
        return True

    def getDefaultName(self) -> str:  # noqa: N802
        """Return cv2's name of the algorithm."""
        return "Feature2D.SIFT"


def _add_accessors() -> None:
    """Give SIFT cv2's five getters and setters, getNFeatures … setSigma."""
    for name, field in (("NFeatures", "nfeatures"), ("NOctaveLayers", "n_octave_layers"),
                        ("ContrastThreshold", "contrast_threshold"), ("EdgeThreshold", "edge_threshold"),
                        ("Sigma", "sigma")):
        def get(self, field=field):
            return getattr(self._params, field)

        def set_(self, value, field=field):
            self._params = self._params.replace(**{field: value})

        get.__name__, set_.__name__ = f"get{name}", f"set{name}"
        get.__doc__, set_.__doc__ = f"Return {field}.", f"Set {field}."
        setattr(SIFT, get.__name__, get)
        setattr(SIFT, set_.__name__, set_)


_add_accessors()


def retain_best(response: list[float], n: int) -> list[int]:
    """Return the indices of the n largest, and of all that tie with the last of them, in cv2's order.

    cv2 leaves the survivors in the order in which std::nth_element and std::partition of GNU's C++ library
    drop them, so that order is part of the result.  n = 0 keeps all.          [cv2, KeyPointsFilter::retainBest]

    >>> retain_best([.1, .5, .3, .5, .2], 1)
    [1, 3]
    """
    order = list(range(len(response)))
    if n == 0 or len(order) <= n:
        return order
    _select_nth(order, response, n - 1)
    cut = response[order[n - 1]]
    first, last = n, len(order)
    while True:                                  # std::partition: ties with the cut to the front
        while first < last and response[order[first]] >= cut:
            first += 1
        last -= 1
        while first < last and response[order[last]] < cut:
            last -= 1
        if first >= last:
            return order[:first]
        order[first], order[last] = order[last], order[first]
        first += 1


def _select_nth(order: list[int], response: list[float], nth: int) -> None:
    """Quickselect with median-of-three pivots: D. Musser, Introspective Sorting and Selection, 1997.

    Its escape to a heap after 2·log2 N bad pivots is left out.
    """
    def before(a: int, b: int) -> bool:
        return response[order[a]] > response[order[b]]

    def swap(a: int, b: int) -> None:
        order[a], order[b] = order[b], order[a]

    first, last = 0, len(order)
    while last - first > 3:
        a, b, c = first + 1, first + (last - first) // 2, last - 1
        low, high = (a, b) if before(a, b) else (b, a)
        median = high if before(high, c) else c if before(low, c) else low
        swap(first, median)
        left, right = first + 1, last
        while True:                              # Hoare's partition about the pivot at `first`
            while before(left, first):
                left += 1
            right -= 1
            while before(first, right):
                right -= 1
            if left >= right:
                break
            swap(left, right)
            left += 1
        first, last = (left, last) if left <= nth else (first, left)
    order[first:last] = sorted(order[first:last], key=lambda i: -response[i])
