"""Muon on NumPy: the products are BLAS's."""

from math import isfinite

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch
from microgpt_optimizers.updates.muon_update import CUBIC, LINEAR, QUINTIC


class MuonUpdate(ArrayKernel):
    """muon_update on the backend numpy."""

    def forward(
        self, w: Array, grad: Array, factor: Array, lr: Array, step: Array, m: Array,
        *, momentum: float, nesterov: bool, weight_decay: float, scale: float, iterations: int, eps: float,
        scratch: Scratch,
    ) -> Run:  # fmt: skip
        short, long = sorted(w.shape)
        tall = w.shape[0] > w.shape[1]
        ahead, fresh = scratch.like(w), scratch.like(w)
        x, moved = (scratch.array((short, long), w.dtype) for _ in range(2))
        gram, square = (scratch.array((short, short), w.dtype) for _ in range(2))
        direction, result = (ahead.T, x.T) if tall else (ahead, x)

        def run() -> None:
            if not isfinite(factor[0]):
                return
            np.multiply(grad, (1.0 - momentum) * float(factor[0]), out=fresh)
            np.multiply(m, momentum, out=m)
            np.add(m, fresh, out=m)
            if nesterov:
                np.multiply(m, momentum, out=ahead)
                np.add(ahead, fresh, out=ahead)
            else:
                np.copyto(ahead, m)
            np.copyto(x, direction)
            np.multiply(x, x, out=moved)
            norm = np.sqrt(moved.sum(dtype=np.float64))
            np.divide(x, eps if norm < eps else norm, out=x)
            for _ in range(iterations):
                np.matmul(x, x.T, out=gram)
                np.matmul(gram, gram, out=square)
                np.multiply(square, QUINTIC, out=square)
                np.multiply(gram, CUBIC, out=gram)
                np.add(gram, square, out=gram)
                np.matmul(gram, x, out=moved)
                np.multiply(x, LINEAR, out=x)
                np.add(x, moved, out=x)
            np.multiply(result, float(lr[0]) * scale, out=fresh)
            np.multiply(w, 1.0 - float(lr[0]) * weight_decay, out=w)
            np.subtract(w, fresh, out=w)

        return run
