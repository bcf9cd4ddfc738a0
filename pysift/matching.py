"""After the five steps: pair the descriptors of two images.      [Lowe §7.1]

    two nearest neighbours of every row of d0 in d1  →  ratio test  →  mutual test  →  sorted by distance

The search is brute force and exact; `inliers` then asks which pairs obey a known homography.

imports: keypoints
"""
from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pysift.keypoints import Keypoints

_BLOCK = 1 << 22      # entries of the distance matrix held at once: 16 MiB as float32


@dataclass(frozen=True, eq=False)
class Matches:
    """M pairs as parallel arrays of shape (M,); indexing with a mask or indices selects rows.

    Attributes
    ----------
    index0, index1 : int64, row of the first and of the second set
    distance : float32, Euclidean distance of the two descriptors
    ratio : float32, distance over the distance to the second nearest row, [0, 1]; small is distinctive.
        0 where the second set has one row only (no rival), 1 where both distances are 0

    Examples
    --------
    >>> pairs = match(np.eye(3, 128), np.eye(5, 128))
    >>> len(pairs), pairs[pairs.index0 > 0].index1
    (3, array([1, 2]))
    >>> pairs.stats()["count"]
    3
    """

    index0: np.ndarray
    index1: np.ndarray
    distance: np.ndarray
    ratio: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype in (("index0", np.int64), ("index1", np.int64),
                            ("distance", np.float32), ("ratio", np.float32)):
            column = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            object.__setattr__(self, name, column)
            if column.ndim != 1 or len(column) != len(self.index0):
                raise ValueError(f"Matches.{name} has shape {column.shape}, index0 has {self.index0.shape}: "
                                 "every column must be one-dimensional and of the same length")

    @classmethod
    def empty(cls) -> Matches:
        """Return a table of no pairs."""
        return cls(*np.empty((4, 0)))

    def __len__(self) -> int:
        return len(self.index0)

    def __getitem__(self, index) -> Matches:
        index = [index] if isinstance(index, (int, np.integer)) else index
        return Matches(*(getattr(self, f.name)[index] for f in fields(self)))

    def __repr__(self) -> str:
        return f"Matches(M={len(self)})"

    def stats(self) -> dict[str, float]:
        """Count, mean, min, max and standard deviation (over M, not M − 1) of the distances.

        Without matches the count is 0 and the rest is NaN.

        >>> Matches([0, 1], [4, 2], [1.0, 3.0], [0.5, 0.5]).stats()
        {'count': 2, 'mean': 2.0, 'min': 1.0, 'max': 3.0, 'std': 1.0}
        """
        d = self.distance.astype(np.float64)
        if not len(d):
            return {"count": 0, "mean": np.nan, "min": np.nan, "max": np.nan, "std": np.nan}
        return {"count": len(d), "mean": float(d.mean()), "min": float(d.min()), "max": float(d.max()),
                "std": float(d.std())}


def match(d0: np.ndarray, d1: np.ndarray, *, ratio: float | None = 0.75, mutual: bool = False) -> Matches:
    """Pair each descriptor of `d0` with its nearest in `d1`, where that one stands out.

    Parameters
    ----------
    d0, d1 : arrays (N0, D) and (N1, D), any real dtype; D is 128 for SIFT
    ratio : the nearest must be strictly closer than this share of the distance to the second nearest,
        (0, 1]; None asks for no such test.  A `d1` of one row has no rival: its pairs pass
    mutual : keep a pair only if the `d0` row is in turn the nearest to the `d1` row

    Returns
    -------
    Matches of length M, 0 ≤ M ≤ N0, sorted by distance, equals in the order of `d0`.  Of several
    nearest rows at the same distance the first is taken.  Several rows of `d0` may share one of `d1`
    unless `mutual` is set.

    Raises
    ------
    ValueError : not two-dimensional, unlike widths, NaN or inf, or `ratio` out of range.
    TypeError : not numbers, among them None, which cv2 returns where it finds nothing.

    Source: [Lowe §7.1]; its ratio is 0.8.

    >>> pairs = match(np.eye(40, 128), np.eye(50, 128))
    >>> pairs.index1.shape, pairs.distance.dtype
    ((40,), dtype('float32'))
    """
    d0, d1 = _checked(d0, "d0"), _checked(d1, "d1")
    if d0.shape[1] != d1.shape[1]:
        raise ValueError(f"d0 has {d0.shape[1]} columns and d1 has {d1.shape[1]}: "
                         "only descriptors of one kind and width can be compared")
    if ratio is not None and not 0 < ratio <= 1:
        raise ValueError(f"ratio={ratio!r} is out of range: use a value in (0, 1], or None for no ratio test")
    if not len(d0) or not len(d1):
        return Matches.empty()

    index0 = np.arange(len(d0))
    index1, first, second = _nearest_two(d0, d1)
    if ratio is not None:
        keep = first < ratio * second
        index0, index1, first, second = index0[keep], index1[keep], first[keep], second[keep]
    if mutual:
        keep = _nearest_two(d1[index1], d0)[0] == index0
        index0, index1, first, second = index0[keep], index1[keep], first[keep], second[keep]

    share = np.divide(first, second, out=np.ones_like(first), where=second > 0)
    return Matches(index0, index1, first, share)[np.argsort(first, kind="stable")]


def _checked(d: np.ndarray, name: str) -> np.ndarray:
    d = np.asarray(d)
    if d.dtype.kind not in "uif":
        raise TypeError(f"{name} is of dtype {d.dtype}: give an (N, D) array of numbers "
                        "(no descriptors at all is np.empty((0, D)))")
    if d.ndim != 2:
        raise ValueError(f"{name} has shape {d.shape}: give an (N, D) array, one descriptor a row")
    if d.dtype.kind == "f" and not np.isfinite(d).all():
        row = int(np.argmin(np.isfinite(d).all(axis=1)))
        raise ValueError(f"{name}[{row}] holds NaN or inf: drop that row, or describe it again")
    return d


def _nearest_two(d0: np.ndarray, d1: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest row of d1 to each row of d0, and the distances to it and to the second nearest.

        |a − b|² = |a|² − 2 a·b + |b|²,   where |a|² alike for all b cannot change who is nearest

    Whole numbers of 0 … 255 leave every term and partial sum a whole number of at most
    2·128·255² < 2²⁴, which float32 holds exactly: no rounding, hence true ties.  Any other input is
    searched in float64, where rows that differ by less than the rounding of the product are a tie.
    Either way the distances come from a − b itself; of whole numbers they are float32 values, as cv2's.

    Returns arrays (N0,): int64, and twice float64; the second is inf if d1 has one row.
    """
    whole = _is_whole(d0) and _is_whole(d1) and 2 * d0.shape[1] * 255**2 < 2**24
    a, b = (d.astype("f4") if whole else d.astype("f8") for d in (d0, d1))
    square_b = (b * b).sum(axis=1)
    index = np.empty(len(a), np.int64)
    distance = np.full((2, len(a)), np.inf)
    step = max(1, _BLOCK // len(b))
    for top in range(0, len(a), step):
        rows = a[top:top + step]
        block = rows @ (-2 * b.T)
        block += square_b
        slack = None if whole else b.shape[1] * np.finfo(float).eps * (
            (rows * rows).sum(axis=1, keepdims=True) + square_b.max())
        for rank in range(min(2, len(b))):
            nearest = _first_smallest(block, slack)
            distance[rank, top:top + step] = np.sqrt(((rows - b[nearest]) ** 2).sum(axis=1))
            block[np.arange(len(rows)), nearest] = np.inf
            if rank == 0:
                index[top:top + step] = nearest
    return index, *distance


def _first_smallest(block: np.ndarray, slack: np.ndarray | None) -> np.ndarray:
    """Per row, the first column whose entry exceeds the smallest by no more than `slack` (None: 0)."""
    if slack is None:
        return block.argmin(axis=1)
    return (block <= block.min(axis=1, keepdims=True) + slack).argmax(axis=1)


def _is_whole(d: np.ndarray) -> bool:
    return d.dtype == np.uint8 or bool(((d >= 0) & (d <= 255) & (d % 1 == 0)).all())


def apply_homography(homography: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Map points by a homography:  (x', y') = (u / w, v / w)  with  (u, v, w) = H (x, y, 1).

    Parameters
    ----------
    homography : (3, 3), maps pixels of one image to pixels of the other, any scale
    xy : (N, 2), pixels

    Returns
    -------
    (N, 2) float64; not finite where a point goes to infinity.

    Raises
    ------
    ValueError : wrong shapes, or a homography with NaN or inf.

    >>> apply_homography(np.diag([2.0, 2.0, 1.0]), [[3, 4]])
    array([[6., 8.]])
    """
    H, xy = np.asarray(homography, np.float64), np.asarray(xy, np.float64)
    if H.shape != (3, 3) or not np.isfinite(H).all():
        raise ValueError(f"homography={H.tolist()} must be a finite (3, 3) matrix")
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"xy has shape {xy.shape}: give (N, 2), one point a row")
    uvw = xy @ H[:, :2].T + H[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return uvw[:, :2] / uvw[:, 2:]


def inliers(matches: Matches, keypoints0: Keypoints, keypoints1: Keypoints, homography: np.ndarray,
            tolerance: float = 3.0) -> np.ndarray:
    """Tell which matches obey a known homography.

    Parameters
    ----------
    matches : Matches of length M, its indices into the two tables
    keypoints0, keypoints1 : Keypoints of the first and of the second image
    homography : (3, 3), takes the first image to the second
    tolerance : largest distance between where a point should go and its partner, px of the second image

    Returns
    -------
    (M,) bool; `matches[mask]` are the inliers, `mask.mean()` is the precision of the matching.

    Raises
    ------
    ValueError : `tolerance` is negative or NaN, or the homography is none.

    >>> here, there = Keypoints.at([1, 5], [1, 5], 2.0), Keypoints.at([2, 90], [2, 10], 4.0)
    >>> inliers(Matches([0, 1], [0, 1], [0, 0], [0, 0]), here, there, np.diag([2, 2, 1]))
    array([ True, False])
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance={tolerance!r} is out of range: use a number of pixels, 0 or more")
    expected = apply_homography(homography, keypoints0.xy[matches.index0])
    dx, dy = (expected - keypoints1.xy[matches.index1]).T
    return np.hypot(dx, dy) <= tolerance
