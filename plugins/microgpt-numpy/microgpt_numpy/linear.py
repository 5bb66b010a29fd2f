"""Linear: y = x W^T + b, three matrix products of the BLAS."""

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, rows


class Linear(ArrayKernel):
    sets = ("d_x", "d_weight", "d_bias")

    def forward(self, out: Array, x: Array, weight: Array, bias: Array | None, *, scratch: Scratch) -> Run:
        out, x, transposed = rows(out), rows(x), weight.T  # (N, O), (N, I), (I, O)

        def run() -> None:
            np.matmul(x, transposed, out=out)
            if bias is not None:
                np.add(out, bias, out=out)

        return run

    def backward(
        self, d_x: Array | None, d_weight: Array | None, d_bias: Array | None, d_out: Array, x: Array, weight: Array,
        *, scratch: Scratch,
    ) -> Run:  # fmt: skip
        d, x, d_rows = rows(d_out), rows(x), None if d_x is None else rows(d_x)

        def run() -> None:
            if d_rows is not None:
                np.matmul(d, weight, out=d_rows)
            if d_weight is not None:
                np.matmul(d.T, x, out=d_weight)
            if d_bias is not None:
                np.add.reduce(d, axis=0, out=d_bias)

        return run
