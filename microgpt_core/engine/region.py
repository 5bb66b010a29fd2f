"""A region: one stretch of page-aligned memory that many values share."""

import mmap
from collections.abc import Iterable

from microgpt_core.components.buffer import Buffer, Shape
from microgpt_core.engine.value import Value
from microgpt_core.errors import DoesNotFitError

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class Region:
    """Memory that begins at a page and is zero at first. It counts the replays that overwrote it."""

    def __init__(self, nbytes: int = 1) -> None:
        self.serial, self.busy = 0, False
        self._memory = self._map(nbytes)

    @property
    def nbytes(self) -> int:
        return self._memory.nbytes

    def reserve(self, nbytes: int) -> None:
        """Make room for `nbytes`. Growing takes new memory; views of the old stay valid, and apart."""
        if nbytes > self.nbytes:
            self._memory = self._map(nbytes)

    def view(self, offset: int, shape: Shape, format: str, nbytes: int) -> Buffer:
        """A buffer over part of the region."""
        return self._memory[offset : offset + nbytes].cast(format, shape)  # type: ignore[call-overload, no-any-return]

    @staticmethod
    def _map(nbytes: int) -> memoryview:
        try:
            return memoryview(mmap.mmap(-1, max(1, nbytes)))
        except (OSError, OverflowError) as error:
            raise DoesNotFitError(f"{nbytes:,} bytes of memory could not be had ({error}); make the model smaller") from None


def allocate_together(values: Iterable[Value]) -> Region:
    """One region for these values, in their order, each aligned."""
    values = list(values)
    region = Region(sum(aligned(v.nbytes) for v in values))
    offset = 0
    for v in values:
        v.data = region.view(offset, v.shape, v.format, v.nbytes)
        offset += aligned(v.nbytes)
    return region
