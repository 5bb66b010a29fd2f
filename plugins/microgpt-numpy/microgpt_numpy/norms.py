"""The norm of all gradients, and the factor that clips them."""

from math import isinf, sqrt

import numpy as np

from microgpt_core import ops
from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, reference

STRETCH = 4096  # squares summed in the array's own precision; those sums are summed in float64


class GlobalNorm(ArrayKernel):
    def forward(self, norm: Array, grads: Array, *, scratch: Scratch) -> Run:
        flat = grads.reshape(-1)
        n = flat.size // STRETCH * STRETCH
        stretches, rest = flat[:n].reshape(-1, STRETCH), flat[n:]
        sums = scratch.array((len(stretches) + 1,), flat.dtype)
        of_stretches, of_rest = sums[:-1], sums[-1:]

        def run() -> None:
            np.vecdot(stretches, stretches, out=of_stretches)
            of_rest[0] = np.dot(rest, rest)
            total = float(np.add.reduce(sums, dtype=np.float64))
            if isinf(total):  # in float32 at gradients of 1e19
                total = float(np.add.reduce(np.square(flat, dtype=np.float64)))
            norm[0] = sqrt(total)

        return run


class ClipFactor(ArrayKernel):
    def forward(self, factor: Array, norm: Array, *, max_norm: float, scratch: Scratch) -> Run:
        return reference(ops.clip_factor.forward, factor, norm, max_norm=max_norm)  # one number
