"""How many threads there are, and the team that they form."""

import os
from functools import cache
from pathlib import Path

from microgpt_core.errors import ConfigurationError
from microgpt_simd.native import Team

ASKED = "MICROGPT_THREADS"
CGROUP = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """The cores that this process may run on: by its affinity and, in a container, by its share of time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP.read_text(encoding="ascii").split()
    except (OSError, ValueError):  # no such file: no container, or another system
        return cores
    return cores if quota == "max" else max(1, min(cores, round(int(quota) / int(period))))


def asked_threads() -> int:
    """MICROGPT_THREADS, else every usable core. Raises ConfigurationError where it is no number from 1 on."""
    asked = os.environ.get(ASKED)
    if not asked:
        return usable_cores()
    if not asked.isdecimal() or not 1 <= int(asked) <= 1024:
        raise ConfigurationError(f"{ASKED}={asked}: allowed: a number from 1 to 1024, or leave it out")
    return int(asked)


def team() -> Team:
    """The threads of this process: made at the first call."""
    return team_of(settled_threads(os.getpid(), os.environ.get(ASKED)))


@cache
def settled_threads(process: int, asked: str | None) -> int:
    """How many, found out once in a process (and for what is asked for): each call that is bound wants to know."""
    return asked_threads()


@cache
def team_of(threads: int) -> Team:
    return Team(threads)
