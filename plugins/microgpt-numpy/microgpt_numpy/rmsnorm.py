"""RMSNorm: z = x r with r = 1 / sqrt(mean(x^2) + eps), y = z w; with g = d_y w, d_x = r (g - z mean(g z))."""

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, rows


class RMSNorm(ArrayKernel):
    sets = ("d_x", "d_weight")

    def forward(self, out: Array, rstd: Array, x: Array, weight: Array | None, *, eps: float, scratch: Scratch) -> Run:
        out, x, r, n = rows(out), rows(x), rstd.reshape(-1), x.shape[-1]
        column = r[:, None]

        def run() -> None:
            np.vecdot(x, x, out=r)
            np.divide(r, n, out=r)
            np.add(r, eps, out=r)
            np.sqrt(r, out=r)
            np.divide(1.0, r, out=r)
            np.multiply(x, column, out=out)
            if weight is not None:
                np.multiply(out, weight, out=out)

        return run

    def backward(
        self, d_x: Array | None, d_weight: Array | None, d_out: Array, rstd: Array, x: Array, weight: Array | None,
        *, scratch: Scratch,
    ) -> Run:  # fmt: skip
        d, x, r, n = rows(d_out), rows(x), rstd.reshape(-1), x.shape[-1]
        g, z = (d if weight is None else scratch.like(d)), scratch.like(x)
        means, d_rows = scratch.like(r), None if d_x is None else rows(d_x)
        r_column, means_column = r[:, None], means[:, None]

        def run() -> None:
            np.multiply(x, r_column, out=z)
            if d_weight is not None:
                np.multiply(d, z, out=g)
                np.add.reduce(g, axis=0, out=d_weight)
            if d_rows is not None:
                if weight is not None:
                    np.multiply(d, weight, out=g)
                np.vecdot(g, z, out=means)
                np.divide(means, n, out=means)
                np.multiply(z, means_column, out=d_rows)
                np.subtract(g, d_rows, out=d_rows)
                np.multiply(d_rows, r_column, out=d_rows)

        return run
