"""The roof: how fast this machine can compute and move numbers at best. Made by `measure`, or given by hand."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

COMPUTE = "compute"  # what bounds a call that no level does
MEMORY = "memory"
STREAMS = ("read", "write", "copy", "triad")


@dataclass(frozen=True)
class Level:
    """A cache level, or memory. What it holds is for all threads together; rates are bytes a second."""

    name: str  # "L1", "L2", "L3" or "memory"
    nbytes: int | None  # None: it holds everything
    read: float
    write: float
    copy: float  # bytes read and bytes written, both counted
    measured_with: int = 0  # bytes in all; 0 where it wasn't measured
    triad: float = 0.0  # x = y + 3 z, two reads for each write; 0 where it wasn't measured

    @property
    def bandwidth(self) -> float:
        """The roof that it puts over a call, which reads what it computes with: the fastest that was seen and reads.

        Writes alone can go past the caches, to memory two or three times as fast as anything that has to be read.
        """
        return max(self.read, self.copy, self.triad)


@dataclass(frozen=True)
class Roof:
    """FLOP/s by precision, and the levels from the nearest to memory."""

    peaks: Mapping[str, float]
    levels: tuple[Level, ...]
    threads: int = 1
    by: str = "given"  # who measured it
    notes: tuple[str, ...] = ()

    def peak(self, precision: str = "float32") -> float:
        """Of a precision that wasn't measured, the peak of float32, in which it is then computed."""
        return self.peaks.get(precision, self.peaks["float32"])

    def level(self, nbytes: int) -> Level:
        """The smallest level that holds so many bytes."""
        return next(level for level in self.levels if level.nbytes is None or nbytes <= level.nbytes)

    def bound(self, flops: int, nbytes: int, touched: int, precision: str = "float32") -> tuple[float, str]:
        """The least seconds of a call, and what keeps it from being faster: `compute`, or the name of a level.

        It moves `nbytes`, of buffers that are `touched` bytes together.
        """
        level, computing = self.level(touched), flops / self.peak(precision)
        moving = nbytes / level.bandwidth
        return (computing, COMPUTE) if computing > moving else (moving, level.name)

    def ridge(self, level: Level, precision: str = "float32") -> float:
        """The FLOPs for each byte from which on the arithmetic takes longer than the bytes from this level."""
        return self.peak(precision) / level.bandwidth

    def best(self, other: Self) -> Self:
        """The same machine, measured twice: the higher number of each two."""
        peaks = {name: max(peak, other.peaks[name]) for name, peak in self.peaks.items()}
        levels = [
            replace(a, **{kind: max(getattr(a, kind), getattr(b, kind)) for kind in STREAMS})
            for a, b in zip(self.levels, other.levels, strict=True)
        ]
        return replace(self, peaks=peaks, levels=tuple(levels))

    def override(self, precision: str, flops: float | None = None, bandwidth: float | None = None) -> Self:
        """The same with another peak of a precision, and another bandwidth of memory."""
        given = " and ".join(w for w, x in (("the peak", flops), ("the bandwidth of memory", bandwidth)) if x)
        if not given:
            return self
        peaks = {**self.peaks, precision: flops} if flops else self.peaks
        *caches, memory = self.levels
        memory = Level(MEMORY, None, bandwidth, bandwidth, bandwidth) if bandwidth else memory
        notes = (*self.notes, f"{given} given on the command line")
        return replace(self, peaks=peaks, levels=(*caches, memory), notes=notes)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises TypeError or KeyError for what `to_dict` didn't write."""
        levels = tuple(Level(**level) for level in data["levels"])
        return cls(**{**data, "levels": levels, "notes": tuple(data["notes"])})


def given(precision: str, flops: float, bandwidth: float, threads: int = 1) -> Roof:
    """A roof of two numbers: no caches."""
    peaks = {"float32": flops, precision: flops}
    return Roof(
        peaks, (Level(MEMORY, None, bandwidth, bandwidth, bandwidth),), threads, "hand: both numbers were given"
    )
