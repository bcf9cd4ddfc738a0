"""Make the pictures of README.md and docs/ from the embedded photographs: python docs/pictures.py."""
from pathlib import Path

from pysift.commands.demo import tilted, warp
from pysift.draw import plot_matches
from pysift.matching import inliers, match
from pysift.photos import photo
from pysift.pipeline import sift

IMAGES = Path(__file__).parent / "images"


def matches() -> None:
    """The photograph, its tilted copy, and the matches that the homography confirms."""
    image = photo("coffee")
    homography = tilted(image.shape[1], image.shape[0])
    warped = warp(image, homography)
    here, there = sift(image), sift(warped)
    found = match(here.descriptors, there.descriptors)
    found = found[inliers(found, here.keypoints, there.keypoints, homography)]
    axes = plot_matches(image, here.keypoints, warped, there.keypoints, found, n=60)
    axes.figure.savefig(IMAGES / "matches.png", dpi=80, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    matches()
