"""Write rows into a cache: cache[b, start[b] + t] = x[b, t]."""

import numpy as np

from microgpt_core import ops
from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, reference


class CacheWrite(ArrayKernel):
    def forward(self, cache: Array, x: Array, start: Array, *, scratch: Scratch) -> Run:
        refuse = reference(ops.cache_write.forward, cache, x, start)
        unsigned, length, free = start.view(np.uint32), x.shape[1], cache.shape[1] - x.shape[1]

        def run() -> None:
            if np.maximum.reduce(unsigned) > free:
                refuse()  # raises DataError
            for row, new, at in zip(cache, x, start.tolist()):
                row[at : at + length] = new

        return run
