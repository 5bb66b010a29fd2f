"""Matrix product of two matrices: out = a b."""

from functools import partial

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch


class MatMul(ArrayKernel):
    sets = ("d_a", "d_b")

    def forward(self, out: Array, a: Array, b: Array, *, scratch: Scratch) -> Run:
        return partial(np.matmul, a, b, out)

    def backward(
        self, d_a: Array | None, d_b: Array | None, d_out: Array, a: Array, b: Array, *, scratch: Scratch
    ) -> Run:
        a, b = a.T, b.T

        def run() -> None:
            if d_a is not None:
                np.matmul(d_out, b, out=d_a)
            if d_b is not None:
                np.matmul(a, d_out, out=d_b)

        return run
