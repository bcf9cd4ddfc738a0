"""What every test stands on: hypothesis's profile, a cv2 that repeats itself, real photographs on request."""
import os
import subprocess
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent
PICTURES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}

# The first call of a kernel compiles it, so no example has a deadline; a red run must be red again.
hypothesis.settings.register_profile("siftgrad", deadline=None, max_examples=30, derandomize=True)
hypothesis.settings.load_profile("siftgrad")

# pytest started by hand needs the cache that belongs to these very sources too: see the Makefile.
if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = subprocess.run(
        ["make", "-s", "numba-cache"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def pytest_addoption(parser):
    parser.addoption("--data", metavar="DIR", default=os.environ.get("SIFTGRAD_DATA"),
                     help="folder of further real photographs to test on (default: $SIFTGRAD_DATA)")


def pytest_generate_tests(metafunc):
    """Run a test that asks for `extra_photograph` once a picture under --data; skip it without one."""
    if "extra_photograph" not in metafunc.fixturenames:
        return
    folder = metafunc.config.getoption("--data")
    if folder and not Path(folder).is_dir():
        raise pytest.UsageError(f"--data {folder} is no folder: name one that holds photographs")
    pictures = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in PICTURES) if folder else []
    none = [pytest.param(None, marks=pytest.mark.skip(reason="no photographs given: --data DIR or $SIFTGRAD_DATA"))]
    metafunc.parametrize("extra_photograph", pictures or none,
                         ids=[str(p.relative_to(folder)) for p in pictures] or ["none"])


@pytest.fixture(scope="session", autouse=True)
def cv2_repeats_itself():
    """One thread and no IPP: otherwise cv2.SIFT differs from itself from run to run."""
    try:
        import cv2
    except ImportError:
        return
    cv2.setNumThreads(1)
    cv2.ipp.setUseIPP(False)
