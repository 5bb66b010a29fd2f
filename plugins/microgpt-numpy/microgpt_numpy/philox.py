"""Philox on arrays: the words of the core's `philox`, bit by bit, for many counters at a time."""

import numpy as np

from microgpt_core.components.philox import MASK, MULTIPLIERS, WEYL
from microgpt_numpy.kernel import Array


def philox(
    c0: Array, c1: Array, c2: Array, c3: Array, low: Array, high: Array, *, key: tuple[int, int]
) -> tuple[Array, Array, Array, Array]:
    """Four random words for each counter, in its place. `low` and `high` are spare; all are of uint64."""
    k0, k1 = key
    for _ in range(10):
        np.multiply(c0, MULTIPLIERS[0], out=low)
        np.multiply(c2, MULTIPLIERS[1], out=high)
        np.right_shift(high, 32, out=c0)
        np.bitwise_xor(c0, c1, out=c0)
        np.bitwise_xor(c0, k0, out=c0)
        np.bitwise_and(high, MASK, out=c1)
        np.right_shift(low, 32, out=c2)
        np.bitwise_xor(c2, c3, out=c2)
        np.bitwise_xor(c2, k1, out=c2)
        np.bitwise_and(low, MASK, out=c3)
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return c0, c1, c2, c3
