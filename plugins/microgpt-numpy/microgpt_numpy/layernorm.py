"""LayerNorm: z = (x - m) r, y = z w + b; with g = d_y w, d_x = r (g - mean(g) - z mean(g z))."""

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, rows


class LayerNorm(ArrayKernel):
    sets = ("d_x", "d_weight", "d_bias")

    def forward(
        self, out: Array, mean: Array, rstd: Array, x: Array, weight: Array | None, bias: Array | None,
        *, eps: float, scratch: Scratch,
    ) -> Run:  # fmt: skip
        out, x, m, r, n = rows(out), rows(x), mean.reshape(-1), rstd.reshape(-1), x.shape[-1]
        m_column, r_column = m[:, None], r[:, None]

        def run() -> None:
            np.add.reduce(x, axis=1, out=m)
            np.divide(m, n, out=m)
            np.subtract(x, m_column, out=out)
            np.vecdot(out, out, out=r)
            np.divide(r, n, out=r)
            np.add(r, eps, out=r)
            np.sqrt(r, out=r)
            np.divide(1.0, r, out=r)
            np.multiply(out, r_column, out=out)
            if weight is not None:
                np.multiply(out, weight, out=out)
            if bias is not None:
                np.add(out, bias, out=out)

        return run

    def backward(
        self, d_x: Array | None, d_weight: Array | None, d_bias: Array | None, d_out: Array,
        mean: Array, rstd: Array, x: Array, weight: Array | None, *, scratch: Scratch,
    ) -> Run:  # fmt: skip
        d, x, n, m, r = rows(d_out), rows(x), x.shape[-1], mean.reshape(-1, 1), rstd.reshape(-1, 1)
        g, z, means = scratch.like(d), scratch.like(x), scratch.like(mean.reshape(-1))
        d_rows, column = None if d_x is None else rows(d_x), means[:, None]

        def run() -> None:
            np.subtract(x, m, out=z)
            np.multiply(z, r, out=z)
            if d_bias is not None:
                np.add.reduce(d, axis=0, out=d_bias)
            if d_weight is not None:
                np.multiply(d, z, out=g)
                np.add.reduce(g, axis=0, out=d_weight)
            if d_rows is not None:
                np.multiply(d, 1.0 if weight is None else weight, out=g)
                np.vecdot(g, z, out=means)
                np.divide(means, n, out=means)
                np.multiply(z, column, out=d_rows)
                np.subtract(g, d_rows, out=d_rows)
                np.add.reduce(g, axis=1, out=means)
                np.divide(means, n, out=means)
                np.subtract(d_rows, column, out=d_rows)
                np.multiply(d_rows, r, out=d_rows)

        return run
