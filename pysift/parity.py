"""How equal are we?  Stage by stage against cv2.SIFT, on one image.

    image → every stage by pysift | the same stage by cv2 → counts, equal ones, largest difference
          → the first stage that departs

cv2.SIFT shows its result only.  Its scale space is rebuilt here by cv2's resize, warpAffine, GaussianBlur
and subtract, its candidates by dilate and erode; the later stages read cv2.SIFT's keypoints.  The oracle runs
on one thread with IPP off: otherwise it does not always agree with itself.

imports: cv, extrema, image, params, scalespace; cv2 inside the functions that need it
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np

from pysift.cv import SIFT_create, native_lanes
from pysift.extrema import find_extrema
from pysift.image import grey_levels
from pysift.params import SIFTParams
from pysift.scalespace import Octave, build_scalespace

_FIELDS = ("x", "y", "size", "angle", "response", "octave")
_SHARED = ("nfeatures", "n_octave_layers", "contrast_threshold", "edge_threshold", "sigma", "precise_upscale")


@dataclass(frozen=True)
class Stage:
    """How many pixels or rows of a stage either side has, how many are equal to the bit, and the worst."""

    name: str
    theirs: int
    ours: int
    equal: int
    largest: float              # largest absolute difference of what can be paired; 0 if all are equal

    @property
    def departs(self) -> bool:
        """Whether anything differs."""
        return not self.theirs == self.ours == self.equal


@dataclass(frozen=True)
class Parity:
    """The comparison of one image."""

    label: str
    width: int
    height: int
    theirs: int                 # keypoints of cv2
    ours: int
    matched: int                # theirs with one of ours within 0.01 px, 1 % of size and 1°
    bit_equal: int              # theirs with x, y, size, angle, response and octave equal to the bit
    same_order: bool
    largest: dict               # field → largest difference among the matched
    descriptors_equal: int      # matched keypoints whose 128 entries are all equal
    entries: int                # entries of the descriptors of matched keypoints …
    entries_equal: int          # … and how many are equal
    largest_entry: int          # their largest difference, in levels
    stages: tuple[Stage, ...]

    @property
    def first_departure(self) -> str | None:
        """Return the name of the first stage that departs, None if all are equal."""
        return next((stage.name for stage in self.stages if stage.departs), None)

    @property
    def equal(self) -> bool:
        """Whether every stage is equal to the bit and the order is the same."""
        return self.first_departure is None and self.same_order

    def to_dict(self) -> dict:
        """Return the numbers as a JSON-able dict."""
        return {**asdict(self), "first_departure": self.first_departure, "equal": self.equal}

    def table(self) -> str:
        """Return the comparison as text."""
        worst = ", ".join(f"{name} {value:.3g}" for name, value in self.largest.items())
        lines = [f"{self.label}: {self.width} × {self.height}",
                 f"  keypoints     cv2 {self.theirs}, pysift {self.ours}{', same order' if self.same_order else ''}",
                 f"  matched       {_share(self.matched, self.theirs)}",
                 f"  bit-equal     {_share(self.bit_equal, self.theirs)}",
                 f"  largest diff  {worst}",
                 f"  descriptors   {_share(self.descriptors_equal, self.matched)} equal; "
                 f"entries {_share(self.entries_equal, self.entries)}, largest difference {self.largest_entry}",
                 f"  {'stage':<22}{'cv2':>10}{'pysift':>10}{'equal':>10}{'largest':>11}"]
        lines += [f"  {s.name:<22}{s.theirs:>10}{s.ours:>10}{s.equal:>10}{s.largest:>11.3g}" for s in self.stages]
        lines.append(f"  first departure: {self.first_departure or 'none, equal to the bit'}")
        return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({100 * part / whole:.3f} %)" if whole else "")


def compare(image: np.ndarray, params: SIFTParams | None = None, *, label: str = "image") -> Parity:
    """Compare pysift with cv2.SIFT.

    `image` is uint8, (H, W) or (H, W, 3) in BGR order; `params`, SIFTParams.opencv() by default, has to be one
    that cv2 can have too; `label` heads the table.  ValueError: cv2 cannot do it; ImportError: no OpenCV.

    >>> from pysift.photos import photo
    >>> compare(photo("chelsea")[..., ::-1]).first_departure is None
    True
    """
    params = params or SIFTParams.opencv()
    if image.dtype != np.uint8:
        raise ValueError(f"image is of {image.dtype}: cv2.SIFT takes uint8 only, so there is nothing to compare with")
    shared = {name: getattr(params, name) for name in _SHARED}
    if params != SIFTParams(**shared, simd_lanes=params.simd_lanes):
        raise ValueError(f"{params} has fields that cv2.SIFT_create has no argument for: compare SIFTParams that "
                         f"differ from the default in {', '.join(_SHARED)} only")
    params = params.replace(simd_lanes=native_lanes())
    arguments = tuple(shared.values())
    with one_thread() as cv2:
        theirs = cv2.SIFT_create(*arguments).detectAndCompute(image, None)
        grey = grey_levels(image, order="bgr")
        stages = [*_scalespace_stages(cv2, image, grey, build_scalespace(grey, params), params)]
    ours = SIFT_create(*arguments).detectAndCompute(image, None)
    return _summary(label, image, theirs, ours, stages)


@contextmanager
def one_thread() -> Iterator:
    """Yield cv2 pinned to one thread with IPP off, in which state it repeats itself; restore it afterwards."""
    import cv2
    threads, ipp = cv2.getNumThreads(), cv2.ipp.useIPP()
    cv2.setNumThreads(1)
    cv2.ipp.setUseIPP(False)
    try:
        yield cv2
    finally:
        cv2.setNumThreads(threads)
        cv2.ipp.setUseIPP(ipp)


def opencv_scalespace(cv2, grey: np.ndarray, params: SIFTParams) -> list[Octave]:
    """Build the scale space by cv2's own functions, in the order in which cv2.SIFT calls them."""
    h, w = grey.shape
    if params.precise_upscale:
        half = np.array([[0.5, 0, 0], [0, 0.5, 0]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        base = cv2.warpAffine(grey, half, (2 * w, 2 * h), flags=flags, borderMode=cv2.BORDER_REFLECT)
    else:
        base = cv2.resize(grey, (2 * w, 2 * h), interpolation=cv2.INTER_LINEAR)
    sigma = params.base_sigma()
    level = cv2.GaussianBlur(base, (0, 0), sigmaX=sigma, sigmaY=sigma)
    octaves: list[Octave] = []
    for o in range(params.n_octaves(h, w)):
        if o:
            before = octaves[-1].levels[params.n_octave_layers]
            size = before.shape[1] // 2, before.shape[0] // 2
            level = cv2.resize(before, size, interpolation=cv2.INTER_NEAREST)
        levels = [level]
        for sigma in params.level_sigmas()[1:]:
            levels.append(cv2.GaussianBlur(levels[-1], (0, 0), sigmaX=sigma, sigmaY=sigma))
        octaves.append(Octave(o + params.first_octave, np.stack(levels)))
    return octaves


def opencv_candidates(cv2, dog: np.ndarray, params: SIFTParams) -> np.ndarray:
    """Find the extrema of (S + 2, H, W) by cv2's dilate and erode; rows (layer, y, x) as `find_extrema`."""
    box = np.ones((3, 3), np.uint8)
    high = np.stack([cv2.dilate(plane, box) for plane in dog])
    low = np.stack([cv2.erode(plane, box) for plane in dog])
    here = dog[1:-1]
    top = here >= np.maximum(np.maximum(high[:-2], high[1:-1]), high[2:])
    bottom = here <= np.minimum(np.minimum(low[:-2], low[1:-1]), low[2:])
    found = (np.abs(here) > params.candidate_threshold()) & ((here > 0) & top | (here < 0) & bottom)
    inside = np.zeros_like(found)
    b = params.border
    inside[:, b:-b, b:-b] = True
    rows = np.argwhere(found & inside)
    return (rows + [1, 0, 0]).astype(np.int32)


def _scalespace_stages(cv2, image: np.ndarray, grey: np.ndarray, ours: list[Octave],
                       params: SIFTParams) -> Iterator[Stage]:
    """Grey, base, each level, differences, candidates: every octave of one level counted together."""
    their_grey = (image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)).astype(np.float32)
    yield _arrays("grey", [their_grey], [grey])
    theirs = opencv_scalespace(cv2, their_grey, params)
    if not theirs:
        return
    yield _arrays("base", [theirs[0].levels[0]], [ours[0].levels[0]])
    for i in range(params.n_levels):
        yield _arrays(f"level {i}", [o.levels[i] for o in theirs], [o.levels[i] for o in ours])
    yield _arrays("difference", [o.dog for o in theirs], [o.dog for o in ours])
    pairs = [(opencv_candidates(cv2, o.dog, params), find_extrema(p.levels, params)) for o, p in zip(theirs, ours)]
    their_rows, our_rows = zip(*pairs)
    yield _rows("candidates", _numbered(their_rows), _numbered(our_rows))


def _numbered(octaves: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Prefix each row with its octave, so that rows of two octaves differ."""
    return [np.column_stack([np.full(len(rows), o), rows]) for o, rows in enumerate(octaves)]


def _arrays(name: str, theirs: list[np.ndarray], ours: list[np.ndarray]) -> Stage:
    differences = [np.abs(a - b) for a, b in zip(theirs, ours) if a.shape == b.shape]
    equal = sum(int((d == 0).sum()) for d in differences)
    largest = max((float(d.max(initial=0)) for d in differences), default=0.0)
    return Stage(name, sum(a.size for a in theirs), sum(b.size for b in ours), equal, largest)


def _rows(name: str, theirs: list[np.ndarray], ours: list[np.ndarray]) -> Stage:
    a, b = ({tuple(row) for part in side for row in part.tolist()} for side in (theirs, ours))
    return Stage(name, len(a), len(b), len(a & b), 0.0)


def _columns(keypoints: tuple) -> np.ndarray:
    rows = [(*k.pt, k.size, k.angle, k.response, k.octave) for k in keypoints]
    return np.array(rows, np.float64).reshape(-1, len(_FIELDS))


def _summary(label: str, image: np.ndarray, theirs: tuple, ours: tuple, stages: list[Stage]) -> Parity:
    a, b = _columns(theirs[0]), _columns(ours[0])
    da, db = (np.zeros((0, 128)) if d is None else d.astype(np.float64) for d in (theirs[1], ours[1]))
    i, j = _pair(a, b)
    gap = np.abs(a[i] - b[j])
    gap[:, 3] = np.minimum(gap[:, 3], 360 - gap[:, 3])
    steps = np.abs(da[i] - db[j])
    point, oriented = [0, 1, 2, 4, 5], [0, 1, 2, 3]
    stages += [_rows("refined", [a[:, point]], [b[:, point]]), _rows("oriented", [a[:, oriented]], [b[:, oriented]]),
               Stage("described", len(da), len(db), int((steps == 0).all(axis=1).sum()), float(steps.max(initial=0)))]
    return Parity(
        label, image.shape[1], image.shape[0], len(a), len(b), len(i), int((gap == 0).all(axis=1).sum()),
        same_order=len(a) == len(b) == len(i) and bool((j == i).all()),
        largest=dict(zip(_FIELDS, gap.max(axis=0, initial=0).tolist())),
        descriptors_equal=stages[-1].equal, entries=steps.size, entries_equal=int((steps == 0).sum()),
        largest_entry=int(steps.max(initial=0)), stages=tuple(stages))


def _pair(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair rows within 0.01 px, 1 % of size and 1°: those equal to the bit first, the few others by search."""
    where = {tuple(row): j for j, row in enumerate(b.tolist())}
    partner = np.array([where.get(tuple(row), -1) for row in a.tolist()], np.int64)
    free = np.setdiff1d(np.arange(len(b)), partner)
    for i in np.flatnonzero(partner < 0):
        gap = np.abs(b[free] - a[i])
        turn = np.minimum(gap[:, 3], 360 - gap[:, 3])
        close = (gap[:, 0] <= 0.01) & (gap[:, 1] <= 0.01) & (gap[:, 2] <= 0.01 * a[i, 2]) & (turn <= 1)
        if close.any():
            partner[i] = free[np.argmin(np.where(close, gap[:, 0] + gap[:, 1] + turn, np.inf))]
            free = free[free != partner[i]]
    return np.flatnonzero(partner >= 0), partner[partner >= 0]
