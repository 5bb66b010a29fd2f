"""Softmax along the last axis."""

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, nothing, rows


class Softmax(ArrayKernel):
    sets = ("d_x",)

    def forward(self, out: Array, x: Array, *, scratch: Scratch) -> Run:
        out, x = rows(out), rows(x)
        column = scratch.array((len(x), 1), x.dtype)

        def run() -> None:
            np.maximum.reduce(x, axis=1, keepdims=True, out=column)
            np.subtract(x, column, out=out)
            np.exp(out, out=out)
            np.add.reduce(out, axis=1, keepdims=True, out=column)
            np.divide(out, column, out=out)

        return run

    def backward(self, d_x: Array | None, d_out: Array, out: Array, *, scratch: Scratch) -> Run:
        if d_x is None:
            return nothing
        target, d, y = rows(d_x), rows(d_out), rows(out)
        means = scratch.array((len(y),), y.dtype)
        column = means[:, None]

        def run() -> None:
            np.vecdot(d, y, out=means)
            np.subtract(d, column, out=target)
            np.multiply(target, y, out=target)

        return run
