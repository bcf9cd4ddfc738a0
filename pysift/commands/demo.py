"""Show SIFT at work on a photograph that comes with pysift.

Find and describe its keypoints, turn and tilt it by a known homography, do the same there, match, count how
many matches obey the homography, hold the result against OpenCV, and draw it all.

imports: commands.compiling, commands.report, draw, keypoints, matching, parity, photos, pipeline, tracing, usage
"""
from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pysift import __version__
from pysift.commands.compiling import announce_compilation
from pysift.commands.report import save_picture, say
from pysift.usage import folder

if TYPE_CHECKING:
    import numpy as np

    from pysift.keypoints import Features
    from pysift.matching import Matches
    from pysift.tracing import Trace

HELP = "the whole chain on a photograph that comes with pysift"
EXAMPLE = "pysift demo --output demo_output"
_PHOTO, _TURN, _ZOOM, _TILT = "coffee", 25.0, 0.8, 4e-4      # degrees clockwise, 1, 1/px
_TOLERANCE = 3.0                                             # px that a match may be off


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `pysift demo`."""
    parser.add_argument("-o", "--output", metavar="DIR", type=folder, default="demo_output",
                        help="folder for the pictures")


def run(args: argparse.Namespace) -> int:
    """Run `pysift demo`."""
    announce_compilation()
    from pysift.matching import inliers, match
    from pysift.photos import photo
    from pysift.pipeline import sift
    from pysift.tracing import trace
    image = photo(_PHOTO)
    height, width = image.shape[:2]
    say(f"pysift {__version__} on the photograph '{_PHOTO}', {width} × {height}")

    sift(image)                                              # so that what is timed is neither read nor compiled
    start = time.perf_counter()
    here = sift(image)
    seconds = time.perf_counter() - start
    _line("detect and describe", f"{len(here.keypoints)} keypoints in {seconds:.2f} s")

    homography = tilted(width, height)
    warped = warp(image, homography)
    there = sift(warped)
    _line("warp", f"turned by {_TURN:g}°, shrunk to {_ZOOM:g}, tilted: {len(there.keypoints)} keypoints")

    matches = match(here.descriptors, there.descriptors)
    stats = matches.stats()
    _line("match", f"{stats['count']} pairs; distance mean {stats['mean']:.0f}, min {stats['min']:.0f}, "
                   f"max {stats['max']:.0f}, std {stats['std']:.0f}")
    good = inliers(matches, here.keypoints, there.keypoints, homography, _TOLERANCE)
    _line("check", f"{good.sum()} of them ({100 * good.mean():.1f} %) land within {_TOLERANCE:g} px of where the "
                   "homography sends them")
    _line("parity with OpenCV", _parity(image))
    _line("pictures", _draw(Path(args.output), image, trace(image), warped, there, matches))
    return 0


def _line(name: str, text: str) -> None:
    say(f"  {name:<21}{text}")


def tilted(width: int, height: int) -> np.ndarray:
    """Return the homography (3, 3): about the centre, turn, shrink, and let the right side recede."""
    import numpy as np
    centre = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1]])
    c, s = _ZOOM * np.cos(np.deg2rad(_TURN)), _ZOOM * np.sin(np.deg2rad(_TURN))
    return centre @ np.array([[c, -s, 0], [s, c, 0], [_TILT, 0, 1]]) @ np.linalg.inv(centre)


def warp(image: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Return the image as the homography moves it, in a frame of the same size, black outside.

        out(p) = image(H⁻¹ p),   between pixels by bilinear interpolation

    Parameters
    ----------
    image : (H, W, 3) uint8
    homography : (3, 3), takes pixels of `image` to pixels of the result

    >>> import numpy as np
    >>> shifted = warp(np.full((20, 30, 3), 9, np.uint8), np.array([[1, 0, 10], [0, 1, 0], [0, 0, 1.0]]))
    >>> shifted.shape, int(shifted[:, :10].max()), int(shifted[:, 10:].min())
    ((20, 30, 3), 0, 9)
    """
    import numpy as np

    from pysift.matching import apply_homography
    height, width = image.shape[:2]
    target = np.indices((height, width)).reshape(2, -1)[::-1].T                     # x, y of each pixel
    x, y = apply_homography(np.linalg.inv(homography), target).T
    inside = (0 <= x) & (x <= width - 1) & (0 <= y) & (y <= height - 1)
    x, y = np.where(inside, x, 0), np.where(inside, y, 0)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    u, v = (x - left)[:, None], (y - top)[:, None]
    upper = (1 - u) * image[top, left] + u * image[top, left + 1]
    lower = (1 - u) * image[top + 1, left] + u * image[top + 1, left + 1]
    return (np.rint((1 - v) * upper + v * lower) * inside[:, None]).astype(np.uint8).reshape(image.shape)


def _parity(image: np.ndarray) -> str:
    from pysift.parity import compare
    try:
        parity = compare(image[..., ::-1])
    except ImportError:
        return 'not installed: pip install "siftgrad[cv2]"'
    return (f"as cv2.SIFT_create(): {parity.bit_equal} of {parity.theirs} keypoints and {parity.descriptors_equal} "
            f"descriptors equal to the bit; first departure: {parity.first_departure or 'none'}")


def _draw(folder: Path, image: np.ndarray, seen: Trace, warped: np.ndarray, there: Features,
          matches: Matches) -> str:
    """Save the five pictures; return where they are, or what is missing to draw them."""
    from pysift import draw
    keypoints = seen.keypoints
    pictures = {
        "keypoints": lambda: draw.plot_keypoints(image, keypoints, n=200),
        "matches": lambda: draw.plot_matches(image, keypoints, warped, there.keypoints, matches),
        "distances": lambda: draw.plot_distances(matches),
        "scalespace": lambda: draw.plot_scalespace(seen.octaves[:4], params=seen.params),
        "keypoint": lambda: draw.plot_keypoint(seen.story(_telling(seen)), params=seen.params)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, plot in pictures.items():
        try:
            drawn = plot()
        except ImportError as error:
            return str(error)
        save_picture(folder / f"{name}.png", drawn)
    return f"{folder}/ {', '.join(f'{name}.png' for name in pictures)}"


def _telling(seen: Trace) -> int:
    """The strongest keypoint that is large enough to see and lies whole inside the image."""
    import numpy as np
    k, (height, width) = seen.keypoints, seen.grey.shape
    reach = 11 * k.sigma                                     # half a diagonal of the descriptor's grid
    whole = (reach <= k.x) & (k.x < width - reach) & (reach <= k.y) & (k.y < height - reach)
    return int(np.argmax(np.where(whole & (k.sigma > 4), k.response, -1)))
