"""Embedding: look up a row for every id.

    out[t] = weight[ids[t]]                 d_weight[ids[t]] += d_out[t]

A row that was looked up twice gets both gradients; a row that wasn't keeps a gradient of zero.
"""

from math import prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, flat, rows
from microgpt_core.errors import DataError


class Embedding(Op):
    integers = ("ids",)

    def shapes(self, ids: Shape, weight: Shape) -> Shapes:
        self.expect("weight", weight, ("rows", "n_embd"))
        return {"out": (*ids, weight[1])}

    def forward(self, out: Buffer, ids: Buffer, weight: Buffer) -> None:  # out (..., C), ids (...), weight (V, C)
        table = rows(weight)
        for out_row, i in zip(rows(out), checked_ids(ids, len(table))):
            out_row[:] = table[i]

    def backward(self, d_weight: Buffer | None, d_out: Buffer, ids: Buffer) -> None:
        if d_weight is None:
            return
        table = rows(d_weight)
        for d, i in zip(rows(d_out), flat(ids).tolist()):
            accumulate(table[i], d)

    def cost(self, ids: Shape, weight: Shape) -> Cost:
        """Forward copies; backward adds one number per number of the output. Only the rows looked up are touched."""
        n = prod(ids) * weight[1]
        return {"forward": 0, "backward": n, "touched": {"weight": n}}


def checked_ids(ids: Buffer, size: int) -> list[int]:
    """The ids as a list. Raises DataError, before any row is read, for one outside range(size)."""
    numbers = flat(ids).tolist()
    if min(numbers) < 0 or max(numbers) >= size:
        at, bad = next((at, i) for at, i in enumerate(numbers) if not 0 <= i < size)
        raise DataError(
            f"embedding: id {bad} at index {at} is outside the table of {size} rows (allowed: 0 to {size - 1})"
        )
    return numbers
