"""The share of the processor that a container gets: Linux control groups, of the second version and of the first.

Only the files are read here; what the number means for threads is said in threads.py.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path("/")
MEMBERSHIP, GROUPS = "proc/self/cgroup", "sys/fs/cgroup"


@cache  # every call of a plan asks
def cores_of_time(root: Path = ROOT) -> float | None:
    """How many cores' worth of time this process's groups may take, by the strictest of them; None for no limit.

    `root` is the folder with `proc` and `sys`. Groups lie in each other, and each may set a limit. In a container the
    path that the kernel tells is often the host's: then its own group is the root of what it sees.
    """
    return min(filter(None, map(quota, groups(root))), default=None)


def groups(root: Path) -> Iterator[Path]:
    """The folders of the groups that this process is in, and of those around them."""
    for line in text(root / MEMBERSHIP).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            mounts = [root / GROUPS]
        elif "cpu" in controllers.split(","):
            mounts = [root / GROUPS / name for name in (controllers, "cpu")]
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        yield from (mount / group for mount in mounts for group in (inside, *inside.parents))


def quota(group: Path) -> float | None:
    """What one group may take; None where it sets no limit."""
    parts = text(group / "cpu.max").split()
    parts = parts or [text(group / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    match parts:
        case [time, period] if time.isdecimal() and period.isdecimal() and int(period):
            return int(time) / int(period)
    return None  # "max", -1, or no such file


def text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError):  # not there: another version, no container, or another system
        return ""
