"""A batch: the numbers of one step, and the three ways to lay documents out in it.

Every function here takes rows of ids, `n + 1` of them for `n` positions: each id but the last is a token,
and its target is the id after it.
"""

from array import array
from collections.abc import Iterator, Sequence
from math import ceil
from typing import NamedTuple, Protocol, TypeAlias, overload

from microgpt_core.components.text import IGNORED

Ids: TypeAlias = Sequence[int]
Numbers: TypeAlias = "array[int]"  # of type code i: int32

PADDING = 0  # the token under an ignored target: any id will do


class Batch(NamedTuple):
    """What the model reads, what it should say, and where each token stands in its document."""

    tokens: Numbers  # (B, T), row-major, as are the next two
    targets: Numbers
    positions: Numbers
    shape: tuple[int, int]
    n_targets: int  # those that aren't IGNORED


class BatchSource(Protocol):
    """Where a training has its batches from."""

    seed: int
    per_epoch: float  # batches that show every document once; infinity where nobody knows

    def batch(self, step: int) -> Batch:
        """The batch of a step, whichever were asked for before."""
        ...


def padded(rows: Sequence[Ids]) -> Batch:
    """A document a row, shorter rows padded on the right to the longest."""
    n_targets = sum(len(ids) - 1 for ids in rows)
    width = max(len(ids) for ids in rows) - 1
    tokens, targets, positions = array("i"), array("i"), array("i")
    for ids in rows:
        fill = width - (len(ids) - 1)
        tokens.extend([*ids[:-1], *[PADDING] * fill])
        targets.extend([*ids[1:], *[IGNORED] * fill])
        positions.extend(range(width))
    return Batch(tokens, targets, positions, (len(rows), width), n_targets)


def packed(rows: Sequence[Ids], width: int) -> Batch:
    """All documents in one row, each with positions from 0, so that each sees only itself.

    What is left of the row is padding at position 0: every padding token is a document of its own.
    """
    n_targets = sum(len(ids) - 1 for ids in rows)
    fill = width - n_targets
    tokens, targets, positions = array("i"), array("i"), array("i")
    for ids in rows:
        tokens.extend(ids[:-1])
        targets.extend(ids[1:])
        positions.extend(range(len(ids) - 1))
    tokens.extend([PADDING] * fill)
    targets.extend([IGNORED] * fill)
    positions.extend([0] * fill)
    return Batch(tokens, targets, positions, (1, width), n_targets)


def windows(stream: Ids, starts: Sequence[int], width: int) -> Batch:
    """A window of the stream a row, wherever documents begin and end."""
    tokens, targets, positions = array("i"), array("i"), array("i")
    for start in starts:
        tokens.extend(array("i", stream[start : start + width]))  # of a file: two bytes each, perhaps
        targets.extend(array("i", stream[start + 1 : start + width + 1]))
        positions.extend(range(width))
    return Batch(tokens, targets, positions, (len(starts), width), len(starts) * width)


class Windows(Sequence[Batch]):
    """The whole stream in windows that don't overlap, `batch_size` of them at once; each batch is made when asked for.

    What is left at the end is a shorter window, in a batch of its own.
    """

    def __init__(self, stream: Ids, batch_size: int, block_size: int) -> None:
        self.stream, self.batch_size, self.block_size = stream, batch_size, block_size
        self.n_targets = len(stream) - 1
        self.whole = ceil(self.n_targets // block_size / batch_size)  # batches of whole windows

    def __len__(self) -> int:
        return self.whole + (self.n_targets % self.block_size > 0)

    @overload
    def __getitem__(self, i: int) -> Batch: ...
    @overload
    def __getitem__(self, i: slice) -> list[Batch]: ...
    def __getitem__(self, i: int | slice) -> Batch | list[Batch]:
        if isinstance(i, slice):
            return [self[j] for j in range(len(self))[i]]
        i = range(len(self))[i]
        if i == self.whole:
            rest = self.n_targets % self.block_size
            return windows(self.stream, [self.n_targets - rest], rest)
        starts = range(0, self.n_targets - self.block_size + 1, self.block_size)
        return windows(self.stream, starts[i * self.batch_size : (i + 1) * self.batch_size], self.block_size)


def packs(lengths: Sequence[int], width: int) -> Iterator[range]:
    """Which documents share a row: consecutive ones, as many as fit into `width` positions."""
    start, used = 0, 0
    for i, length in enumerate(lengths):
        if used + length > width:
            yield range(start, i)
            start, used = i, 0
        used += length
    yield range(start, len(lengths))
