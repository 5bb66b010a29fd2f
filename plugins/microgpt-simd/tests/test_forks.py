"""However a child process begins, it computes, ends, and has the parent's bits; threads may share work at once."""

import multiprocessing
import os
import runpy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microgpt_simd import threads as counting
from microgpt_simd.native import Team
from microgpt_simd.threads import ASKED, team

METHODS = [m for m in ("fork", "spawn", "forkserver") if m in multiprocessing.get_all_start_methods()]
FILE = str(Path(__file__).parent / "product_in_a_child.py")
product = runpy.run_path(FILE)["product"]


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [2, pytest.param(1, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
def test_a_child_computes_the_same(method: str, n: int, threads: Callable[[int], None]) -> None:
    threads(n)
    here = product()  # the parent's team is at work before the fork
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=runpy.run_path, args=(FILE, {"queue": queue}))
    process.start()
    there = queue.get(timeout=60)
    process.join(timeout=60)
    assert process.exitcode == 0
    assert there == here == product()


@pytest.mark.parametrize("n", [2, 3])
def test_threads_of_the_interpreter_may_share_at_once(n: int, threads: Callable[[int], None]) -> None:
    """One of them has the team, the others work alone: the same bits, and nobody waits for ever."""
    threads(n)
    alone, found = product(), list[Any]()
    several = [threading.Thread(target=lambda: found.extend(product() for _ in range(10))) for _ in range(4)]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join(timeout=60)
    assert len(found) == 40
    assert all(other == alone for other in found)


def test_teams_come_and_go() -> None:
    """Many teams at once, each with its own workers; ended ones leave nothing behind that hangs."""
    for _ in range(50):
        teams = [Team(n) for n in (1, 2, 3, 8)]
        assert [team.threads for team in teams] == [1, 2, 3, 8]


def test_the_number_of_threads_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process, and for what is asked for; the next process looks for itself."""
    counting.settled_threads.cache_clear()
    looked = []
    monkeypatch.setattr(counting, "usable_cores", lambda: looked.append(os.getpid()) or 3)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    monkeypatch.delenv(ASKED, raising=False)
    assert team() is team()
    assert team().threads == 3
    monkeypatch.setenv(ASKED, "2")
    assert team().threads == 2
    monkeypatch.delenv(ASKED)
    monkeypatch.setattr(os, "getpid", lambda: -2)
    assert team().threads == 3
    assert looked == [-1, -2]
