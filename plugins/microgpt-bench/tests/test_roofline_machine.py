"""Measuring the machine: caches as each system tells of them, the best of repeats by a fake clock, beside others."""

import ctypes
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Self

import numpy as np
import pytest

from microgpt_bench.candidate import Candidate
from microgpt_bench.roofline import kept
from microgpt_bench.roofline.caches import Cache, Entry, caches, count, linux_caches, mac_caches, told_by_windows
from microgpt_bench.roofline.measure import MEMORY_BYTES, best, measure, places
from microgpt_bench.roofline.microkernels import Array, Compute, NumPyKernels, Pass, Stream
from microgpt_bench.roofline.roof import Level, Roof, given
from microgpt_bench.work import roof as work
from microgpt_core.components import Backend

LEVELS = (
    Level("L1", 32 << 10, 200e9, 100e9, 90e9, 1),
    Level("L2", 1 << 20, 80e9, 90e9, 100e9, 1),
    Level("memory", None, 20e9, 10e9, 15e9, 1),
)
ROOF = Roof({"float32": 100e9, "float64": 50e9}, LEVELS)


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
            [Cache(1, 131072), Cache(2, 12582912, 4), Cache(3, 0, 8)],
        ),
        (
            "hw.ncpu: 4\nhw.l1dcachesize: 32768\nhw.l2cachesize: 262144\nhw.l3cachesize: 6291456\n",
            [Cache(1, 32768), Cache(2, 262144), Cache(3, 6291456, 4)],
        ),
    ],
)
def test_a_mac_tells_of_its_caches(told: str, expected: list[Cache]) -> None:
    assert list(mac_caches(told)) == expected


@pytest.mark.skipif(struct.calcsize("P") != 8, reason="the entries of a 64-bit Windows")
def test_windows_tells_of_data_caches() -> None:
    form = "=Qi4xBBHIi4x"  # mask, relationship; level, associativity, line, size, kind
    raw = b"".join(
        struct.pack(form, *entry)
        for entry in [
            (0b11, 2, 1, 8, 64, 32768, 2),  # data
            (0b11, 2, 1, 8, 64, 32768, 1),  # instructions
            (0b1100, 2, 1, 8, 64, 32768, 2),  # another core's
            (0b1111, 2, 3, 16, 64, 1 << 23, 0),
            (0b11, 0, 0, 0, 0, 0, 0),  # a core
        ]
    )
    entries = (Entry * 5).from_buffer_copy(raw)
    assert ctypes.sizeof(Entry) == 32
    assert list(told_by_windows(entries)) == [Cache(1, 32768, 2), Cache(3, 1 << 23, 4)]


def test_this_machine_tells_nearest_first() -> None:
    found = caches()
    assert found == sorted(found, key=lambda c: c.level)
    assert all(a.nbytes < b.nbytes for a, b in zip(found, found[1:]))


@pytest.mark.parametrize(
    ("threads", "holds", "buffers"),
    [
        (1, [32 << 10, 8 << 20, None], [16 << 10, 4 << 20, 1 << 30]),
        (2, [64 << 10, 8 << 20, None], [16 << 10, 2 << 20, 1 << 29]),
        (8, [256 << 10, 16 << 20, None], [16 << 10, 1 << 20, 1 << 27]),
    ],
)
def test_a_buffer_is_half_of_a_threads_share(threads: int, holds: list[int | None], buffers: list[int]) -> None:
    found = list(places([Cache(1, 32 << 10), Cache(3, 8 << 20, 4)], threads, 1 << 30))
    assert [(name, size, nbytes) for name, size, nbytes in found] == list(zip(["L1", "L3", "memory"], holds, buffers))


class Fake:
    """A pack's micro-kernels on a machine whose clock is this object: 3 GFLOP/s and so many bytes a second."""

    name = "fake 1.0"

    def __init__(self, disturbed: Sequence[int] = ()) -> None:
        self.now, self.calls, self.disturbed = 0.0, 0, disturbed
        self.computing: Mapping[str, Sequence[Compute]] = {
            "float32": [self.compute(1e9), self.compute(3e9)],
            "float64": [self.compute(2e9)],
            "bfloat16": [self.compute(6e9)],
        }
        self.streams: Mapping[str, Sequence[Stream]] = {
            "read": [self.stream(4e9), self.stream(8e9)], "write": [self.stream(2e9)], "copy": [self.stream(5e9)]
        }  # fmt: skip

    def clock(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.calls += 1
        self.now += seconds * (3 if self.calls % 4 in self.disturbed else 1)

    def compute(self, flops: float) -> Compute:
        def run() -> int:
            self.spend(1000 / flops)
            return 1000

        return run

    def stream(self, rate: float) -> Stream:
        def make(data: Array, times: int) -> Pass:
            return lambda: self.spend(data.nbytes * times / rate)

        return make

    def measure(self) -> Roof:
        return measure(1, self, 1e-5, levels=[Cache(1, 32 << 10)], memory_bytes=1 << 20, clock=self.clock)


@pytest.mark.parametrize("disturbed", [(), (1, 2), (0, 2, 3)])
def test_the_best_of_many_repeats_of_the_fastest_way_counts(disturbed: Sequence[int]) -> None:
    found = Fake(disturbed).measure()
    assert {name: round(peak) for name, peak in found.peaks.items()} == {
        "float32": 3e9,
        "float64": 2e9,
        "bfloat16": 6e9,
    }
    for level, name, holds in zip(found.levels, ("L1", "memory"), (32 << 10, None), strict=True):
        assert (level.name, level.nbytes) == (name, holds)
        assert (level.read, level.write, level.copy) == pytest.approx((8e9, 2e9, 5e9))
        assert level.bandwidth == level.read


def test_planted_a_clock_that_is_always_disturbed() -> None:
    assert Fake((0, 1, 2, 3)).measure().peak() == pytest.approx(1e9)


def test_a_native_pack_comes_first_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()

    class Simd(Backend):
        name, priority = "simd", 9

        def microkernels(self, threads: int) -> Fake:
            return fake

    class Registry:
        def names(self, kind: str) -> list[str]:
            return ["plain", "simd"]

        def get(self, kind: str, name: str) -> Callable[[], Backend]:
            return {"plain": Backend, "simd": Simd}[name]

    monkeypatch.setattr(work, "load", lambda core: Registry())
    assert work.native_kernels(1) is fake
    assert fake.measure().by.startswith("fake 1.0")
    monkeypatch.setattr(Simd, "unavailable", lambda self: "no such processor")
    assert work.native_kernels(1) is None


def test_a_machine_with_little_memory_says_so() -> None:
    fake = Fake()
    assert "memory measured with 1.0 MB only" in " ".join(fake.measure().notes)
    no_caches = measure(1, fake, 1e-5, levels=[], memory_bytes=MEMORY_BYTES // 10**4, clock=fake.clock)
    assert any("doesn't say how large" in note for note in no_caches.notes)


def test_every_stream_of_numpy_goes_through_its_buffer() -> None:
    data = np.arange(256, dtype=np.float32).view(np.uint8)
    for kind, ways in NumPyKernels().streams.items():
        for make in ways:
            buffer = data.copy()
            make(buffer, 3)()
            if kind == "read":
                assert (buffer == data).all()
            elif kind == "copy":
                assert (buffer[:512] == data[512:]).all()
                assert (buffer[512:] == data[512:]).all()
            else:
                assert (buffer.view(np.float32) == 1.0).all()


@pytest.mark.parametrize(("flops", "nbytes", "touched", "seconds", "bound"), [
    (1000, 40, 40, 1e-8, "compute"),
    (1000, 4000, 4000, 2e-8, "L1"),
    (1000, 4000, 100_000, 4e-8, "L2"),
    (1000, 4000, 10_000_000, 2e-7, "memory"),
    (0, 4, 4, 2e-11, "L1"),
])  # fmt: skip
def test_the_least_time_and_its_bound(flops: int, nbytes: int, touched: int, seconds: float, bound: str) -> None:
    assert ROOF.bound(flops, nbytes, touched) == (pytest.approx(seconds), bound)


def test_a_precision_that_was_not_measured_has_the_roof_of_float32() -> None:
    assert ROOF.peak("bfloat16") == 100e9
    assert ROOF.bound(1000, 8, 8, "float64")[0] == pytest.approx(2e-8)


def test_numbers_given_by_hand() -> None:
    by_hand = given("float32", 1e12, 5e10)
    assert by_hand.bound(1000, 100, 100) == (pytest.approx(2e-9), "memory")
    changed = ROOF.override("float32", 1e12, 5e10)
    assert (changed.peak(), changed.peak("float64"), changed.levels[:2]) == (1e12, 50e9, LEVELS[:2])
    assert changed.levels[-1].bandwidth == 5e10
    assert "given on the command line" in changed.notes[-1]
    assert ROOF.override("float32") is ROOF


def test_of_two_measurements_each_better_number_counts() -> None:
    other = Roof({"float32": 90e9, "float64": 60e9}, (Level("L1", 32 << 10, 1e9, 300e9, 1e9, 1), *LEVELS[1:]))
    both = ROOF.best(other)
    assert both == other.best(ROOF)
    assert both.peaks == {"float32": 100e9, "float64": 60e9}
    assert both.levels[0] == Level("L1", 32 << 10, 200e9, 300e9, 90e9, 1)


def test_a_roof_survives_json() -> None:
    assert Roof.from_dict(json.loads(json.dumps(ROOF.to_dict()))) == ROOF


def test_a_machine_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path))
    measured: list[int] = []
    monkeypatch.setattr(kept, "measured_elsewhere", lambda threads: measured.append(threads) or ROOF)
    said: list[str] = []
    for again in (False, False, True):
        assert kept.roof_of_machine(1, again, said.append) == ROOF
    assert kept.roof_of_machine(2) == ROOF
    assert (measured, len(said)) == ([1, 1, 2], 2)
    (tmp_path / "boot").write_text("another start\n", encoding="ascii")
    monkeypatch.setattr(kept, "BOOT", tmp_path / "boot")
    kept.roof_of_machine(1)
    kept.place(1).write_text("{", encoding="utf-8")  # damaged
    kept.roof_of_machine(1)
    kept.place(1).write_text('{"peaks": {}, "levels": [], "old": 1, "notes": []}', encoding="utf-8")
    kept.roof_of_machine(1)
    assert measured == [1, 1, 2, 1, 1, 1]


def test_a_system_that_names_no_start_is_measured_every_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tomorrow(date):
        @classmethod
        def today(cls) -> Self:
            return cls.fromordinal(date.today().toordinal() + 1)

    monkeypatch.setattr(kept, "BOOT", tmp_path / "no such file")
    today = kept.place(1)
    monkeypatch.setattr(kept, "date", Tomorrow)
    assert kept.place(1) != today
    (tmp_path / "boot").write_text("a start\n", encoding="ascii")
    monkeypatch.setattr(kept, "BOOT", tmp_path / "boot")
    started = kept.place(1)
    monkeypatch.setattr(kept, "date", date)
    assert kept.place(1) == started


@pytest.mark.slow
def test_the_worker_measures_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work itself, with a measurement that is short; `kept` starts it in a process."""
    monkeypatch.setattr(work, "measure", lambda threads, native: measure(threads, native, 1e-4, memory_bytes=1 << 22))
    monkeypatch.setattr(NumPyKernels, "SIZES", (64,))
    machine = work.Machine(Candidate("roof", threads=2))
    machine.run(1)
    found = Roof.from_dict(machine.facts()["roof"])
    assert found.threads == 2
    assert found.by.startswith("NumPy 2")
    assert found.levels[-1].nbytes is None
    assert all(rate > 0 for level in found.levels for rate in (level.read, level.write, level.copy))


NEAR = 0.1
ROUNDS = 200  # each as short as can be: quiet moments are


def agrees(ours: Callable[[], float], theirs: Callable[[], float], rounds: int = ROUNDS) -> bool:
    """Whether the best of two measurements come within a tenth of each other. They take turns, since both need a quiet
    moment of the machine."""
    a = b = 0.0
    for _ in range(rounds):
        a, b = max(a, ours()), max(b, theirs())
        if abs(a - b) < NEAR * max(a, b):
            return True
    return False


def other_product() -> float:
    """FLOP/s of BLAS by another function on another shape: tall times wide, as `linear` has them."""
    a, b, out = np.ones((1024, 384), "f"), np.ones((384, 256), "f"), np.empty((1024, 256), "f")
    seconds = best(lambda: np.dot(a, b, out=out), 0.01, perf_counter)
    return 2 * 1024 * 384 * 256 / seconds


def other_copy(nbytes: int) -> float:
    """Bytes a second of plain copies by Python alone. Buffers are new each time: where they lie matters, too."""
    source, target = (memoryview(np.ones(nbytes // 2, np.uint8)) for _ in range(2))

    def run() -> None:
        target[:] = source

    return nbytes / best(run, 0.01, perf_counter)


def own_product() -> float:
    kernels = NumPyKernels()
    runs = kernels.computing["float32"][:3]
    return max(run() / best(run, 0.02, perf_counter) for run in runs)


def own_copy(nbytes: int) -> float:
    (make,) = NumPyKernels().streams["copy"]
    return nbytes / best(make(np.ones(nbytes, np.uint8), 1), 0.01, perf_counter)


@pytest.mark.long
def test_the_measured_peak_agrees_with_other_products() -> None:
    assert agrees(own_product, other_product)


@pytest.mark.long
@pytest.mark.parametrize("nbytes", [1 << 19, 1 << 23, 1 << 27])
def test_the_measured_bandwidth_agrees_with_plain_copies(nbytes: int) -> None:
    assert agrees(lambda: own_copy(nbytes), lambda: other_copy(nbytes))


@pytest.mark.long
def test_planted_a_peak_that_counts_twice_does_not_agree() -> None:
    assert not agrees(lambda: 2 * own_product(), other_product, rounds=5)
