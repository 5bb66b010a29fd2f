"""Where a process runs, and with how many threads."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS",
    "RAYON_NUM_THREADS", "MICROGPT_THREADS",
)  # fmt: skip
CPUS = Path("/sys/devices/system/cpu")
SPEEDS = ("cpu_capacity", "cpufreq/cpuinfo_max_freq")  # of a processor; not every kernel has the first
EQUAL = 0.9  # of one speed: makers let some cores of a kind run a little faster


def thread_environment(threads: int) -> dict[str, str]:
    """The variables by which libraries are told how many threads to use: they read them when they are loaded."""
    return dict.fromkeys(THREADS, str(threads))


def can_pin() -> bool:
    """Whether this system lets a process choose its processors."""
    return sys.platform == "linux"


def pin(threads: int) -> None:
    """Stay on as many processors as there are threads."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, best(threads, os.sched_getaffinity(0)))


def pinned(threads: int) -> str:
    """Where `pin` has a process stay, in words; "" where this system doesn't let it choose."""
    return told(best(threads, os.sched_getaffinity(0))) if sys.platform == "linux" else ""


def best(threads: int, allowed: Iterable[int], folder: Path = CPUS) -> list[int]:
    """The processors for so many threads: each on a core of its own while there are any, the fastest kind first; of
    equals the last ones, since the first often serve the devices.
    """
    taken, place = Counter[str](), dict[int, int]()  # processor -> which of its core's it is
    for cpu in sorted(allowed, reverse=True):
        core = core_of(cpu, folder)
        place[cpu], taken[core] = taken[core], taken[core] + 1
    return sorted(place, key=lambda cpu: (place[cpu], -speed(cpu, folder), -cpu))[:threads]


def told(cpus: Sequence[int], folder: Path = CPUS) -> str:
    """What was chosen, and what to keep in mind of it."""
    words = [f"pinned to CPU {', '.join(map(str, sorted(cpus)))}"]
    if len({core_of(cpu, folder) for cpu in cpus}) < len(cpus):
        words.append("warning: some share a core, so that more threads aren't as much faster")
    speeds = [speed(cpu, folder) for cpu in cpus]
    if min(speeds) < EQUAL * max(speeds):
        words.append("warning: they are of unequal speed, so that all wait for the slowest")
    return "; ".join(words)


def core_of(cpu: int, folder: Path = CPUS) -> str:
    """The processors that share its core, as Linux lists them: 0,8 or 0-1; where it doesn't say, itself."""
    return text_of(folder / f"cpu{cpu}" / "topology" / "thread_siblings_list") or str(cpu)


def speed(cpu: int, folder: Path = CPUS) -> int:
    """By the first measure that this system has; 0 where it has none."""
    return next((int(found) for name in SPEEDS if (found := text_of(folder / f"cpu{cpu}" / name))), 0)


def text_of(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.is_file() else ""
