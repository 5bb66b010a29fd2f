"""Multiply number by number: out = a * b.

    d_a += d_out * b        d_b += d_out * a
"""

from math import prod
from operator import mul

from microgpt_core.components import Op, accumulate, flat, write


class Mul(Op):
    def shapes(self, a, b):
        self.expect("b", b, a)
        return {"out": a}

    def forward(self, out, a, b):  # all of one shape
        write(out, list(map(mul, flat(a), flat(b))))

    def backward(self, d_a, d_b, d_out, a, b):
        d = flat(d_out).tolist()
        if d_a is not None:
            accumulate(d_a, list(map(mul, d, flat(b))))
        if d_b is not None:
            accumulate(d_b, list(map(mul, d, flat(a))))

    def cost(self, a, b):
        """One multiplication per number; a multiply-add per number of each gradient."""
        return {"forward": prod(a), "d_a": 2 * prod(a), "d_b": 2 * prod(a)}
