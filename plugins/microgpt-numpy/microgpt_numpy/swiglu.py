"""SwiGLU: out = x silu(gate)."""

import numpy as np

from microgpt_numpy.activations import silu, silu_slope
from microgpt_numpy.elementwise import Elementwise
from microgpt_numpy.kernel import Array, Run, Scratch


class SwiGLU(Elementwise):
    sets = ("d_x", "d_gate")

    def forward(self, out: Array, x: Array, gate: Array, *, scratch: Scratch) -> Run:
        spare = scratch.like(x)

        def run() -> None:
            silu(out, gate, spare)
            np.multiply(out, x, out=out)

        return run

    def backward(
        self, d_x: Array | None, d_gate: Array | None, d_out: Array, x: Array, gate: Array, *, scratch: Scratch
    ) -> Run:
        spare = scratch.like(x)

        def run() -> None:
            if d_x is not None:
                silu(d_x, gate, spare)
                np.multiply(d_x, d_out, out=d_x)
            if d_gate is not None:
                silu_slope(d_gate, gate, spare)
                np.multiply(d_gate, x, out=d_gate)
                np.multiply(d_gate, d_out, out=d_gate)

        return run
