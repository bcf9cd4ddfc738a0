"""numba's cache empty, shared by two, and nowhere: pysift works in each case.  Real processes, one small kernel."""
import shutil

import pytest

from benchmarks.kernel_cache import EXTREMA, ROOT, nowhere, outcomes, two_at_once


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return two_at_once(tmp_path_factory.mktemp("shared"), EXTREMA)


def test_two_processes_that_meet_an_empty_cache_both_succeed_and_agree(shared):
    first, second, third = shared
    assert (first.code, second.code, third.code) == (0, 0, 0), first.stderr + second.stderr + third.stderr
    assert first.digest == second.digest == third.digest
    assert first.stderr == second.stderr == ""


def test_the_next_process_finds_all_in_the_cache(shared):
    first, second, third = shared
    assert first.compiled and second.compiled and third.compiled == 0


def test_where_no_folder_can_be_written_to_the_result_is_the_same_and_the_remedy_is_said_once(shared, tmp_path):
    outcome = nowhere(tmp_path, EXTREMA)
    assert outcome.code == 0, outcome.last_words
    assert outcome.digest == shared[0].digest and outcome.compiled
    assert outcome.stderr.count("NUMBA_CACHE_DIR") == outcome.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("*.nbi"))


def test_where_the_folder_asked_for_cannot_be_written_to_another_serves(shared, tmp_path):
    """numba goes on to __pycache__ beside the sources; so the second process compiles nothing."""
    shutil.copytree(ROOT / "pysift", tmp_path / "pysift", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "taken").touch()
    for compiles in (True, False):
        [outcome] = outcomes([EXTREMA], tmp_path / "taken", root=tmp_path)
        assert (outcome.code, outcome.digest, outcome.stderr) == (0, shared[0].digest, "")
        assert bool(outcome.compiled) == compiles


def test_a_program_that_fails_is_told_from_one_that_does_not(tmp_path):
    fails, works = outcomes(["raise KeyError('lost')", EXTREMA], tmp_path)
    assert (fails.code, fails.digest, fails.compiled, fails.last_words) == (1, None, None, "KeyError: 'lost'")
    assert works.code == 0


@pytest.mark.slow
def test_two_whole_programs_that_meet_an_empty_cache_agree(tmp_path):
    first, second, third = two_at_once(tmp_path)
    assert first.digest == second.digest == third.digest is not None
    assert first.compiled and third.compiled == 0
