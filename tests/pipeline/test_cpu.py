"""The processor, as each operating system tells of it: its name, features and caches."""

import struct
from pathlib import Path

import pytest

from microgpt_core.pipeline.runs import cpu
from microgpt_core.pipeline.runs.cpu import Cache, caches, cores, count, linux_caches, told_by_windows

CPUINFO = """processor\t: 0
model name\t: A Fast One @ 3 GHz
flags\t\t: fpu avx avx2 fma amx_tile

processor\t: 1
model name\t: A Fast One @ 3 GHz
flags\t\t: fpu avx avx2 fma amx_tile
"""
SYSCTL = (
    "machdep.cpu.brand_string: Apple M9\nhw.optional.neon: 1\nhw.optional.arm.FEAT_BF16: 1\nhw.optional.avx2_0: 0\n"
)
MACHINES = {
    "linux": (CPUINFO, "", ("A Fast One @ 3 GHz", ["avx", "avx2", "fma", "amx_tile"])),
    "linux on Arm": ("processor\t: 0\nFeatures\t: fp asimd sve\n", "", ("a-machine", ["asimd", "sve"])),
    "darwin": (None, SYSCTL, ("Apple M9", ["feat_bf16", "neon"])),
    "win32": (None, "", ("a-processor", [])),
}


def tells(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    """What `sysctl` prints."""
    monkeypatch.setattr(cpu.sys, "platform", "darwin")
    answer = type("Answer", (), {"stdout": told})
    monkeypatch.setattr(cpu.subprocess, "run", lambda *args, **options: answer)


@pytest.mark.parametrize("system", MACHINES)
def test_what_the_processor_can_do(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo, told, expected = MACHINES[system]
    file = tmp_path / "cpuinfo"
    if cpuinfo:
        file.write_text(cpuinfo, encoding="utf-8")
    tells(monkeypatch, told)
    monkeypatch.setattr(cpu, "CPUINFO", file)
    monkeypatch.setattr(cpu.sys, "platform", system.split()[0])
    monkeypatch.setattr(cpu.platform, "machine", lambda: "a-machine")
    monkeypatch.setattr(cpu.platform, "processor", lambda: "a-processor")
    assert cpu.cpu() == expected
    assert cpu.described() == f"{expected[0]}; {' '.join(expected[1])}"


def test_linux_tells_of_data_caches(tmp_path: Path) -> None:
    told = [("Data", "1", "48K", "0,64"), ("Instruction", "1", "32K", "0"), ("Unified", "3", "2M", "0-3,8-11")]
    for i, (kind, level, size, shared) in enumerate(told):
        (tmp_path / f"index{i}").mkdir()
        facts = {"type": kind, "level": level, "size": size, "shared_cpu_list": shared}
        for name, text in facts.items():
            (tmp_path / f"index{i}" / name).write_text(text + "\n", encoding="ascii")
    assert sorted(linux_caches(tmp_path), key=lambda c: c.level) == [Cache(1, 48 << 10, 2), Cache(3, 2 << 20, 8)]


@pytest.mark.parametrize(("ranges", "n"), [("0", 1), ("0-3", 4), ("0-1,4-5", 4), ("0,64", 2)])
def test_processors_are_counted(ranges: str, n: int) -> None:
    assert count(ranges) == n


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (  # two kinds of cores: those of the fast ones
            "hw.ncpu: 8\nhw.l1dcachesize: 65536\nhw.perflevel0.l1dcachesize: 131072\n"
            "hw.perflevel0.l2cachesize: 12582912\nhw.perflevel0.cpusperl2: 4\n",
            [Cache(1, 131072), Cache(2, 12582912, 4)],
        ),
        (
            "hw.ncpu: 4\nhw.l1dcachesize: 32768\nhw.l2cachesize: 262144\nhw.l3cachesize: 6291456\n",
            [Cache(1, 32768), Cache(2, 262144), Cache(3, 6291456, 4)],
        ),
        ("", []),
    ],
)
def test_a_mac_tells_of_its_caches(told: str, expected: list[Cache], monkeypatch: pytest.MonkeyPatch) -> None:
    tells(monkeypatch, told)
    assert caches() == expected


@pytest.mark.skipif(struct.calcsize("P") != 8, reason="the entries of a 64-bit Windows")
def test_windows_tells_of_data_caches() -> None:
    form = "=Qi4xBBHIi4x"  # mask, relationship; level, associativity, line, size, kind
    told = b"".join(
        struct.pack(form, *entry)
        for entry in [
            (0b11, 2, 1, 8, 64, 32768, 2),  # data
            (0b11, 2, 1, 8, 64, 32768, 1),  # instructions
            (0b1100, 2, 1, 8, 64, 32768, 2),  # another core's
            (0b1111, 2, 3, 16, 64, 1 << 23, 0),
            (0b11, 0, 0, 0, 0, 0, 0),  # a core
        ]
    )
    assert list(told_by_windows(told)) == [Cache(1, 32768, 2), Cache(3, 1 << 23, 4)]


def test_this_machine_tells_nearest_first() -> None:
    found = caches()
    assert found == sorted(found, key=lambda c: c.level)
    assert all(a.nbytes < b.nbytes for a, b in zip(found, found[1:]))
    assert cores() >= 1
