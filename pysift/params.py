"""Every constant of SIFT, under one roof.

A step reads its constants from `SIFTParams` and hard-codes none, so a profile of another system is
another `SIFTParams`.  Each field is followed by its symbol, its unit and where it comes from:

    [Lowe]     D. Lowe, Distinctive Image Features from Scale-Invariant Keypoints, IJCV 60, 2004
    [Anatomy]  I. Rey Otero, M. Delbracio, Anatomy of the SIFT Method, IPOL 4, 2014
    [cv2]      OpenCV 5.0, modules/features/src/sift.simd.hpp and sift.dispatch.cpp

imports: nothing of pysift
"""
from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np

_DESCRIPTORS = ("uint8", "float32", "root")


@dataclass(frozen=True, kw_only=True)
class SIFTParams:
    """The constants of SIFT; the defaults are those of OpenCV without its quarter-pixel bias.

    Lengths marked [σ] are multiples of the keypoint's own scale, [px] are pixels of the octave at
    hand, [input px] are pixels of the input image.  Contrast is a fraction of the intensity range.

    Raises
    ------
    ValueError
        A field is out of its range; the message names the value and the range.
    TypeError
        A field is not a number where one is needed.

    Examples
    --------
    >>> SIFTParams(contrast_threshold=0.08).contrast_threshold
    0.08
    >>> SIFTParams().precise_upscale, SIFTParams.opencv().precise_upscale
    (True, False)
    """

    # what to return
    nfeatures: int = 0                 # N       keep the N strongest, 0 = all       [1]         [cv2]
    descriptor: str = "uint8"          #         "uint8" | "float32" | "root"

    # step 1: scale space
    n_octave_layers: int = 3           # S       scales per octave                   [1]         [Lowe §3.2]
    sigma: float = 1.6                 # σ₀      blur of the first level             [px]        [Lowe §3.3]
    sigma_in: float = 0.5              # σ_in    blur assumed in the input           [input px]  [Lowe §3.3]
    first_octave: int = -1             # o_min   −1 doubles the image, 0 does not    [1]         [Lowe §3.3]
    precise_upscale: bool = True       #         pixel centres stay put when doubling            [cv2, deviation 1]
    kernel_reach: float = 4.0          #         half-width of the Gaussian kernel   [σ]         [cv2]
    octave_margin: int = 2             #         octaves = round(log2 side) − margin + 1  [1]    [cv2]

    # step 2: extrema
    contrast_threshold: float = 0.04   # C       S · least |D| of a keypoint         [range]     [cv2]
    prefilter: float = 0.5             #         share of C/S asked of a candidate   [1]         [cv2]
    prefilter_floor: bool = True       #         … rounded down to a level of 1/255              [cv2, deviation 3]
    border: int = 5                    #         margin without keypoints            [px]        [cv2]

    # step 3: refinement
    max_steps: int = 5                 #         Newton steps at most                [1]         [cv2]
    accept_offset: float = 0.5         #         converged if every |offset| is less [px]        [Lowe §4]
    edge_threshold: float = 10.0       # r       largest ratio of curvatures         [1]         [Lowe §4.1]

    # step 4: orientation
    n_ori_bins: int = 36               #         bins of the angle histogram         [1]         [Lowe §5]
    ori_sigma: float = 1.5             # λ_ori   std of the window                   [σ]         [Lowe §5]
    ori_reach: float = 3.0             #         half-width of the window            [λ_ori·σ]   [cv2]
    ori_peak: float = 0.8              #         least share of the highest peak     [1]         [Lowe §5]

    # step 5: descriptor
    n_cells: int = 4                   # d       cells on a side                     [1]         [Lowe §6.1]
    n_desc_bins: int = 8               # n       angle bins of a cell                [1]         [Lowe §6.1]
    cell_width: float = 3.0            #         side of a cell                      [σ]         [cv2]
    desc_sigma: float = 0.5            #         std of the window       [width of the grid]     [Lowe §6.1]
    desc_clip: float = 0.2             #         largest share of the norm           [1]         [Lowe §6.1]
    desc_scale: float = 512.0          #         quantum: 1 becomes this             [1]         [cv2]

    # arithmetic
    simd_lanes: int = 8                #         width of the sums that cv2 runs in SIMD: 8 for AVX2,
    #                                            16 for AVX-512; moves last bits only [1]  [cv2, deviation 9]

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check_type(field.name, str(field.type))
        for name, low, high, strict in _RANGES:
            value = getattr(self, name)
            inside = (low < value if strict else low <= value) and value <= high
            if not inside:
                bracket = "(" if strict else "["
                raise ValueError(f"{name}={value!r} is out of range: use a value in {bracket}{low}, {high}]")
        if self.descriptor not in _DESCRIPTORS:
            raise ValueError(f"descriptor={self.descriptor!r} is unknown: use one of {', '.join(_DESCRIPTORS)}")
        if self.simd_lanes not in (4, 8, 16):
            raise ValueError(f"simd_lanes={self.simd_lanes} is no vector width: use 4, 8 or 16")

    def _check_type(self, name: str, kind: str) -> None:
        value = getattr(self, name)
        if kind == "str":
            return
        is_switch = isinstance(value, (bool, np.bool_))
        try:
            if is_switch != (kind == "bool") or isinstance(value, str) or value != value:
                raise TypeError
            plain = {"int": int, "float": float, "bool": bool}[kind](value)
            if kind == "int" and plain != value:
                raise TypeError
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"{name}={value!r} must be a finite {kind}") from None
        object.__setattr__(self, name, plain)                  # NumPy scalars become plain values

    @classmethod
    def opencv(cls, **changes) -> SIFTParams:
        """`cv2.SIFT_create()` to the letter, its bias of +0.25 px in x and y included.

        >>> SIFTParams.opencv(nfeatures=500).nfeatures
        500
        """
        return cls(precise_upscale=False, **changes)

    @classmethod
    def preset(cls, name: str, **changes) -> SIFTParams:
        """Return the profile called `name`: one of `PRESETS`; `changes` override its fields.

        >>> sorted(PRESETS)
        ['default', 'lowe', 'opencv', 'rootsift']
        """
        try:
            return cls(**{**PRESETS[name], **changes})
        except KeyError:
            raise ValueError(f"preset {name!r} is unknown: use one of {', '.join(sorted(PRESETS))}") from None

    def replace(self, **changes) -> SIFTParams:
        """Return a copy with some fields changed.

        >>> SIFTParams().replace(sigma=2).sigma
        2.0
        """
        return replace(self, **changes)

    # quantities derived from the fields ------------------------------------------------------

    @property
    def n_levels(self) -> int:
        """Blurred images per octave: S + 3, so that S differences have a neighbour on either side."""
        return self.n_octave_layers + 3

    def level_sigmas(self) -> list[float]:
        """Blur that takes level i − 1 to level i, in octave pixels; entry 0 is σ₀ itself.

            σ_i² = (k^i σ₀)² − (k^(i−1) σ₀)²,   k = 2^(1/S)          [Lowe §3]

        >>> [round(s, 4) for s in SIFTParams().level_sigmas()]
        [1.6, 1.2263, 1.545, 1.9466, 2.4525, 3.09]
        """
        k = 2.0 ** (1.0 / self.n_octave_layers)
        sigmas = [self.sigma]
        for i in range(1, self.n_levels):
            before = k ** (i - 1) * self.sigma
            sigmas.append(math.sqrt((before * k) ** 2 - before ** 2))
        return sigmas

    def base_sigma(self) -> float:
        """Blur that takes the (doubled) input to level 0 of the first octave, in its pixels.

        The input is taken to carry σ_in already, which doubling turns into 2σ_in; where less than
        0.1 px is missing, 0.1 px is added all the same, as cv2 does.

        >>> round(SIFTParams().base_sigma(), 4)
        1.249
        """
        sigma, carried = np.float32(self.sigma), np.float32(self.sigma_in * 2.0 ** -self.first_octave)
        return float(np.sqrt(max(sigma * sigma - carried * carried, np.float32(0.01))))

    def n_octaves(self, height: int, width: int) -> int:
        """Octaves of an input image of this size: round(log2 short side − 2) + 1, at least 0.

        >>> SIFTParams().n_octaves(480, 640), SIFTParams().n_octaves(1, 1)
        (9, 0)
        """
        side = min(height, width) * 2 ** -self.first_octave
        return max(round(math.log(side) / math.log(2.0) - self.octave_margin) + 1, 0)

    def candidate_threshold(self) -> float:
        """Least |D| of a candidate, in grey levels of 0 … 255; the test is strict.

        cv2 stores it as an int, so at the defaults 1.7 becomes 1: deviation 3.

        >>> SIFTParams().candidate_threshold()
        1.0
        """
        levels = self.prefilter * self.contrast_threshold / self.n_octave_layers * 255
        return float(math.floor(levels)) if self.prefilter_floor else levels


# name, lowest, highest, is the lowest excluded
_RANGES = (
    ("nfeatures", 0, 2**31 - 1, False), ("n_octave_layers", 1, 32, False), ("sigma", 0.0, 100.0, True),
    ("sigma_in", 0.0, 100.0, False), ("first_octave", -1, 0, False), ("kernel_reach", 0.0, 16.0, True),
    ("octave_margin", 0, 16, False), ("contrast_threshold", 0.0, 1e6, False), ("prefilter", 0.0, 1.0, False),
    ("border", 1, 1 << 20, False), ("max_steps", 1, 100, False), ("accept_offset", 0.0, 1.0, True),
    ("edge_threshold", 0.0, 1e9, False), ("n_ori_bins", 4, 360, False), ("ori_sigma", 0.0, 100.0, True),
    ("ori_reach", 0.0, 100.0, True), ("ori_peak", 0.0, 1.0, False), ("n_cells", 1, 16, False),
    ("n_desc_bins", 1, 64, False), ("cell_width", 0.0, 100.0, True), ("desc_sigma", 0.0, 100.0, True),
    ("desc_clip", 0.0, 1.0, True), ("desc_scale", 0.0, 1e6, True),
)

PRESETS: dict[str, dict] = {
    "default": {},
    "opencv": {"precise_upscale": False},
    "lowe": {"contrast_threshold": 0.09, "prefilter": 0.0, "prefilter_floor": False},   # |D| ≥ 0.03, [Lowe §4]
    "rootsift": {"descriptor": "root"},             # R. Arandjelović, A. Zisserman, CVPR 2012, §2
}
