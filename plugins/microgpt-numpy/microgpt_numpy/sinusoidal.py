"""Sinusoidal positions: a wave for each column, sines in the even ones and cosines in the odd."""

from functools import partial

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, nothing, rows


class Sinusoidal(ArrayKernel):
    sets = ("d_x",)

    def forward(self, out: Array, x: Array, positions: Array, *, scratch: Scratch) -> Run:
        out, x, places, columns = rows(out), rows(x), positions.reshape(-1, 1), np.arange(x.shape[-1])
        speeds = 10000.0 ** (-(columns - columns % 2) / len(columns))
        waves = scratch.array(x.shape, np.float64)
        even, odd = waves[:, 0::2], waves[:, 1::2]

        def run() -> None:
            np.multiply(places, speeds, out=waves)
            np.sin(even, out=even)
            np.cos(odd, out=odd)
            np.add(x, waves, out=out)

        return run

    def backward(self, d_x: Array | None, d_out: Array, *, scratch: Scratch) -> Run:
        return nothing if d_x is None else partial(np.copyto, d_x, d_out)
