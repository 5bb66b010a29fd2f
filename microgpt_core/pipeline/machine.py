"""What memory this process has, what more of memory and disk it could have, and how to say such numbers."""

import os
import shutil
import sys
from pathlib import Path

CGROUPS = (  # limit and use of the container that this process is in, by version
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def resident_bytes(peak: bool = False) -> int:
    """What this process holds in memory now, or held at most. Where only the most is known (macOS), always that;
    0 where neither is (Windows)."""
    status = Path("/proc/self/status")
    if status.is_file():
        wanted = "VmHWM:" if peak else "VmRSS:"
        found = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith(wanted))
        return int(found.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def available_memory() -> int | None:
    """What could be had without swapping, of the machine and of the container; None where nobody says."""
    limits = []
    for limit, use in CGROUPS:
        if Path(limit).is_file() and (allowed := Path(limit).read_text(encoding="ascii").strip()) != "max":
            limits.append(int(allowed) - int(Path(use).read_text(encoding="ascii")))
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        (found,) = (line for line in meminfo.read_text(encoding="ascii").splitlines() if line.startswith("MemAvail"))
        limits.append(int(found.split()[1]) * 1024)
    elif sys.platform != "win32":
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=None)


def available_disk(folder: Path) -> int:
    """The bytes that are free where a folder is, or will be."""
    while not folder.exists():
        folder = folder.absolute().parent
    return shutil.disk_usage(folder).free


def in_units(n: int, unit: str = "B") -> str:
    """A number as people say it: 1.6 GB."""
    for prefix, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if n >= size:
            return f"{n / size:.1f} {prefix}{unit}"
    return f"{n} {unit}"
