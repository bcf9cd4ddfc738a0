"""Find and describe the keypoints of images, and write them to feature files.

The suffix of the output says of which kind it is: .npz (everything, NumPy), .key (Lowe's text) or
.sift (VLFeat's text).  Several images go to a folder, each under its own name.

imports: commands.options, commands.report, files, image, pipeline
"""
from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from pysift.commands.options import add_sift_options, prepare, read_image
from pysift.commands.report import UsageError, each_image

HELP = "find and describe keypoints, write feature files"
EXAMPLE = "pysift detect photo.jpg -o photo.npz\n  pysift detect --nfeatures 2000 photos/*.jpg -o features/"
_SUFFIXES = {"npz": ".npz", "lowe": ".key", "vlfeat": ".sift"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pysift detect`."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="file or http(s) URL")
    parser.add_argument("-o", "--output", metavar="OUT", help="feature file, or folder for several images")
    parser.add_argument("--format", choices=_SUFFIXES, help="kind of feature file, by default as OUT's suffix says")
    parser.add_argument("--mask", metavar="M", help="image of the same size; no keypoints where it is black")
    parser.add_argument("--json", action="store_true", help="print a JSON object a line for each image")
    add_sift_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run `pysift detect`."""
    params, outputs = prepare(args), _outputs(args)
    from pysift.files import write_features
    from pysift.image import to_gray
    from pysift.pipeline import sift
    mask = to_gray(read_image(args, args.mask)) != 0 if args.mask else None

    def work(source: str) -> tuple[dict, str]:
        image = read_image(args, source)
        start = time.perf_counter()
        features = sift(image, params, mask=mask)
        seconds = time.perf_counter() - start
        output = outputs.get(source)
        if output:
            write_features(output, features, params, kind=args.format)
        height, width, n = *image.shape[:2], len(features.keypoints)
        return ({"image": source, "width": width, "height": height, "keypoints": n, "seconds": seconds,
                 "output": output},
                f"{source}  {width} × {height}  {n} keypoints  {seconds:.2f} s" + (f"  → {output}" if output else ""))

    return each_image(args, work)


def _outputs(args: argparse.Namespace) -> dict[str, str]:
    """Return the feature file of each image, none without -o; make the folder of several."""
    if not args.output:
        if args.format:
            raise UsageError("--format says how to write OUT: add -o OUT")
        return {}
    out, suffix = Path(args.output), Path(args.output).suffix.lower()
    if len(args.images) == 1 and not out.is_dir() and not args.output.endswith("/"):
        if not args.format and suffix not in _SUFFIXES.values():
            raise UsageError(f"-o {out}: {suffix or 'no suffix'} names no kind of feature file: use "
                             f"{', '.join(_SUFFIXES.values())}, or --format")
        return {args.images[0]: args.output}
    if out.is_file() or suffix in _SUFFIXES.values():
        raise UsageError(f"-o {out} is one file for {len(args.images)} images: give a folder")
    outputs = {source: str(out / ((Path(urlsplit(source).path).stem or "image") + _SUFFIXES[args.format or "npz"]))
               for source in args.images}
    twice = [path for path, n in Counter(outputs.values()).items() if n > 1]
    if twice:
        rivals = [source for source, path in outputs.items() if path == twice[0]]
        raise UsageError(f"{' and '.join(rivals)} would both become {twice[0]}: rename one, or run them apart")
    out.mkdir(parents=True, exist_ok=True)
    return outputs
