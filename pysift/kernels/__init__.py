"""Fast kernels whose code is no longer the formula; each step's file keeps the formula in words.

`njit` compiles them all, and those that are still the formula.

imports: nothing of pysift
"""
from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numba
from numba.core.caching import FunctionCache

_log = logging.getLogger("pysift")


def njit(**options) -> Callable:
    """Decorate as numba.njit does, with what is compiled kept on disk if there is a folder for it.

    numba takes $NUMBA_CACHE_DIR, __pycache__ beside the source or the user's own cache, whichever it can write to, and
    refuses where there is none, as in a container with a read-only root.  There each process compiles for itself.
    """
    def compiled(function: Callable) -> Callable:
        kernel = numba.njit(**options)(function)
        try:
            kernel._cache = _Cache(function)
        except RuntimeError as error:
            if "cannot cache function" not in str(error):
                raise
            _warn("numba finds no folder to keep compiled kernels in, so every process compiles them anew: "
                  "set NUMBA_CACHE_DIR to a folder that you may write to")
        return kernel
    return compiled


class _Cache(FunctionCache):
    """numba's cache, which notices a change in any source of pysift, and can do without a file that is no use.

    numba itself looks at the file of the kernel only, not at those of the functions that it calls.
    """

    def _index_key(self, sig, codegen):
        return *super()._index_key(sig, codegen), _sources()

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:              # a file cut short may fail anywhere in unpickling and linking
            _warn(f"a compiled kernel in {self.cache_path} cannot be read and is compiled again: {error!r}")
            self.flush()
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn(f"compiled kernels cannot be kept in {self.cache_path}: {error}")


@cache
def _sources() -> str:
    """Return a digest of every source file that a kernel may be compiled from."""
    folder = Path(__file__).parent
    files = sorted([*folder.glob("*.py"), *folder.parent.glob("*.py")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


@cache
def _warn(message: str) -> None:
    _log.warning("%s", message)
