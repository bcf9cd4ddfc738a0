"""Where each SIFT puts a blob whose place and scale are known, over subpixel centres and four octaves of scale.

Truth is the closed form of benchmarks/blobs.py, not cv2.  The best that any SIFT with the quadratic fit can do is
tabled beside it: "the fit", samples of the closed form in exact arithmetic, and "fit, doubled", the same on an
image that linear interpolation to double size has blurred by 1/8 px² (the average; see blobs.py).

A blob counts as missed if no keypoint lies within half a σ of its centre and within a quarter octave of its scale.
Those that settle a fit only below an offset of ½ (cv2, pysift, kornia's pyramid, kornia-rs) miss blobs midway between
samples, where each sample sends the fit to the other: 7 to 9 in 100, as the fit itself does.  scikit-image and pycolmap
move on from 0.6 only.
All run on one thread; cv2 without IPP.
"""
from __future__ import annotations

import cv2
import numpy as np

from benchmarks import blobs, record
from benchmarks.localisation_figure import draw
from benchmarks.peers import absent, present
from pysift import Keypoints

SEED = 0
DOUBLED = 1 / 8              # px², see blobs.py
_SCALES, _CENTRES = 48, 12   # from octave −1's first layer to octave 2's last, four in each layer
_ENDS = -2.5, 9.5            # the same in layers above σ₀ of octave 0


def run(*, quick: bool = False, data: str | None = None) -> dict[str, np.ndarray]:
    """Measure all that are installed; returns {name: (scales, centres, 3) errors}, NaN where a blob was missed."""
    if data is not None:
        raise SystemExit(f"--data {data}: this benchmark renders its images and reads none; leave --data out")
    cv2.ipp.setUseIPP(False)
    sigmas = true_sigmas(16 if quick else _SCALES)
    truths = [[_place(np.random.default_rng([SEED, i, j]), sigma) for j in range(3 if quick else _CENTRES)]
              for i, sigma in enumerate(sigmas)]
    errors = {"the fit": _fit_errors(truths, 0.0), "fit, doubled": _fit_errors(truths, DOUBLED)}
    for peer in present():
        peer.set_threads(1)
        errors[peer.name] = np.array([[_error(peer.features(_picture(t)).keypoints, t) for t in row]
                                      for row in truths])
        print(f"measured: {peer.name}", flush=True)
    rows = [summary(name, octave, error[octaves(sigmas) == octave], sigmas[octaves(sigmas) == octave])
            for name, error in errors.items() for octave in range(-1, 3)]
    _print(rows)
    for name, reason in absent().items():
        print(f"{name}: not measured, {reason}")
    record.write("localisation", quick, threads=1, ipp=False, seed=SEED, absent=absent(), sigmas=_plain(sigmas),
                 centres=_plain([[t[:2] for t in row] for row in truths]), rows=rows,
                 errors={peer.name: _plain(errors[peer.name]) for peer in present()})
    record.save_figure(draw(sigmas, errors), "localisation", quick)
    return errors


def true_sigmas(n: int) -> np.ndarray:
    """Return n closed-form scales, evenly over the layers of four octaves, none on the border of two layers."""
    step = (_ENDS[1] - _ENDS[0]) / n
    return blobs.SIGMA * blobs.K ** (_ENDS[0] + step * (np.arange(n) + 0.5))


def octaves(sigmas: np.ndarray) -> np.ndarray:
    """Return the octave that owns each scale; −1 is the doubled image."""
    return np.ceil((np.rint(3 * np.log2(sigmas / blobs.SIGMA)) - 3) / 3).astype(int)


def summary(name: str, octave: int, errors: np.ndarray, sigmas: np.ndarray) -> dict:
    """Bias and spread of one peer in one octave.

    Parameters
    ----------
    errors : (scales, centres, 3) of x, y in input pixels and of σ in input pixels; NaN is a miss
    sigmas : (scales,), the true ones

    Returns
    -------
    dict of mean, std and 95 % interval, of x and y in input px, of σ in per cent of the true one; None without data
    """
    percent = errors / np.stack([np.ones_like(sigmas), np.ones_like(sigmas), sigmas / 100], axis=1)[:, None]
    found = percent[~np.isnan(percent).any(axis=2)]
    row = {"peer": name, "octave": octave, "blobs": percent[..., 0].size,
           "missed": percent[..., 0].size - len(found)}
    for axis, label in enumerate(("x [px]", "y [px]", "sigma [%]")):
        e = found[:, axis]
        row[label] = None if not len(e) else {"mean": e.mean(), "std": e.std(),
                                              "95 %": np.percentile(e, [2.5, 97.5]).tolist()}
    return row


def _place(rng: np.random.Generator, sigma: float) -> tuple[float, float, float, float]:
    """Return x, y, the true σ and s of a blob: its centre anywhere in a pixel of octave 3, 8 input pixels wide."""
    s = blobs.blob_std(sigma)
    x, y = _side(s) // 2 + rng.uniform(-4, 4, 2)
    return x, y, sigma, s


def _side(s: float) -> int:
    """Return a side of 22 s, about 100 pixels of the blob's octave: room for all margins and last octave."""
    return int(22 * s) + 60


def _picture(truth) -> np.ndarray:
    x, y, _, s = truth
    return blobs.render(x, y, s, _side(s))


def _error(keypoints: Keypoints, truth) -> list[float]:
    """Return x, y and σ of the keypoint nearest to the truth, less the truth; NaN if the blob was missed."""
    x, y, sigma, _ = truth
    if not len(keypoints):
        return [np.nan] * 3
    distance = np.hypot(keypoints.x - x, keypoints.y - y) / sigma
    ratio = np.abs(np.log2(keypoints.sigma / sigma))
    best = np.argmin(2 * distance + 4 * ratio)
    if distance[best] > 0.5 or ratio[best] > 0.25:
        return [np.nan] * 3
    return [float(keypoints.x[best] - x), float(keypoints.y[best] - y), float(keypoints.sigma[best] - sigma)]


def _fit_errors(truths, extra: float) -> np.ndarray:
    return np.array([[blobs.fitted(x, y, s, extra) - [x, y, sigma] for x, y, sigma, s in row] for row in truths])


def _print(rows: list[dict]) -> None:
    print(f"{'':16}{'octave':>7}{'missed':>10}" + "".join(f"{label:>31}" for label in ("x [px]", "y [px]", "σ [%]")))
    for row in rows:
        cells = "".join(_cell(row[label]) for label in ("x [px]", "y [px]", "sigma [%]"))
        print(f"{row['peer']:16}{row['octave']:>7}{row['missed']:>5}/{row['blobs']:<4}{cells}")


def _cell(values: dict | None) -> str:
    if values is None:
        return f"{'–':>31}"
    low, high = values["95 %"]
    return f"{values['mean']:>+9.3f} ±{values['std']:.3f} [{low:+.3f}, {high:+.3f}]"


def _plain(array) -> list:
    """Return nested lists rounded to 10⁻⁴ px, None for NaN."""
    rounded = np.round(np.asarray(array, np.float64), 4)
    return np.where(np.isnan(rounded), None, rounded.astype(object)).tolist()
