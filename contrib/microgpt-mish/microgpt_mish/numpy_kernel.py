"""Mish on NumPy: the same two formulas on arrays, a stretch at a time, so that the arrays in between stay small."""

import numpy as np
from numpy.typing import NDArray

from microgpt_core.components import Kernel, stretches


class MishKernel(Kernel):
    """mish on the backend numpy."""

    def forward(self, out: NDArray[np.floating], x: NDArray[np.floating]) -> None:
        result, numbers = out.reshape(-1), x.reshape(-1)
        for part in stretches(x.size):
            bounded = np.maximum(numbers[part], -745.0)  # minus infinity times 0 would be NaN
            np.multiply(bounded, np.tanh(np.logaddexp(0.0, bounded)), out=result[part])

    def backward(self, d_x: NDArray[np.floating] | None, d_out: NDArray[np.floating], x: NDArray[np.floating]) -> None:
        if d_x is None:
            return
        total, given, numbers = d_x.reshape(-1), d_out.reshape(-1), x.reshape(-1)
        for part in stretches(x.size):
            bounded = np.clip(numbers[part], -80.0, 80.0)  # beyond, the curve is 0 or a line
            t = np.tanh(np.logaddexp(0.0, bounded))
            total[part] += given[part] * (t + bounded * (1.0 - t * t) / (1.0 + np.exp(-bounded)))
