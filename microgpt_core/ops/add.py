"""Add number by number; where b lacks leading axes, it is added to each part of a.

    out = a + b
    d_a += d_out            d_b += d_out, summed over the axes that b lacks

That is all the broadcasting there is: enough for positions (T, C) beside tokens (B, T, C).
"""

from itertools import cycle
from math import prod
from operator import add

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, columns, flat, show_shape, write
from microgpt_core.errors import ShapeError


class Add(Op):
    def shapes(self, a: Shape, b: Shape) -> Shapes:
        if b != a[len(a) - len(b) :]:
            raise ShapeError(f"add: b has shape {show_shape(b)}, expected {show_shape(a)} or its last axes")
        return {"out": a}

    def forward(self, out: Buffer, a: Buffer, b: Buffer) -> None:  # out and a (..., *S), b (*S)
        write(out, list(map(add, flat(a), cycle(flat(b)))))

    def backward(self, d_a: Buffer | None, d_b: Buffer | None, d_out: Buffer) -> None:
        d = flat(d_out).tolist()
        if d_a is not None:
            accumulate(d_a, d)
        if d_b is not None:
            n = len(flat(d_b))
            parts = [d[start : start + n] for start in range(0, len(d), n)]
            accumulate(d_b, parts[0] if len(parts) == 1 else list(map(sum, columns(parts))))

    def cost(self, a: Shape, b: Shape) -> Cost:
        """One addition per number of a, and one per number of each gradient."""
        return {"forward": prod(a), "d_a": prod(a), "d_b": prod(a)}
