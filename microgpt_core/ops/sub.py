"""Subtract: out = a - b.

    d_a += d_out            d_b -= d_out
"""

from math import prod
from operator import neg, sub

from microgpt_core.components import Op, accumulate, flat, write


class Sub(Op):
    def shapes(self, a, b):
        self.expect("b", b, a)
        return {"out": a}

    def forward(self, out, a, b):  # all of one shape
        write(out, list(map(sub, flat(a), flat(b))))

    def backward(self, d_a, d_b, d_out):
        d = flat(d_out).tolist()
        if d_a is not None:
            accumulate(d_a, d)
        if d_b is not None:
            accumulate(d_b, list(map(neg, d)))

    def cost(self, a, b):
        """One subtraction per number, and one per number of each gradient."""
        return {"forward": prod(a), "d_a": prod(a), "d_b": prod(a)}
