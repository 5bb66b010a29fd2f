"""Number by number: the difference, the product, and the multiple."""

from functools import partial

import numpy as np

from microgpt_numpy.elementwise import Elementwise
from microgpt_numpy.kernel import Array, Run, Scratch, nothing


class Sub(Elementwise):
    sets = ("d_a", "d_b")

    def forward(self, out: Array, a: Array, b: Array, *, scratch: Scratch) -> Run:
        return partial(np.subtract, a, b, out)

    def backward(self, d_a: Array | None, d_b: Array | None, d_out: Array, *, scratch: Scratch) -> Run:
        def run() -> None:
            if d_a is not None:
                np.copyto(d_a, d_out)
            if d_b is not None:
                np.negative(d_out, out=d_b)

        return run


class Mul(Elementwise):
    sets = ("d_a", "d_b")

    def forward(self, out: Array, a: Array, b: Array, *, scratch: Scratch) -> Run:
        return partial(np.multiply, a, b, out)

    def backward(
        self, d_a: Array | None, d_b: Array | None, d_out: Array, a: Array, b: Array, *, scratch: Scratch
    ) -> Run:
        def run() -> None:
            if d_a is not None:
                np.multiply(d_out, b, out=d_a)
            if d_b is not None:
                np.multiply(d_out, a, out=d_b)

        return run


class Scale(Elementwise):
    sets = ("d_x",)

    def forward(self, out: Array, x: Array, *, factor: float, scratch: Scratch) -> Run:
        return partial(np.multiply, x, factor, out)

    def backward(self, d_x: Array | None, d_out: Array, *, factor: float, scratch: Scratch) -> Run:
        return nothing if d_x is None else partial(np.multiply, d_out, factor, d_x)
