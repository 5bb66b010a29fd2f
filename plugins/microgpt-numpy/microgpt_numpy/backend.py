"""The backend: its kernels see every buffer as an array over the same bytes."""

import numpy as np

from microgpt_core.components import Backend, Buffer
from microgpt_numpy.kernel import Array


class Numpy(Backend):
    """NumPy, with the matrix products of the BLAS that it was built with."""

    name = "numpy"
    priority = 10  # `backend: auto` prefers it to the reference, and compiled kernels to it

    def view(self, buffer: Buffer) -> Array:
        return np.asarray(buffer)
