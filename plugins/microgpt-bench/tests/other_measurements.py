"""The machine measured otherwise, beside the roofline's own measurement: a program that the long tests run.

    python other_measurements.py products|BYTES    prints ours / theirs

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
from microgpt_bench.roofline.microkernels import NumPyKernels

ROUNDS = 11
TURN = 0.01  # seconds: a turn of each is over before the machine is another one


def own_product() -> float:
    return max(rate(run, TURN) for run in NumPyKernels().computing["float32"][:3])


def other_product() -> float:
    """FLOP/s of BLAS by another function on another shape: tall times wide, as `linear` has them."""
    a, b, out = np.ones((1024, 384), "f"), np.ones((384, 256), "f"), np.empty((1024, 256), "f")

    def run() -> int:
        np.dot(a, b, out=out)
        return 2 * 1024 * 384 * 256

    return rate(run, TURN)


def own_copy(nbytes: int) -> float:
    (make,) = NumPyKernels().streams["copy"]
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
    what = sys.argv[1]
    if what == "products":
        print(ratio(own_product, other_product))
    else:
        print(ratio(partial(own_copy, int(what)), partial(other_copy, int(what))))
