"""The machine measured otherwise, beside the roofline's own measurement: a program that the long tests run.

    python other_measurements.py numpy|native products|BYTES    prints ours / theirs

A machine that others use, too, is twice as fast in one moment as in the next. So each round compares neighbours, in
turning order, and the median round counts.
"""

import sys
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np

from microgpt_bench.measuring.pin import pin
from microgpt_bench.roofline.measure import ONE_TIMING, aligned, rate
from microgpt_bench.roofline.microkernels import MicroKernels, NumPyKernels
from microgpt_bench.work.roof import native_kernels

ROUNDS = 11
TURN = 0.01  # seconds: a turn of each is over before the machine is another one


def own_product(kernels: MicroKernels) -> float:
    return max(rate(run, TURN) for run in kernels.computing["float32"][:3])


def other_product() -> float:
    """FLOP/s of BLAS by another function on another shape: tall times wide, as `linear` has them."""
    a, b, out = np.ones((1024, 384), "f"), np.ones((384, 256), "f"), np.empty((1024, 256), "f")

    def run() -> int:
        np.dot(a, b, out=out)
        return 2 * 1024 * 384 * 256

    return rate(run, TURN)


def best_product() -> float:
    """The best of BLAS, which a micro-kernel of nothing but arithmetic is to come near: it leaves no room above."""
    return own_product(NumPyKernels())


def own_copy(kernels: MicroKernels, nbytes: int) -> float:
    """The first way: plain stores. Those past the caches are faster in memory, which no plain copy is."""
    make = kernels.streams["copy"][0]
    return rate(make(aligned(nbytes), max(1, ONE_TIMING // nbytes)), TURN)


def other_copy(nbytes: int) -> float:
    """Bytes a second of plain copies by Python alone. How far from each other source and target lie changes a copy's
    speed by a fifth, once no cache holds them: the halves of one buffer, and two buffers; the faster counts.
    """
    whole, half = np.ones(nbytes, np.uint8).data, nbytes // 2
    apart = [np.ones(half, np.uint8).data for _ in range(2)]
    return max(rate(plain(*pair), TURN) for pair in ((whole[:half], whole[half:]), apart))


def plain(target: memoryview, source: memoryview) -> Callable[[], int]:
    def run() -> int:
        target[:] = source
        return target.nbytes + source.nbytes

    return run


def ratio(ours: Callable[[], float], theirs: Callable[[], float]) -> float:
    ratios = []
    for i in range(ROUNDS):
        if i % 2:
            own, other = ours(), theirs()
        else:
            other, own = theirs(), ours()
        ratios.append(own / other)
    return median(ratios)


if __name__ == "__main__":
    pin(1)
    whose, what = sys.argv[1:]
    kernels = NumPyKernels() if whose == "numpy" else native_kernels(1)
    if kernels is None:
        sys.exit("no pack here brings micro-kernels")
    if what == "products":
        print(ratio(partial(own_product, kernels), other_product if whose == "numpy" else best_product))
    else:
        print(ratio(partial(own_copy, kernels, int(what)), partial(other_copy, int(what))))
