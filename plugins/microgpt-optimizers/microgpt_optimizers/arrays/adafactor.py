"""Adafactor on NumPy: the reference's lines, a matrix at a time."""

from math import isfinite, sqrt

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch
from microgpt_optimizers.updates.adafactor_update import largest


class AdafactorUpdate(ArrayKernel):
    """adafactor_update on the backend numpy."""

    def forward(
        self, w: Array, grad: Array, factor: Array, lr: Array, step: Array, r: Array, c: Array,
        *, decay_power: float, eps: float, min_scale: float, clip: float, weight_decay: float, scratch: Scratch,
    ) -> Run:  # fmt: skip
        matrix, given = (x.reshape(-1, x.shape[-1]) for x in (w, grad))
        g, u = scratch.like(matrix), scratch.like(matrix)
        by_row, by_column, by_rows = r.reshape(-1), c.reshape(-1), r.reshape(-1, 1)
        row, column = scratch.like(by_row), scratch.like(by_column)

        def toward(held: Array, fresh: float, part: Array) -> None:
            np.subtract(part, held, out=part)
            np.multiply(part, fresh, out=part)
            np.add(held, part, out=held)

        def run() -> None:
            if not isfinite(factor[0]):
                return
            t, rate = float(step[0]) + 1.0, float(lr[0])
            np.multiply(given, factor, out=g)
            np.multiply(g, g, out=u)
            np.mean(u, axis=1, out=row)
            np.mean(u, axis=0, out=column)
            toward(by_row, t**-decay_power, row)
            toward(by_column, t**-decay_power, column)
            np.divide(by_rows, largest(float(by_row.mean()), eps * eps), out=row.reshape(-1, 1))
            np.multiply(row.reshape(-1, 1), by_column, out=u)
            np.maximum(u, eps * eps, out=u)
            np.sqrt(u, out=u)
            np.divide(g, u, out=u)
            moved = min(rate, 1.0 / sqrt(t)) * largest(rms(matrix, g), min_scale)
            moved /= largest(rms(u, g) / clip, 1.0)
            np.multiply(u, moved, out=u)
            np.multiply(matrix, 1.0 - rate * weight_decay, out=matrix)
            np.subtract(matrix, u, out=matrix)

        return run


def rms(x: Array, part: Array) -> float:
    """The root mean square of x; `part` is overwritten."""
    np.multiply(x, x, out=part)
    return float(np.sqrt(part.mean(dtype=np.float64)))
