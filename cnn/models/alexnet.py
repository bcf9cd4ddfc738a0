"""AlexNet for CIFAR-10, in three forms: as the task words it, as it can be built, and with a stem for small images.

    image  →  five convolutions, three poolings  →  4096  →  4096  →  logits        [Krizhevsky et al. 2012, §3.5]

The task gives a net for 224 × 224 images to 32 × 32 ones: its stem alone takes 32 to 6, the first two poolings take
6 to 2 to 0.  `written` says so when built.  In `same` each pooling keeps ⌈n / 2⌉, so one pixel is left.  In `cifar`
the stem is 5 × 5 with stride 2 and every layer sees a map worth its kernel, for a third of the arithmetic that a
stem without stride would ask.
"""
from __future__ import annotations

from torch import nn

from cnn.models.rows import Conv, Dense, Flatten, MaxPool, Shape, chain
from cnn.models.start import he_start


def _table(stem: Conv, pool: MaxPool) -> tuple:
    return (stem, pool,
            Conv(256, 5, same=True), pool,
            Conv(384, 3, same=True),
            Conv(384, 3, same=True),
            Conv(256, 3, same=True), pool,
            Flatten(),
            Dense(4096, dropout=0.5),
            Dense(4096, dropout=0.5))


FORMS = {                                                                          # of 3 × 32 × 32, sides of the maps:
    "written": _table(Conv(96, 11, stride=4), MaxPool(3, 2)),                      # 6, 2, 2, 0: cannot be built
    "same":    _table(Conv(96, 11, stride=4), MaxPool(3, 2, same=True)),           # 6, 3, 3, 2, 2, 2, 2, 1
    "cifar":   _table(Conv(96, 5, stride=2, same=True), MaxPool(3, 2, same=True)),  # 16, 8, 8, 4, 4, 4, 4, 2
}


class AlexNet(nn.Sequential):
    """21,622,154 parameters in the form `same`, 24,740,234 in the form `cifar`.

    The task puts dropout behind every fully connected layer; behind the logits it would zero half of the answers.

    Parameters
    ----------
    classes : how many logits
    form : same | cifar; `written` raises the ValueError that shows why
    shape : channels, height and width of an image
    """

    cam_layer = "relu5"

    def __init__(self, classes: int = 10, form: str = "same", shape: Shape = (3, 32, 32)) -> None:
        if form not in FORMS:
            raise ValueError(f"form={form!r} is unknown: use one of {', '.join(FORMS)}")
        super().__init__(chain(FORMS[form], shape, classes))
        he_start(self)
