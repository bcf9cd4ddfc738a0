"""Match the keypoints of two images, or of two feature files, and say how far apart their descriptors are.

imports: commands.options, commands.report, draw, files, keypoints, matching, params, pipeline
"""
from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pysift.commands.options import add_sift_options, picture, prepare, read_image
from pysift.commands.report import UsageError, save_picture, say, to_json

if TYPE_CHECKING:
    from pysift.keypoints import Features
    from pysift.params import SIFTParams

HELP = "match two images or two feature files"
EXAMPLE = "pysift match left.jpg right.jpg --draw matches.png\n  pysift match left.npz right.npz --mutual --json"
_log = logging.getLogger("pysift")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pysift match`."""
    parser.add_argument("a", metavar="A", help="image, URL or feature file (.npz, .key, .sift)")
    parser.add_argument("b", metavar="B", help="the same")
    parser.add_argument("--ratio", metavar="R", type=_share, default=0.75,
                        help="nearest descriptor at most R times as far as the second nearest, (0, 1]; 0.75")
    parser.add_argument("--mutual", action="store_true", help="keep a pair only if each is the other's nearest")
    parser.add_argument("-o", "--output", metavar="OUT", help="write the matches to OUT, .npz or .json")
    parser.add_argument("--draw", metavar="PICTURE", type=picture, help="draw the 50 nearest matches; needs images")
    parser.add_argument("--histogram", metavar="PICTURE", type=picture, help="draw the histogram of the distances")
    parser.add_argument("--json", action="store_true", help="print the statistics as JSON")
    add_sift_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run `pysift match`."""
    _check(args)
    params = prepare(args)
    from pysift import draw
    from pysift.matching import match
    (image0, features0), (image1, features1) = (_load(args, source, params) for source in (args.a, args.b))
    matches = match(features0.descriptors, features1.descriptors, ratio=args.ratio, mutual=args.mutual)
    stats, points = matches.stats(), (features0.keypoints, features1.keypoints)
    if args.output:
        _write(args.output, matches, points, stats)
    if args.draw:
        save_picture(args.draw, draw.plot_matches(image0, points[0], image1, points[1], matches))
    if args.histogram:
        save_picture(args.histogram, draw.plot_distances(matches))
    if args.json:
        say(to_json({"a": args.a, "b": args.b, "keypoints": [len(k) for k in points], "matches": stats}))
        return 0
    for source, keypoints in zip((args.a, args.b), points):
        say(f"{source}  {len(keypoints)} keypoints")
    say(f"{stats['count']} matches" + ("" if not stats["count"] else "  distance " + ", ".join(
        f"{name} {stats[name]:.4g}" for name in ("mean", "min", "max", "std"))))
    if not stats["count"]:
        _log.warning("no match: a larger --ratio lets more pass, a smaller --contrast finds more keypoints")
    return 0


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in (0, 1]")
    return value


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is computed."""
    from pysift.files import is_feature_file
    if args.draw and (is_feature_file(args.a) or is_feature_file(args.b)):
        raise UsageError("--draw needs the two images, a feature file holds none: match the images themselves")
    if args.output and Path(args.output).suffix.lower() not in (".npz", ".json"):
        raise UsageError(f"-o {args.output}: give the file the suffix .npz or .json")
    kinds = [_descriptor_of(source) for source in (args.a, args.b) if is_feature_file(source)]
    if len(kinds) == 2 and None not in kinds and kinds[0] != kinds[1]:
        raise ValueError(f"{args.a} holds {kinds[0]} descriptors and {args.b} {kinds[1]}, whose distances mean "
                         "nothing: detect both with the same --descriptor")


def _descriptor_of(path: str) -> str | None:
    from pysift.files import read_params
    params = read_params(path)
    return params.descriptor if params else None


def _load(args: argparse.Namespace, source: str, params: SIFTParams) -> tuple[Any, Features]:
    """Return the image, None for a feature file, and its features."""
    from pysift.files import is_feature_file, read_features
    from pysift.pipeline import sift
    if is_feature_file(source):
        return None, read_features(source)
    image = read_image(args, source)
    return image, sift(image, params)


def _write(path: str, matches: Any, points: tuple, stats: dict[str, float]) -> None:
    """Write the matches, with the places that they join."""
    from pysift.files import replacing, write_arrays
    columns = {name: getattr(matches, name) for name in ("index0", "index1", "distance", "ratio")}
    columns |= {"xy0": points[0].xy[matches.index0], "xy1": points[1].xy[matches.index1]}
    if Path(path).suffix.lower() == ".npz":
        write_arrays(path, columns)
        return
    with replacing(path) as part:
        part.write_text(to_json({**columns, "stats": stats}) + "\n", encoding="utf-8")
