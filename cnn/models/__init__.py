"""The nets: each architecture a table at the top of its file, each net ends in logits.

    LeNet, SimpleCNN                              lenet.py
    AlexNet                                       alexnet.py        both are chains of the rows in rows.py
    ResNet18, BottleneckResNet, PlainCNN          resnet.py
    CifarResNet                                   cifar_resnet.py   He's family of depths, one of them trained
    MobileNet                                     mobilenet.py
    VGG16                                         vgg.py            torchvision's names, so its weights fit
    SqueezeNet                                    squeezenet.py     its ImageNet weights come with the package

`start` has the random weights that training begins with, `weights` the trained ones, `pictures` what a net gets of a
picture, `imagenet` what its answers are called, `summary` the table of shapes, parameters and multiply–adds.
"""
from __future__ import annotations

from torch import nn

from cnn.models.alexnet import AlexNet
from cnn.models.cifar_resnet import CifarResNet
from cnn.models.lenet import LeNet, SimpleCNN
from cnn.models.mobilenet import MobileNet
from cnn.models.resnet import BottleneckResNet, PlainCNN, ResNet18
from cnn.models.squeezenet import SqueezeNet
from cnn.models.summary import count, summary, table
from cnn.models.vgg import VGG16

MODELS = {
    "lenet": LeNet, "simple": SimpleCNN, "alexnet": AlexNet, "resnet18": ResNet18, "bottleneck": BottleneckResNet,
    "plain": PlainCNN, "cifar-resnet": CifarResNet, "mobilenet": MobileNet, "vgg16": VGG16, "squeezenet": SqueezeNet,
}
__all__ = ["AlexNet", "BottleneckResNet", "CifarResNet", "LeNet", "MobileNet", "PlainCNN", "ResNet18", "SimpleCNN",
           "SqueezeNet", "VGG16", "MODELS", "build", "count", "summary", "table"]


def build(name: str, **options) -> nn.Module:
    """Make a net by the name that the command line knows it by.

    Parameters
    ----------
    name : key of MODELS
    options : arguments of its class

    Raises
    ------
    ValueError : no net has this name, or the options make none that can be built.
    TypeError : an option that its class has not.

    Examples
    --------
    >>> count(build("cifar-resnet", depth=56))
    853018
    """
    if name not in MODELS:
        raise ValueError(f"model {name!r} is unknown: use one of {', '.join(MODELS)}")
    return MODELS[name](**options)
