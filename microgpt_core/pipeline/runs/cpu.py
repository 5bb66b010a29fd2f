"""The processor that this process runs on: its name, features, cores and caches, as the operating system tells them."""

import ctypes
import os
import platform
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
CPU_FEATURES = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16",
    "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2",
)  # fmt: skip
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNITS = {"K": 1 << 10, "M": 1 << 20}
# SYSTEM_LOGICAL_PROCESSOR_INFORMATION of Windows, of a cache: the processors' mask, what an entry is about; the level,
# the size, what the cache is for.
ENTRY = struct.Struct("Pi0QBxxxIi0Q")
ABOUT_CACHES, INSTRUCTIONS = 2, 1
SECONDS = 5.0


def cpu() -> tuple[str, list[str]]:
    """The processor's name, and what it can do beyond the least of its kind."""
    if CPUINFO.is_file():
        facts = parsed(CPUINFO.read_text(encoding="utf-8", errors="replace"))
        words = (facts.get("flags") or facts.get("Features") or "").split()
        return facts.get("model name", platform.machine()), [f for f in CPU_FEATURES if f in words]
    if sys.platform == "darwin":
        facts = sysctl("machdep.cpu", "hw.optional")
        names = [key.rpartition(".")[2].lower() for key, value in facts.items() if value == "1"]
        return facts.get("machdep.cpu.brand_string", platform.machine()), sorted(names)
    return platform.processor() or platform.machine(), []


def described() -> str:
    """The same in a line: what tells one kind of machine from another."""
    name, features = cpu()
    return f"{name}; {' '.join(features)}"


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@dataclass(frozen=True)
class Cache:
    """A level that one core reads data through: its size, and how many processors share one of its kind."""

    level: int
    nbytes: int
    shared_by: int = 1


def caches() -> list[Cache]:
    """The levels of this machine, the nearest first; empty where nobody says."""
    found: Iterable[Cache] = ()
    if sys.platform == "win32":
        found = windows_caches()
    elif sys.platform == "darwin":
        found = mac_caches(sysctl("hw"))
    elif CACHES.is_dir():
        found = linux_caches(CACHES)
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


def mac_caches(facts: dict[str, str]) -> Iterator[Cache]:
    """Of what `sysctl hw` tells. Chips with two kinds of cores tell of the fast ones under perflevel0."""
    shared = "1", facts.get("hw.perflevel0.cpusperl2", "1"), facts.get("hw.ncpu", "1")
    for level, name in enumerate(("l1dcachesize", "l2cachesize", "l3cachesize"), 1):
        size = facts.get(f"hw.perflevel0.{name}") or facts.get(f"hw.{name}") or "0"
        yield Cache(level, int(size), int(shared[level - 1]))


def windows_caches() -> Iterator[Cache]:
    kernel32 = getattr(ctypes, "windll").kernel32  # noqa: B009  only Windows has it, as a type checker elsewhere knows
    kernel32.GetLogicalProcessorInformation(None, ctypes.byref(nbytes := ctypes.c_uint32(0)))  # how much there is
    entries = ctypes.create_string_buffer(nbytes.value)
    if kernel32.GetLogicalProcessorInformation(entries, ctypes.byref(nbytes)):
        yield from told_by_windows(entries.raw)


def told_by_windows(entries: bytes) -> Iterator[Cache]:
    """Those of the first processor that hold data."""
    for mask, about, level, nbytes, use in ENTRY.iter_unpack(entries):
        if about == ABOUT_CACHES and use != INSTRUCTIONS and mask & 1:
            yield Cache(level, nbytes, mask.bit_count())


def sysctl(*names: str) -> dict[str, str]:
    """What macOS tells."""
    done = subprocess.run(["sysctl", *names], capture_output=True, encoding="utf-8", timeout=SECONDS)
    return parsed(done.stdout)


def parsed(text: str) -> dict[str, str]:
    """Lines of `key: value`; of several with the same key the last."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
