"""Subtract number by number.

    out = a - b
    d_a += d_out            d_b -= d_out

Both have one shape.
"""

from math import prod
from operator import neg, sub

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, flat, write


class Sub(Op):
    def shapes(self, a: Shape, b: Shape) -> Shapes:
        self.expect("b", b, a)
        return {"out": a}

    def forward(self, out: Buffer, a: Buffer, b: Buffer) -> None:  # all of one shape
        write(out, list(map(sub, flat(a), flat(b))))

    def backward(self, d_a: Buffer | None, d_b: Buffer | None, d_out: Buffer) -> None:
        d = flat(d_out).tolist()
        if d_a is not None:
            accumulate(d_a, d)
        if d_b is not None:
            accumulate(d_b, list(map(neg, d)))

    def cost(self, a: Shape, b: Shape) -> Cost:
        """One subtraction per number, and one per number of each gradient."""
        return {"forward": prod(a), "d_a": prod(a), "d_b": prod(a)}
