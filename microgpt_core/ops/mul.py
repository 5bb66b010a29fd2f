"""Multiply number by number.

    out = a * b
    d_a += d_out * b        d_b += d_out * a

Both have one shape; a factor fixed in the plan is `scale`.
"""

from math import prod
from operator import mul

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, flat, write


class Mul(Op):
    def shapes(self, a: Shape, b: Shape) -> Shapes:
        self.expect("b", b, a)
        return {"out": a}

    def forward(self, out: Buffer, a: Buffer, b: Buffer) -> None:  # all of one shape
        write(out, list(map(mul, flat(a), flat(b))))

    def backward(self, d_a: Buffer | None, d_b: Buffer | None, d_out: Buffer, a: Buffer, b: Buffer) -> None:
        d = flat(d_out).tolist()
        if d_a is not None:
            accumulate(d_a, list(map(mul, d, flat(b))))
        if d_b is not None:
            accumulate(d_b, list(map(mul, d, flat(a))))

    def cost(self, a: Shape, b: Shape) -> Cost:
        """One multiplication per number; a multiply-add per number of each gradient."""
        return {"forward": prod(a), "d_a": 2 * prod(a), "d_b": 2 * prod(a)}
