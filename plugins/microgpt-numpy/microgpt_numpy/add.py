"""Add: out = a + b, where b may lack leading axes."""

from functools import partial

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch


class Add(ArrayKernel):
    sets = ("d_a", "d_b")

    def forward(self, out: Array, a: Array, b: Array, *, scratch: Scratch) -> Run:
        parts = (-1, b.size)  # a row for each time that b is added
        return partial(np.add, a.reshape(parts), b.reshape(-1), out.reshape(parts))

    def backward(self, d_a: Array | None, d_b: Array | None, d_out: Array, *, scratch: Scratch) -> Run:
        flat_b = None if d_b is None else d_b.reshape(-1)
        parts = None if flat_b is None else d_out.reshape(-1, flat_b.size)

        def run() -> None:
            if d_a is not None:
                np.copyto(d_a, d_out)
            if flat_b is not None and parts is not None:
                np.add.reduce(parts, axis=0, out=flat_b)

        return run
