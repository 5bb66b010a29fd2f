"""A region: one stretch of page-aligned memory that many values share."""

import mmap
import threading
from collections.abc import Iterable

from microgpt_core.components.buffer import Buffer, Shape
from microgpt_core.engine.value import Value
from microgpt_core.errors import DoesNotFitError

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class Region:
    """Memory that begins at a page and is zero at first.

    Replays hold `busy` while they run. `content` is whatever ran last: results of anything before are gone.
    `version` counts the times that it grew into new memory.
    """

    def __init__(self, nbytes: int = 1) -> None:
        self.busy, self.content, self.version = threading.Lock(), object(), 0
        self._memory = self._map(nbytes)

    @property
    def nbytes(self) -> int:
        return self._memory.nbytes

    def reserve(self, nbytes: int) -> None:
        """Make room for `nbytes`. Growing takes new memory; views of the old stay valid, and apart."""
        if nbytes > self.nbytes:
            self._memory, self.version = self._map(nbytes), self.version + 1

    def view(self, offset: int, shape: Shape, format: str, nbytes: int) -> Buffer:
        """A buffer over part of the region."""
        return part(self._memory, offset, shape, format, nbytes)

    @staticmethod
    def _map(nbytes: int) -> Buffer:
        try:
            return Buffer(mmap.mmap(-1, max(1, nbytes)))
        except (OSError, OverflowError) as error:
            found = f"{nbytes:,} bytes of memory could not be had ({error})"
            raise DoesNotFitError(f"{found}; make the model, the batch or the block size smaller") from None


def part(memory: Buffer, offset: int, shape: Shape, format: str, nbytes: int) -> Buffer:
    """A buffer over part of some bytes."""
    return Buffer(memory[offset : offset + nbytes]).cast(format, shape)


def allocate_together(values: Iterable[Value]) -> Region:
    """One region for these values, in their order, each aligned."""
    values = list(values)
    region = Region(sum(aligned(v.nbytes) for v in values))
    offset = 0
    for v in values:
        v.data = region.view(offset, v.shape, v.format, v.nbytes)
        offset += aligned(v.nbytes)
    return region
