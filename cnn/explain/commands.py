"""cnnlab saliency and cnnlab gradcam: a picture in, the map over it out, and what the net answers.

Only argparse is imported before a command runs, so that the help is quick.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

METHODS = ("gradient", "smooth", "integrated", "guided")


def add_saliency(subparsers) -> None:
    """Add `saliency IMAGE` to a command line."""
    parser = _add(subparsers, "saliency", "which pixels move the answer, by the gradient",
                  "cnnlab saliency chelsea -o saliency.png")
    parser.add_argument("--method", choices=METHODS, default="smooth",
                        help="gradient; smooth: mean over noisy copies (default); integrated: along the way from the "
                             "mean colour; guided: fails the sanity checks, for comparison")
    parser.set_defaults(run=run_saliency)


def add_gradcam(subparsers) -> None:
    """Add `gradcam IMAGE` to a command line."""
    parser = _add(subparsers, "gradcam", "which places speak for the answer, by Grad-CAM",
                  "cnnlab gradcam chelsea --class 'tabby' -o gradcam.png")
    parser.add_argument("--layer", help="dotted name of a module; the last map before the answer by default")
    parser.add_argument("--layers", action="store_true", help="print the names of layers that have a map, and stop")
    parser.set_defaults(run=run_gradcam)


def run_saliency(options: argparse.Namespace) -> int:
    """Run `cnnlab saliency`; return the exit status."""
    from cnn.explain.gradients import flattened, integrated_gradients, saliency
    from cnn.explain.guided import guided_backprop

    explain = {
        "gradient": saliency,
        "smooth": lambda model, images, target: saliency(model, images, target, smooth=32),
        "integrated": lambda model, images, target: flattened(integrated_gradients(model, images, target)),
        "guided": lambda model, images, target: flattened(guided_backprop(model, images, target)),
    }[options.method]
    return _run(options, explain, {"method": options.method})


def run_gradcam(options: argparse.Namespace) -> int:
    """Run `cnnlab gradcam`; return the exit status."""
    from cnn.explain.cam import gradcam

    if options.layers:
        return _list_layers(options)
    return _run(options, lambda model, images, target: gradcam(model, images, target, options.layer),
                {"layer": options.layer or "the last map"})


def _add(subparsers, name: str, purpose: str, example: str) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=purpose, description=purpose, allow_abbrev=False,
                                   epilog=f"example:\n  {example}",
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(command=name)
    parser.add_argument("image", help="file, or one of the photographs chelsea, coffee, camera")
    parser.add_argument("-o", "--output", type=_png, help=f"PNG to write (IMAGE-{name}.png in this folder by default)")
    parser.add_argument("--class", dest="target", metavar="CLASS",
                        help="number or name of a class; what the net answers by default")
    parser.add_argument("--model", choices=("squeezenet", "resnet8", "vgg16"), default="squeezenet",
                        help="squeezenet and resnet8 (CIFAR-10) come with weights; vgg16 downloads 528 MB once")
    parser.add_argument("--weights", metavar="FILE", help="torchvision's vgg16-397923af.pth, if you have it already")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _png(text: str) -> Path:
    """Type of the picture to write."""
    if Path(text).suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{text} is written as PNG: give it the suffix .png")
    return Path(text)


def _run(options: argparse.Namespace, explain, more: dict) -> int:
    """Answer, explain, write the picture, print."""
    try:
        model = _model(options)
        square = model.input.square(_picture(options.image))
        images = model.input.tensor(square)
        answers, target = _answers(model, images, options)
        values = explain(model, images, target)[0].numpy()
        output = options.output or Path(f"{Path(options.image).stem}-{options.command}.png")
        _write(output, square, values, alone=options.command == "saliency")
    except (OSError, ValueError) as error:
        print(f"cnnlab {options.command}: {error}", file=sys.stderr)
        return 1
    found = {"image": options.image, "model": options.model, **more, "class": answers[0], "top": answers[1:],
             "written": str(output)}
    print(json.dumps(found) if options.json else _told(found))
    return 0


def _model(options: argparse.Namespace):
    from cnn.models import VGG16, CifarResNet, SqueezeNet

    if options.model == "vgg16":
        return VGG16.imagenet(options.weights) if options.weights else VGG16.imagenet()
    if options.weights:
        raise ValueError("--weights belongs to --model vgg16: the other nets come with theirs")
    return CifarResNet.cifar10() if options.model == "resnet8" else SqueezeNet.imagenet()


def _picture(image: str):
    """A file of this name, or the photograph that comes with the package."""
    from cnn.photos import NAMES, photo

    return photo(image) if image in NAMES and not Path(image).exists() else image


def _answers(model, images, options: argparse.Namespace) -> tuple[list[dict], int]:
    """The class that is explained, then the five likeliest."""
    import torch

    from cnn.models.imagenet import class_names, class_number

    with torch.no_grad():
        likely = model(images).softmax(1)[0]
    names = getattr(model, "names", None) or class_names()
    target = int(likely.argmax()) if options.target is None else class_number(options.target, names)
    order = [target, *likely.topk(5).indices.tolist()]
    return [{"number": n, "name": names[n], "probability": round(likely[n].item(), 4)} for n in order], target


def _write(output: Path, square, values, alone: bool) -> None:
    """The picture, and beside it the map alone or over the picture, whole or not at all."""
    import numpy as np
    from PIL import Image

    from cnn.explain.overlay import colours, overlay, stretched

    shown = colours(stretched(values)) if alone else overlay(square, values)
    both = Image.fromarray(np.concatenate([square, shown], 1))
    part = output.with_name(f"{output.name}.{os.getpid()}.part")
    try:
        both.save(part, format="PNG")
        os.replace(part, output)
    except OSError as error:
        raise OSError(f"{output} cannot be written ({error}): name a file in a folder that exists") from error
    finally:
        part.unlink(missing_ok=True)


def _told(found: dict) -> str:
    lines = [f"explained: {found['class']['name']} ({found['class']['number']}), "
             f"probability {found['class']['probability']:.3f}"]
    lines += [f"{answer['probability']:9.3f}  {answer['name']}" for answer in found["top"]]
    return "\n".join([*lines, f"written: {found['written']}"])


def _list_layers(options: argparse.Namespace) -> int:
    """Print each module that puts out a map, in the order of the calls."""
    from cnn.models import VGG16, CifarResNet, SqueezeNet, summary

    net = {"squeezenet": SqueezeNet, "vgg16": VGG16, "resnet8": lambda: CifarResNet(8)}[options.model]()
    for layer in summary(net, (3, net.input.side, net.input.side)):
        if len(layer.output) == 3 and layer.output[1] > 1:
            print(f"{layer.name:34} {layer.kind:12} {' × '.join(map(str, layer.output))}")
    return 0
