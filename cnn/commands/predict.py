"""Say which digit a picture shows, or that it shows none.

Works at once: a LeNet that was trained on MNIST comes with the package.  Dark ink on light paper and the reverse are
both understood.  A picture unlike what the network knows gets no answer instead of a confident digit.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HELP = "which digit a picture shows, or that it shows none"
EXAMPLE = "cnnlab predict seven.png scribble.png -o answers.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="PNG, JPEG, WebP …")
    parser.add_argument("--demo", action="store_true", help="the ten digits and abrakadabra.png of the package")
    parser.add_argument("--model", metavar="RUN", help="an evaluated run on mnist, instead of the package's")
    parser.add_argument("--json", action="store_true", help="print a JSON object an image")
    parser.add_argument("-o", "--output", metavar="PNG", help="draw what the network saw over bars of the ten classes")


def run(args: argparse.Namespace) -> int:
    """Answer."""
    from cnn import digits, predict
    images = [*args.images, *(digits.path(name) for name in [*"0123456789", "abrakadabra"] if args.demo)]
    if not images:
        raise ValueError("no picture given: pass its path, or --demo")
    reader = predict.Reader(args.model or predict.BUNDLED)
    answered, failed = [], 0
    for image in images:
        try:
            answer = reader.answer(image)
        except (OSError, ValueError) as error:
            print(f"cnnlab predict: {error}", file=sys.stderr)
            failed += 1
            continue
        answered.append((Path(image).name, answer))
        print(line(image, answer, args.json))
    if args.output and answered:
        from cnn import manifest, pictures
        manifest.save_figure(Path(args.output), pictures.answers(answered))
    return 0 if not failed else 3 if answered else 1


def line(image, answer, as_json: bool) -> str:
    """Return one answer as a line."""
    if as_json:
        return json.dumps({"image": str(image), "digit": answer.digit, "probabilities": answer.probabilities,
                           "confidence": answer.confidence, "threshold": answer.threshold})
    verdict = ("no digit" if answer.digit is None else
               f"{answer.digit}  ({100 * answer.probabilities[answer.digit]:.1f} %)")
    return f"{image}: {verdict}  [confidence {answer.confidence:.3f}, needed {answer.threshold:.3f}]"
