"""What becomes of a program when numba's cache is empty, shared or nowhere; in fresh processes.

    the cache is a folder that nobody can write to        → `nowhere`
    two processes meet an empty cache, then comes a third → `two_at_once`

A program is a piece of Python that leaves arrays in `result`.  Permissions do not stop root, so a folder that
cannot be written to is a file of that name here.
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
SIFT = "import pysift\nfrom pysift.photos import photo\nk, d = pysift.sift(photo('camera'))\nresult = k.xy, k.theta, d"
EXTREMA = ("import numpy as np\nfrom pysift.extrema import find_extrema\n"                    # compiles in a second
           "result = find_extrema(np.random.default_rng(0).normal(0, 9, (5, 40, 40)).astype(np.float32)),")
_CHILD = """
import hashlib, json
from numba.core import event
with event.install_recorder("numba:compile") as recorder:
    exec({program!r})
digest = hashlib.sha256(b"".join(array.tobytes() for array in result)).hexdigest()
print(json.dumps([digest, sum(e.is_start for _, e in recorder.buffer)]))
"""


class Outcome(NamedTuple):
    """What a process came to."""

    code: int                   # 0 where all went well
    digest: str | None          # of what it computed
    compiled: int | None        # functions that numba compiled, those found in the cache not counted
    stderr: str
    seconds: float

    @property
    def last_words(self) -> str:
        """Return the last line of stderr, which of a traceback is the error."""
        return self.stderr.strip().rpartition("\n")[2]


def outcomes(programs: list[str], cache: Path, *, root: Path = ROOT, **environment) -> list[Outcome]:
    """Run programs at the same time, each in a process of its own, all with this cache.

    Parameters
    ----------
    programs : sources that leave a sequence of arrays in `result`
    cache : NUMBA_CACHE_DIR, made by numba if missing
    root : where to import pysift from
    environment : further variables
    """
    env = {**os.environ, "PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(cache), **environment}
    start = time.perf_counter()
    running = [subprocess.Popen([sys.executable, "-c", _CHILD.format(program=program)], cwd=root, env=env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for program in programs]
    results = []
    for process in running:
        out, err = process.communicate()
        digest, compiled = json.loads(out) if process.returncode == 0 else (None, None)
        results.append(Outcome(process.returncode, digest, compiled, err, time.perf_counter() - start))
    return results


def two_at_once(folder: Path, program: str = SIFT) -> tuple[Outcome, Outcome, Outcome]:
    """Run a program twice at the same time on an empty cache in `folder`, then once more on what they left."""
    first, second = outcomes([program, program], folder / "cache")
    [third] = outcomes([program], folder / "cache")
    return first, second, third


def nowhere(folder: Path, program: str = SIFT) -> Outcome:
    """Run a program where numba can write to no folder, as in a container with a read-only root.

    Not to the one asked for, nor to __pycache__ beside the sources of a copy of pysift in `folder`, nor to the user's.
    """
    shutil.copytree(ROOT / "pysift", folder / "pysift", ignore=shutil.ignore_patterns("__pycache__"))
    for package in [path.parent for path in folder.rglob("__init__.py")]:
        (package / "__pycache__").touch()
    taken = folder / "taken"
    taken.touch()
    [outcome] = outcomes([program], taken, root=folder, HOME=str(taken), XDG_CACHE_HOME=str(taken),
                         LOCALAPPDATA=str(taken))
    return outcome
