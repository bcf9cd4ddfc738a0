"""Compile every kernel now, so that no later command has to wait for it.

Other values of --layers and --sigma than the default compile a few more when they are first used.

imports: commands.compiling, commands.report, image, orientation, params, photos, pipeline
"""
from __future__ import annotations

import argparse
import time

from pysift.commands.compiling import announce_compilation, kernels
from pysift.commands.report import say

HELP = "compile every kernel now"
EXAMPLE = "pysift warmup"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`pysift warmup` has no options of its own."""


def run(args: argparse.Namespace) -> int:
    """Run `pysift warmup`: kernels are compiled for the types that they meet, so meet them all."""
    announce_compilation()
    start = time.perf_counter()
    from pysift.image import grey_levels
    from pysift.orientation import angle_histogram
    from pysift.params import SIFTParams
    from pysift.photos import photo
    from pysift.pipeline import sift
    image = photo("camera")[150:250, 150:250]
    for params in (SIFTParams(), SIFTParams.opencv(), SIFTParams(descriptor="root"), SIFTParams(first_octave=0)):
        sift(image, params)
    angle_histogram(grey_levels(image), 50, 50, 2.0)
    ready = kernels()
    say(f"{sum(ready.values())} of {len(ready)} kernels are compiled and cached  {time.perf_counter() - start:.1f} s")
    return 0
