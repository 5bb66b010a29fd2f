"""Embedding: look up a row for every id; backward adds rows of one id up before it touches the table."""

from itertools import groupby

import numpy as np

from microgpt_core import ops
from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, nothing, reference, rows


class Embedding(ArrayKernel):
    def forward(self, out: Array, ids: Array, weight: Array, *, scratch: Scratch) -> Run:
        refuse = reference(ops.embedding.forward, out, ids, weight)
        unsigned, index = ids.view(np.uint32), scratch.array(ids.shape, np.intp)  # -1 is 2^32 - 1

        def run() -> None:
            if np.maximum.reduce(unsigned, axis=None) >= len(weight):
                refuse()  # raises DataError
            np.copyto(index, ids)
            np.take(weight, index, axis=0, out=out, mode="clip")  # another mode would take through a copy

        return run

    def backward(self, d_weight: Array | None, d_out: Array, ids: Array, *, scratch: Scratch) -> Run:
        """Only the rows looked up are touched, so d_weight isn't in `sets`: it is added to here.

        np.add.at would add row by row, out of order in memory. How many rows an id has is up to the data: their views
        are the only ones in this backend that are made in a run.
        """
        if d_weight is None:
            return nothing
        table, d, flat, numbers = d_weight, rows(d_out), ids.reshape(-1), np.arange(ids.size)
        known, order = scratch.like(numbers), scratch.like(numbers)
        ordered, total = scratch.like(d), scratch.array(d.shape[1:], d.dtype)

        def run() -> None:
            np.copyto(known, flat)
            np.multiply(known, len(flat), out=known)
            np.add(known, numbers, out=known)
            known.sort()  # by id, then by place: sums have one order
            np.remainder(known, len(flat), out=order)
            np.floor_divide(known, len(flat), out=known)
            np.take(d, order, axis=0, out=ordered, mode="clip")
            low = 0
            for i, same in groupby(known.tolist()):
                high = low + len(list(same))
                np.add.reduce(ordered[low:high], axis=0, out=total)
                np.add(table[i], total, out=table[i])
                low = high

        return run
