"""Workers take no signals: Ctrl-C reaches the interpreter's own thread, however many there are."""

import os
import signal
import sys
from pathlib import Path
from time import monotonic

import pytest

from microgpt_simd.native import Team

OWN = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT} if os.name == "posix" else set()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what another thread has blocked")


def blocked() -> dict[str, int]:
    """The signals that each thread of this process has blocked, as the bits of a number."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        lines = dict(line.split(":", 1) for line in (task / "status").read_text(encoding="utf-8").splitlines())
        found[task.name] = int(lines["SigBlk"], 16)
    return found


def takes(mask: int) -> set[signal.Signals]:
    """Of the signals that anybody might send, those that a thread with this mask takes."""
    could = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}
    return {number for number in could if not mask >> (number - 1) & 1}


def test_workers_take_only_what_they_do_to_themselves() -> None:
    before, until = blocked(), monotonic() + 10  # a new thread blocks everything for a moment
    team, workers = Team(3), dict[str, int]()
    while monotonic() < until and [takes(mask) for mask in workers.values()] != [OWN] * (team.threads - 1):
        workers = {task: mask for task, mask in blocked().items() if task not in before}
    assert len(workers) == team.threads - 1
    assert [takes(mask) for mask in workers.values()] == [OWN] * len(workers)


def test_the_thread_that_makes_them_takes_what_it_took() -> None:
    """And the control: the same look at a thread that blocks nothing finds Ctrl-C."""
    own = str(os.getpid())
    before = blocked()[own]
    team = Team(2)
    assert team.threads == 2
    assert blocked()[own] == before
    assert signal.SIGINT in takes(before)
