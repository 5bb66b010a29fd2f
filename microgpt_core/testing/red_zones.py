"""Red zones: buffers side by side in one region, with bytes before and after each that nobody may write or read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from microgpt_core.components import Buffer
from microgpt_core.engine.region import ALIGNMENT, Region, aligned

WRITES, READS = 0xA5, 0xFF  # a number so small that it changes no sum; NaN, which shows in whatever read it


@dataclass
class Guarded:
    """Copies of buffers between red zones; what was one buffer under two names is one again."""

    buffers: dict[str, Buffer | None]
    zones: list[tuple[str, Buffer]]
    clean: bytes

    def spilled(self) -> Iterator[str]:
        """Where something was written: `after x`."""
        return (place for place, zone in self.zones if zone.tobytes() != self.clean)


def guard(buffers: dict[str, Buffer | None], fill: int = WRITES, shift: int = 0) -> Guarded:
    """Copy buffers between red zones full of `fill`, each `shift` numbers after an aligned address (bytes: at it)."""
    distinct = {id(b): (n, b) for n, b in buffers.items() if b is not None}
    room = sum(aligned(b.nbytes + shift * b.itemsize) + 2 * ALIGNMENT for _, b in distinct.values())
    region, offset, made, zones = Region(room), 0, dict[int, Buffer](), list[tuple[str, Buffer]]()
    whole = region.view(0, (room,), "B", room)
    whole[:] = bytes([fill]) * room
    for key, (name, b) in distinct.items():
        start = offset + ALIGNMENT + (shift * b.itemsize if b.format != "B" else 0)
        end = start + b.nbytes
        offset = aligned(end) + ALIGNMENT
        made[key] = region.view(start, b.shape, b.format, b.nbytes)
        made[key].cast("B")[:] = b.cast("B")
        zones.append((f"before {name}", whole[start - ALIGNMENT : start]))
        zones.append((f"after {name}", whole[end : end + ALIGNMENT]))
    copies = {n: None if b is None else made[id(b)] for n, b in buffers.items()}
    return Guarded(copies, zones, bytes([fill]) * ALIGNMENT)
