"""Sum and mean of all numbers."""

from functools import partial

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, nothing


class Sum(ArrayKernel):
    sets = ("d_x",)

    def forward(self, out: Array, x: Array, *, scratch: Scratch) -> Run:
        return reduced(out, x, 1)

    def backward(self, d_x: Array | None, d_out: Array, *, scratch: Scratch) -> Run:
        return spread(d_x, d_out, 1)


class Mean(ArrayKernel):
    sets = ("d_x",)

    def forward(self, out: Array, x: Array, *, scratch: Scratch) -> Run:
        return reduced(out, x, x.size)

    def backward(self, d_x: Array | None, d_out: Array, *, scratch: Scratch) -> Run:
        return nothing if d_x is None else spread(d_x, d_out, d_x.size)


def reduced(out: Array, x: Array, n: int) -> Run:
    """out = sum of x / n. NumPy adds up long rows in pairs of pairs, which keeps the digits."""
    flat = x.reshape(-1)

    def run() -> None:
        np.add.reduce(flat, keepdims=True, out=out)
        np.divide(out, n, out=out)

    return run


def spread(d_x: Array | None, d_out: Array, n: int) -> Run:
    """d_x = d_out / n everywhere."""
    return nothing if d_x is None else partial(np.divide, d_out, n, d_x.reshape(-1))
