"""What memory this process has, what more of memory and disk it could have, and how to say such numbers."""

import os
import shutil
import sys
from pathlib import Path

CGROUPS = (  # of the container that this process is in, by version: its limit, what it uses, and of what that is made
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


def numbers_in(path: str | Path) -> dict[str, int]:
    """The numbers of a file with a name and a number in each line; none where there is no such file."""
    if not Path(path).is_file():
        return {}
    lines = (line.replace(":", " ").split() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def resident_bytes(peak: bool = False) -> int:
    """What this process holds in memory now, or held at most. Where only the most is known (macOS), always that;
    0 where neither is (Windows)."""
    status = numbers_in("/proc/self/status")
    if (kilobytes := status.get("VmHWM" if peak else "VmRSS")) is not None:
        return kilobytes * 1024
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def available_memory() -> int | None:
    """What could be had without swapping, of the machine and of the container; None where nobody says.

    Files that the container has read and could forget count as free. macOS says only how much there is in all.
    """
    limits = []
    for limit, use, made_of in CGROUPS:
        if Path(limit).is_file() and (allowed := Path(limit).read_text(encoding="ascii").strip()) != "max":
            used = int(Path(use).read_text(encoding="ascii")) - numbers_in(made_of).get("inactive_file", 0)
            limits.append(int(allowed) - used)
    if (kilobytes := numbers_in("/proc/meminfo").get("MemAvailable")) is not None:
        limits.append(kilobytes * 1024)
    elif sys.platform == "darwin":
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=None)


def available_disk(folder: Path) -> int:
    """The bytes that are free where a folder is, or will be."""
    while not folder.exists():
        folder = folder.absolute().parent
    return shutil.disk_usage(folder).free


def in_units(n: int, unit: str = "B") -> str:
    """A number as people say it: 1.6 GB."""
    for prefix, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if n >= size:
            return f"{n / size:.1f} {prefix}{unit}"
    return f"{n} {unit}"
