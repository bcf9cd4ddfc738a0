"""The package as a whole: what importing it costs, its names, and its use from several threads and processes."""
import ast
import copy
import multiprocessing
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import pysift
from pysift.photos import photo
from strategies import texture

HEAVY = {"numpy", "numba", "PIL", "matplotlib", "cv2", "tqdm", "torch"}

CHILDREN = """
import hashlib, multiprocessing, sys
import pysift
from pysift.photos import photo

def digest(_):
    keypoints, descriptors = pysift.sift(photo("chelsea"))
    return hashlib.sha256(keypoints.xy.tobytes() + descriptors.tobytes()).hexdigest()

if __name__ == "__main__":
    pysift.set_num_threads(3)
    wanted = digest(0)                               # the parent's threads are running now
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        found = pool.map_async(digest, range(4)).get(100)
    assert found == 4 * [wanted] and digest(0) == wanted, (wanted, found)
"""


def python(*args):
    """Run a fresh interpreter and return what it printed."""
    done = subprocess.run([sys.executable, *args], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_same(f, g):
    assert f.keypoints == g.keypoints
    np.testing.assert_array_equal(f.descriptors, g.descriptors)


def test_importing_the_package_loads_nothing_heavy():
    loaded = python("-c", "import sys, pysift; print(*sorted({m.split('.')[0] for m in sys.modules}))").split()
    assert "pysift" in loaded and not HEAVY & set(loaded)


def test_listing_the_package_loads_nothing_heavy():
    loaded = python("-c", "import sys, pysift; dir(pysift); print(*sorted({m.split('.')[0] for m in sys.modules}))")
    assert not HEAVY & set(loaded.split())


def test_names_listed_are_the_public_ones():
    assert dir(pysift) == sorted(pysift.__all__) and len(set(pysift.__all__)) == len(pysift.__all__)


@pytest.mark.parametrize("name", pysift.__all__)
def test_every_public_name_resolves_to_what_is_called_so(name):
    found = getattr(pysift, name)
    assert found.__name__.split(".")[-1] == name and found.__doc__
    assert getattr(pysift, name) is found


def test_every_public_name_resolves_in_a_fresh_interpreter():
    """In the reverse of the usual order, since the import of one name may bind another."""
    order = sorted(pysift.__all__, reverse=True)
    python("-c", f"import pysift\nfor name in {order}: assert callable(getattr(pysift, name)) or name in "
                 "('convert', 'cv', 'draw'), name")
    assert python("-c", "from pysift import *; print(*sorted(n for n in globals() if not n.startswith('_')))").split() \
        == sorted(pysift.__all__)


def test_type_checkers_see_the_same_names():
    """The imports under TYPE_CHECKING are __all__, name for name."""
    tree = ast.parse(open(pysift.__file__, encoding="utf-8").read())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    assert sorted(alias.name for line in guarded.body for alias in line.names) == sorted(pysift.__all__)


@pytest.mark.parametrize("name", ["nothing", "numpy", "Sift", "__path"])
def test_unknown_attribute_is_an_attribute_error(name):
    assert not hasattr(pysift, name)
    with pytest.raises(AttributeError, match=f"^module 'pysift' has no attribute '{name}'$"):
        getattr(pysift, name)
    with pytest.raises(ImportError):
        exec(f"from pysift import {name}")


@pytest.fixture(scope="module")
def spawned():
    """One process that was spawned, not forked: it knows nothing but what is pickled to it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def test_data_types_come_back_from_a_spawned_process_unchanged(spawned):
    params = pysift.SIFTParams(nfeatures=40, descriptor="root")
    features = pysift.sift(photo("chelsea"), params)
    k, p, f = spawned.submit(copy.copy, (features.keypoints, params, features)).result(200)
    assert k == features.keypoints and p == params and type(f) is pysift.Features
    assert_same(f, features)


def test_functions_can_be_called_in_a_spawned_process(spawned):
    image, params = photo("chelsea"), pysift.SIFTParams.opencv(nfeatures=100)
    found = spawned.submit(pysift.sift, image, params).result(200)
    assert_same(found, pysift.sift(image, params))
    again = spawned.submit(pysift.describe, image, found.keypoints, params).result(200)
    np.testing.assert_array_equal(again, found.descriptors)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_may_call_sift_after_their_parent_did(method, tmp_path):
    """A forked child inherits the thread pool but none of its threads, so it must not wait for them."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    script = tmp_path / "children.py"
    script.write_text(CHILDREN, encoding="utf-8")
    python(str(script), method)


def test_threads_that_call_at_once_get_what_each_would_get_alone():
    images = [texture(seed, (150 + seed, 200)) for seed in range(4)]
    params = [pysift.SIFTParams(), pysift.SIFTParams.opencv(nfeatures=50)] * 2

    def call(i):
        start.wait(60)
        return [pysift.sift(images[i], params[i], intensity_range=(0, 255)) for _ in range(3)]

    before = pysift.get_num_threads()
    alone = [pysift.sift(image, p, intensity_range=(0, 255)) for image, p in zip(images, params)]
    try:
        for threads in (1, 3):
            pysift.set_num_threads(threads)
            start = threading.Barrier(4)
            with ThreadPoolExecutor(4) as pool:
                for found, expected in zip(pool.map(call, range(4)), alone, strict=True):
                    for f in found:
                        assert_same(f, expected)
    finally:
        pysift.set_num_threads(before)
