"""The judge: cv2's own SIFT, which knows nothing of diffsift."""
from __future__ import annotations

import numpy as np

from pysift.keypoints import Keypoints
from pysift.params import SIFTParams


def cv2_sift(grey: np.ndarray, params: SIFTParams = SIFTParams()) -> tuple[np.ndarray, np.ndarray]:
    """Detect and describe with cv2.SIFT.

    Parameters
    ----------
    grey : (H, W) uint8
    params : SIFTParams; the five that cv2 knows are passed on

    Returns
    -------
    frames : (N, 4) float64, rows x, y, sigma, theta, in the frame of `SoftFeatures`
    descriptors : (N, 128) float32, whole numbers

    Raises
    ------
    ImportError : cv2 is not installed: pip install "siftgrad[cv2]"

    >>> cv2_sift(np.zeros((32, 32), np.uint8))[0].shape
    (0, 4)
    """
    import cv2
    cv2.setNumThreads(1)
    engine = cv2.SIFT_create(nOctaveLayers=params.n_octave_layers, contrastThreshold=params.contrast_threshold,
                             edgeThreshold=params.edge_threshold, sigma=params.sigma,
                             enable_precise_upscale=params.precise_upscale)
    keypoints, descriptors = engine.detectAndCompute(grey, None)
    frames = np.array([(*k.pt, k.size / 2, np.radians(k.angle)) for k in keypoints]).reshape(-1, 4)
    return frames, np.zeros((0, 128), np.float32) if descriptors is None else descriptors


def places(frames: np.ndarray) -> np.ndarray:
    """Keep one row for each place and scale: cv2 lists a keypoint once for every orientation.

    >>> places(np.array([[1, 2, 3, 0], [1, 2, 3, 1.0]])).shape
    (1, 4)
    """
    return frames[np.unique(frames[:, :3].round(3), axis=0, return_index=True)[1]]


def missing(before: np.ndarray, after: np.ndarray, px: float = 1.0, octaves: float = 0.5) -> np.ndarray:
    """Mark the rows of `before` that `after` has nowhere within `px` pixels and `octaves` octaves of scale.

    >>> missing(np.array([[5, 5, 2, 0.0], [9, 9, 2, 0]]), np.array([[5.2, 5, 2.1, 0]]))
    array([False,  True])
    """
    if not len(after):
        return np.ones(len(before), bool)
    far = np.hypot(before[:, None, 0] - after[:, 0], before[:, None, 1] - after[:, 1])
    other = np.abs(np.log2(before[:, None, 2] / after[:, 2]))
    return ~((far <= px) & (other <= octaves)).any(1)


def shifts(before: np.ndarray, after: np.ndarray, px: float = 2.0, octaves: float = 0.25) -> np.ndarray:
    """From each row of `before` to the nearest of `after` of its scale: (N, 2) [px], NaN where there is none.

    >>> shifts(np.array([[5, 5, 2.0]]), np.array([[5.5, 5, 2, 0]]))
    array([[0.5, 0. ]])
    """
    if not len(after):
        return np.full((len(before), 2), np.nan)
    step = after[None, :, :2] - before[:, None, :2]
    far = np.where(np.abs(np.log2(before[:, None, 2] / after[:, 2])) <= octaves, np.hypot(*step.T).T, np.inf)
    nearest = far.argmin(1)
    rows = np.arange(len(before))
    return np.where((far[rows, nearest] <= px)[:, None], step[rows, nearest], np.nan)


def cv2_describe(grey: np.ndarray, frames: np.ndarray, params: SIFTParams = SIFTParams()) -> np.ndarray:
    """Descriptors (N, 128) float32 by cv2.SIFT of given frames (N, 4).

    >>> cv2_describe(np.zeros((40, 40), np.uint8), np.array([[20, 20, 2, 0]])).shape
    (1, 128)
    """
    import cv2

    from pysift.convert import to_cv2
    engine = cv2.SIFT_create(sigma=params.sigma, enable_precise_upscale=params.precise_upscale)
    keypoints, descriptors = engine.compute(grey, to_cv2(Keypoints.at(*frames.T, params=params)))
    assert len(keypoints) == len(frames)
    return descriptors
