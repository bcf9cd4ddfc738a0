"""How soft: the limit is named, what is out of range is refused, and constants that learn keep their shapes."""
import math

import pytest
import torch

from diffsift.learned import LEARNABLE, static, with_tensors
from diffsift.softness import Softness
from pysift.params import SIFTParams


def test_hard_is_the_limit_of_sharper():
    sharp, hard = Softness(ori_bin=0.5).sharper(1e12), Softness.hard()
    for name in ("extremum", "prefilter", "contrast", "settle", "edge", "peak"):
        assert getattr(sharp, name) > 1e12 and getattr(hard, name) == math.inf
    for name in ("ori_bin", "clip", "length", "norm", "root"):
        assert getattr(sharp, name) < 1e-11 and getattr(hard, name) == 0
    assert hard.rounding


@pytest.mark.parametrize("field", [{"contrast": -1.0}, {"edge": math.nan}, {"gap": 0.0}, {"ori_bin": 1.5},
                                   {"cell_kernel": math.inf}])
def test_what_is_out_of_range_is_refused_by_name(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        Softness(**field)


def test_a_tensor_takes_the_place_of_a_number_and_shapes_stay():
    learned = with_tensors(SIFTParams(), sigma=torch.tensor(2.0))
    assert learned.sigma == 2 and static(learned).sigma == 1.6 and static(SIFTParams()).sigma == 1.6
    again = with_tensors(learned, desc_clip=torch.tensor(0.3))
    assert again.sigma == 2 and again.desc_clip == pytest.approx(0.3) and static(again) == SIFTParams()


def test_what_decides_a_shape_cannot_be_learned():
    with pytest.raises(ValueError, match="n_cells"):
        with_tensors(SIFTParams(), n_cells=torch.tensor(4.0))


def test_learnable_fields_exist():
    for kind, names in LEARNABLE.items():
        assert set(names) <= set(kind.__dataclass_fields__)
