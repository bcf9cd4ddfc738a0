"""SIFT as a layer: a torch module whose constants can learn.

    images → SIFT(learn=("sigma", "desc_clip")) → SoftFeatures,   ∂/∂images and ∂/∂sigma, ∂/∂desc_clip

imports: keypoints, learned, pipeline, softness, pysift.params
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from diffsift.keypoints import SoftFeatures
from diffsift.learned import LEARNABLE, with_tensors
from diffsift.pipeline import sift
from diffsift.softness import Softness
from pysift.params import SIFTParams


class SIFT(nn.Module):
    """`diffsift.sift` with some of its constants as parameters.

    Each name in `learn` becomes an `nn.Parameter` of that name, 0-dimensional, in the unit of the field, started at
    its value.  Shapes (half-widths of kernels and windows) stay those of the start: a field may drift by some tens
    of percent, and a new module started from where it ended sees it whole.

    Parameters
    ----------
    params : SIFTParams
    softness : Softness
    learn : names among `learnable()`
    max_keypoints, mode : as `diffsift.sift`
    dtype : of the parameters

    Raises
    ------
    ValueError : a name in `learn` is none that can be learned

    Examples
    --------
    >>> layer = SIFT(learn=("sigma", "desc_clip"), max_keypoints=4)
    >>> [name for name, _ in layer.named_parameters()]
    ['sigma', 'desc_clip']
    >>> layer(torch.rand(1, 1, 32, 32)).descriptors.sum().backward()
    >>> layer.sigma.grad.shape
    torch.Size([])
    """

    def __init__(self, params: SIFTParams = SIFTParams(), softness: Softness = Softness(),
                 learn: Sequence[str] = (), *, max_keypoints: int = 256, mode: str = "opencv",
                 dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        unknown = [name for name in learn if name not in self.learnable()]
        if unknown:
            raise ValueError(f"learn={unknown} cannot be learned: use some of {', '.join(self.learnable())}")
        self.params, self.softness, self.learn = params, softness, tuple(learn)
        self.max_keypoints, self.mode = max_keypoints, mode
        for name in learn:
            value = getattr(params if name in LEARNABLE[SIFTParams] else softness, name)
            self.register_parameter(name, nn.Parameter(torch.tensor(value, dtype=dtype)))

    @staticmethod
    def learnable() -> tuple[str, ...]:
        """Names that `learn` may hold.

        >>> "contrast_threshold" in SIFT.learnable(), "n_cells" in SIFT.learnable()
        (True, False)
        """
        return tuple(name for names in LEARNABLE.values() for name in names)

    def constants(self) -> tuple[SIFTParams, Softness]:
        """Params and softness with the present values of what learns, as tensors."""
        return tuple(with_tensors(constants, **{name: getattr(self, name) for name in self.learn if name in names})
                     for constants, names in zip((self.params, self.softness), LEARNABLE.values()))

    def forward(self, images: Tensor) -> SoftFeatures:
        """(B, 1, H, W) in [0, 1] → SoftFeatures, see `diffsift.sift`."""
        return sift(images, *self.constants(), max_keypoints=self.max_keypoints, mode=self.mode)

    def extra_repr(self) -> str:
        """What print shows between the brackets."""
        return f"learn={self.learn}, max_keypoints={self.max_keypoints}, mode={self.mode!r}"
