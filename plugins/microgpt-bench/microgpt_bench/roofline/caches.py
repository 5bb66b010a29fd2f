"""The caches that one core reads data through, as the operating system tells them; none where it doesn't."""

import ctypes
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LINUX = Path("/sys/devices/system/cpu/cpu0/cache")
UNITS = {"K": 1 << 10, "M": 1 << 20}
CACHE_RELATIONSHIP = 2  # of GetLogicalProcessorInformation: what an entry is about
INSTRUCTION = 1  # and what a cache of Windows holds
SECONDS = 5.0


@dataclass(frozen=True)
class Cache:
    """One level: its size, and how many processors share one of its kind."""

    level: int
    nbytes: int
    shared_by: int = 1


def caches() -> list[Cache]:
    """The levels of this machine, the nearest first; empty where nobody says."""
    found: Iterable[Cache] = ()
    if sys.platform == "win32":
        found = windows_caches()
    elif sys.platform == "darwin":
        asked = ["sysctl", "hw"]
        found = mac_caches(subprocess.run(asked, capture_output=True, encoding="utf-8", timeout=SECONDS).stdout)
    elif LINUX.is_dir():
        found = linux_caches(LINUX)
    return sorted({cache.level: cache for cache in found if cache.nbytes}.values(), key=lambda cache: cache.level)


def linux_caches(folder: Path) -> Iterator[Cache]:
    """Of the folder that has one folder for each cache of a core."""
    for index in folder.glob("index*"):
        facts = {file.name: file.read_text(encoding="ascii").strip() for file in index.iterdir() if file.is_file()}
        if facts.get("type") in ("Data", "Unified") and (size := facts.get("size", "")):
            nbytes = int(size[:-1]) * UNITS[size[-1]] if size[-1] in UNITS else int(size)
            yield Cache(int(facts["level"]), nbytes, count(facts.get("shared_cpu_list", "0")))


def count(ranges: str) -> int:
    """How many processors a list such as 0-3,8 names."""
    ends = (part.split("-") for part in ranges.split(","))
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)


def mac_caches(told: str) -> Iterator[Cache]:
    """Of what `sysctl hw` prints. Chips with two kinds of cores tell of the fast ones under perflevel0."""
    facts = {key: value.strip() for key, _, value in (line.partition(":") for line in told.splitlines())}
    for level, name in ((1, "l1dcachesize"), (2, "l2cachesize"), (3, "l3cachesize")):
        size = facts.get(f"hw.perflevel0.{name}") or facts.get(f"hw.{name}") or "0"
        shared = facts.get("hw.perflevel0.cpusperl2", "1") if level == 2 else "1" if level == 1 else facts["hw.ncpu"]
        yield Cache(level, int(size), int(shared))


class CacheDescriptor(ctypes.Structure):
    """CACHE_DESCRIPTOR of Windows."""

    _fields_ = (
        ("level", ctypes.c_uint8),
        ("associativity", ctypes.c_uint8),
        ("line", ctypes.c_uint16),
        ("size", ctypes.c_uint32),
        ("kind", ctypes.c_int),
    )


class About(ctypes.Union):
    """What else an entry may be about is longer."""

    _fields_ = (("cache", CacheDescriptor), ("rest", ctypes.c_uint64 * 2))


class Entry(ctypes.Structure):
    """SYSTEM_LOGICAL_PROCESSOR_INFORMATION: something that the processors in a mask share."""

    _fields_ = (("mask", ctypes.c_size_t), ("relationship", ctypes.c_int), ("about", About))


def windows_caches() -> Iterator[Cache]:
    library = getattr(ctypes, "windll").kernel32  # noqa: B009  only Windows has it, as a type checker elsewhere knows
    needed = ctypes.c_uint32(0)
    library.GetLogicalProcessorInformation(None, ctypes.byref(needed))
    entries = (Entry * (needed.value // ctypes.sizeof(Entry)))()
    if library.GetLogicalProcessorInformation(entries, ctypes.byref(needed)):
        yield from told_by_windows(entries)


def told_by_windows(entries: Iterable[Entry]) -> Iterator[Cache]:
    """Those of the first processor that hold data."""
    for entry in entries:
        cache = entry.about.cache
        if entry.relationship == CACHE_RELATIONSHIP and cache.kind != INSTRUCTION and entry.mask & 1:
            yield Cache(cache.level, cache.size, entry.mask.bit_count())
