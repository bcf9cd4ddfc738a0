"""A task in a process of its own: what would end the tests, or change how they get memory, ends there."""
import faulthandler
import os

import pytest


def exit_of(task):
    """Run a task in a fork of this process and return its exit status: 0 unless it raised or was killed."""
    if not hasattr(os, "fork"):
        pytest.skip("needs a system that can fork")
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        status = 1
        try:
            task()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]
