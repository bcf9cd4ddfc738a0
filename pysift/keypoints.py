"""The two data types: `Keypoints`, a table of parallel arrays, and `Features`, a table with descriptors.

Frame and units (docs/conventions.md): x to the right, y down, the centre of the first pixel at (0, 0),
in pixels of the input image; σ in input pixels; θ in radians in [0, 2π), turning from +x to +y.

imports: params
"""
from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from pysift.params import SIFTParams

_COLUMNS = {"x": np.float32, "y": np.float32, "sigma": np.float32, "theta": np.float64, "response": np.float32,
            "octave": np.int32, "layer": np.int32, "offset": np.float32}


@dataclass(frozen=True, eq=False)
class Keypoints:
    """N keypoints as parallel arrays of shape (N,); indexing with a mask or indices selects rows.

    Attributes
    ----------
    x, y : float32, input pixels; the centre of the first pixel is (0, 0)
    sigma : float32, input pixels (cv2's `size` is 2·sigma)
    theta : float64, radians in [0, 2π), from +x towards +y; NaN where no orientation was assigned
    response : float32, |D| at the refined point, as a fraction of the intensity range
    octave : int32, −1 for the doubled image
    layer : int32, 1 … S
    offset : float32, refined scale minus `layer`, in layers, (−0.5, 0.5)

    Raises
    ------
    ValueError
        The columns differ in length or are not one-dimensional.

    Examples
    --------
    >>> one = Keypoints.at([8.0], [5.0], sigma=[2.0], theta=[0.0])
    >>> len(one), one.octave, one.layer
    (1, array([0], dtype=int32), array([1], dtype=int32))
    >>> len(Keypoints.empty()), one[one.x > 9].x.shape
    (0, (0,))
    """

    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    theta: np.ndarray
    response: np.ndarray
    octave: np.ndarray
    layer: np.ndarray
    offset: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype in _COLUMNS.items():
            column = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            object.__setattr__(self, name, column)
            if column.ndim != 1 or len(column) != len(self.x):
                raise ValueError(f"Keypoints.{name} has shape {column.shape}, x has {self.x.shape}: "
                                 "every column must be one-dimensional and of the same length")

    @classmethod
    def empty(cls) -> Keypoints:
        """Return a table of no rows."""
        return cls(*(np.empty(0, dtype) for dtype in _COLUMNS.values()))

    @classmethod
    def at(cls, x, y, sigma, theta=np.nan, response=0.0, params: SIFTParams = SIFTParams()) -> Keypoints:
        """Place keypoints by hand; octave and layer are those whose blur is nearest to σ.

            S·log2(σ / σ₀) = S·o + layer + offset,   1 ≤ layer ≤ S,   o ≥ first octave

        A σ finer than the first level takes the first level.

        Parameters
        ----------
        x, y, sigma, theta, response : arrays (N,) or numbers, units as in the class
        params : SIFTParams; reads n_octave_layers, sigma and first_octave

        Raises
        ------
        ValueError : σ is not positive and finite, or x, y or θ is not finite (NaN stands for no θ).
        """
        x, y, sigma, theta, response = (np.atleast_1d(a) for a in np.broadcast_arrays(
            *(np.asarray(v, np.float64) for v in (x, y, sigma, theta, response))))
        fits = np.finfo(np.float32).max
        for name, values, ok in (("sigma", sigma, (sigma > 0) & (sigma <= fits)), ("x", x, np.abs(x) <= fits),
                                 ("y", y, np.abs(y) <= fits), ("theta", theta, ~np.isinf(theta))):
            if not ok.all():
                i = int(np.argmin(ok))
                raise ValueError(f"{name}[{i}]={values[i]} is no keypoint: give a finite "
                                 f"{'positive ' if name == 'sigma' else ''}number "
                                 f"of {'radians' if name == 'theta' else 'input pixels'}")
        S = params.n_octave_layers
        depth = S * np.log2(sigma / params.sigma)                   # layers above octave 0, layer 0
        octave = np.maximum(np.ceil((np.rint(depth) - S) / S), params.first_octave).astype(np.int32)
        layer = np.maximum(np.rint(depth).astype(np.int32) - S * octave, 1)
        offset = np.clip(depth - S * octave - layer, -0.5, 0.5)
        theta = np.mod(theta, 2 * np.pi)
        theta[theta == 2 * np.pi] = 0                               # what a tiny negative angle rounds to
        return cls(x, y, sigma, theta, response, octave, layer, offset)

    @classmethod
    def concatenate(cls, parts: list[Keypoints]) -> Keypoints:
        """Stack tables, in the order given; an empty list gives an empty table."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in _COLUMNS))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index) -> Keypoints:
        return Keypoints(*(getattr(self, f.name)[index] for f in fields(self)))

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __eq__(self, other) -> bool:
        """Equal to the bit, NaN equal to NaN."""
        return isinstance(other, Keypoints) and all(
            np.array_equal(getattr(self, n), getattr(other, n), equal_nan=True) for n in _COLUMNS)

    def __repr__(self) -> str:
        return f"Keypoints(N={len(self)})"

    def replace(self, **columns) -> Keypoints:
        """Return a copy with some columns changed."""
        return replace(self, **columns)

    @property
    def xy(self) -> np.ndarray:
        """Positions as one (N, 2) float32 array."""
        return np.stack([self.x, self.y], axis=1)

    @property
    def packed_octave(self) -> np.ndarray:
        """cv2's `octave`: o & 255 | layer << 8 | round((offset + ½)·255) << 16, halves to even; (N,) int64.

        >>> Keypoints.at([8], 5, 1.6).packed_octave
        array([8389631])
        """
        step = np.rint((self.offset.astype(np.float64) + 0.5) * 255).astype(np.int64)
        return (self.octave & 255) | self.layer.astype(np.int64) << 8 | step << 16


class Features(NamedTuple):
    """Keypoints and their descriptors, row for row; unpacks as `keypoints, descriptors`."""

    keypoints: Keypoints      # N rows
    descriptors: np.ndarray   # (N, 128) uint8, or float32: see SIFTParams.descriptor
