"""What numba has compiled: say so while it happens, count what is in its cache.

imports: commands.report, pipeline
"""
from __future__ import annotations

import logging
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from pysift.commands.report import say


@cache
def announce_compilation() -> None:
    """Say on stderr that kernels are being compiled, once a process, as soon as numba starts on one.

    Kernels that come out of the cache start no compilation, so nothing is said of them.
    """
    from numba.core import event

    class Announcer(event.Listener):
        said = False

        def on_start(self, event) -> None:
            if not self.said and logging.getLogger("pysift").isEnabledFor(logging.WARNING):
                say("pysift: compiling the kernels for these parameters, once; up to a minute", sys.stderr)
            self.said = True

        def on_end(self, event) -> None:
            pass

    event.register("numba:compile", Announcer())


def kernels() -> dict[str, bool]:
    """Return the name of every kernel, and whether numba's cache holds it compiled from the present source."""
    return {f"{kernel.__module__}.{kernel.__name__}": _is_cached(kernel) for kernel in _dispatchers()}


def cache_folder() -> Path | None:
    """Return the folder in which numba keeps the compiled kernels, None where it can write to none."""
    paths = [kernel.stats.cache_path for kernel in _dispatchers()]
    return None if None in paths else Path(os.path.commonpath(paths))


def _dispatchers() -> list[Any]:
    from numba.core.registry import CPUDispatcher

    import pysift.pipeline  # noqa: F401    imports every step
    return [value for name, module in sorted(sys.modules.items()) if name.startswith("pysift.")
            for value in vars(module).values() if isinstance(value, CPUDispatcher) and value.__module__ == name]


def _is_cached(kernel: Any) -> bool:
    """Whether there is an index of this function, at this line, that is younger than its source."""
    if kernel.stats.cache_path is None:
        return False
    code, version = kernel.py_func.__code__, sys.version_info
    stem = f"{kernel.__module__.split('.')[-1]}.{kernel.py_func.__qualname__}-{code.co_firstlineno}"
    indices = Path(kernel.stats.cache_path).glob(f"{stem}.py{version.major}{version.minor}*.nbi")
    return any(os.path.getmtime(index) >= os.path.getmtime(code.co_filename) for index in indices)
