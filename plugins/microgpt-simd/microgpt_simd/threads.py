"""How many threads there are, and the team that they form."""

import os
from functools import cache

from microgpt_core.errors import ConfigurationError
from microgpt_simd.cgroup import cores_of_time
from microgpt_simd.native import Team

ASKED = "MICROGPT_THREADS"


def usable_cores() -> int:
    """The cores that this process may run on: by its affinity and, in a container, by its share of time."""
    share = cores_of_time()
    return affinity() if share is None else max(1, min(affinity(), round(share)))


def affinity() -> int:
    """The cores that the system may put this process on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def asked_threads() -> int:
    """MICROGPT_THREADS, else every usable core. Raises ConfigurationError where it is no number from 1 on."""
    asked = os.environ.get(ASKED)
    if not asked:
        return usable_cores()
    if not asked.isdecimal() or not 1 <= int(asked) <= 1024:
        raise ConfigurationError(f"{ASKED}={asked}: allowed: a number from 1 to 1024, or leave it out")
    return int(asked)


def threads_and_why() -> str:
    """The number of threads in words. Raises as `asked_threads` does."""
    asked, share = f", as {ASKED} asks" if os.environ.get(ASKED) else "", cores_of_time()
    container = "" if share is None else f", of whose time this container gets {share:g}"
    return f"{asked_threads()}{asked}; the system allows {affinity()} cores{container}"


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
