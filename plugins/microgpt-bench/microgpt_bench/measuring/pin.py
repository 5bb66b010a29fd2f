"""Where a process runs, and with how many threads."""

import os
import sys

THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS",
    "MICROGPT_THREADS",
)  # fmt: skip


def thread_environment(threads: int) -> dict[str, str]:
    """The variables by which libraries are told how many threads to use: they read them when they are loaded."""
    return dict.fromkeys(THREADS, str(threads))


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def can_pin() -> bool:
    """Whether this system lets a process choose its cores."""
    return sys.platform == "linux"


def pin(threads: int) -> None:
    """Stay on as many cores as there are threads: the last ones, since the first often serve the devices."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
