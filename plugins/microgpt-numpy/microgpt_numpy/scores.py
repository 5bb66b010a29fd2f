"""The scores of attention: which rows of k a row of q sees, and what it thinks of them, a piece at a time."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from microgpt_numpy.kernel import Array, Run, Scratch

MOST = 1 << 17  # scores in a piece, unless one row of q has more: 512 KiB in float32

Piece: TypeAlias = tuple[slice, slice, slice]  # of sequences, rows of q, rows of k


def pieces(q: Array, k: Array, start: Array | None, n_head: int, window: int | None) -> Iterator[Piece]:
    """As many rows of q at a time as have MOST scores, so that memory grows with the length, not with its square."""
    n_batch, length, room = *q.shape[:2], k.shape[1]
    size = max(1, MOST // (n_head * room))
    for b in range(0, n_batch, max(1, size // length)):
        for t in range(0, length, size):
            first, last = 0, room
            if start is None:  # row t of q stands at row t of k
                first, last = max(0, t + 1 - (window or t + 1)), min(t + size, length)
            yield slice(b, b + max(1, size // length)), slice(t, t + size), slice(first, last)


class Sight:
    """The first and the last row of k that each row of q sees. `read` takes them from the inputs of a run."""

    def __init__(
        self, q: Array, k: Array, positions: Array | None, start: Array | None, window: int | None, scratch: Scratch
    ) -> None:
        self.positions, self.window, self.free = positions, window, k.shape[1] - q.shape[1]
        self.start = None if start is None else start[:, None]
        self.rows = np.arange(q.shape[1], dtype=np.int32)
        self.first, self.last, self.oldest = (scratch.array(q.shape[:2], np.int32) for _ in range(3))

    def read(self) -> bool:
        """Whether every row stands in k, and every document in its sequence."""
        np.add(self.rows, 0 if self.start is None else self.start, out=self.last)
        np.subtract(self.last, self.last if self.positions is None else self.positions, out=self.first)
        possible = self.first.min() >= 0 and (self.positions is None or self.positions.min() >= 0)
        if self.start is not None:
            possible &= self.start.min() >= 0 and self.start.max() <= self.free
        if self.window is not None:
            np.subtract(self.last, self.window - 1, out=self.oldest)
            np.maximum(self.first, self.oldest, out=self.first)
        return bool(possible)

    def hide(self, scores: Array, piece: Piece, scratch: Scratch) -> Run:
        """What turns the scores (b, ., ., t, s) that aren't to be seen into -inf."""
        b, t, s = piece
        keys, first, last = np.arange(s.start, s.stop, dtype=np.int32), self.first[b, t, None], self.last[b, t, None]
        hidden, behind = (scratch.array((*first.shape[:2], len(keys)), np.bool_) for _ in range(2))
        for_all_heads = hidden[:, None, None]

        def run() -> None:
            np.greater(keys, last, out=hidden)
            np.less(keys, first, out=behind)
            np.logical_or(hidden, behind, out=hidden)
            np.copyto(scores, -np.inf, where=for_all_heads)

        return run


class Scores:
    """The scaled q k^T of a piece; `compute` writes them into `p`."""

    def __init__(self, q: Array, k: Array, sight: Sight, piece: Piece, scratch: Scratch) -> None:
        self.q, self.k, self.scale = q, k.swapaxes(-1, -2), q.shape[-1] ** -0.5
        self.scaled = scratch.like(q)
        self.p = scratch.array((*q.shape[:-1], k.shape[-2]), q.dtype)
        self.hide = sight.hide(self.p, piece, scratch)

    def compute(self) -> None:
        np.multiply(self.q, self.scale, out=self.scaled)
        np.matmul(self.scaled, self.k, out=self.p)
        self.hide()
