"""A fixed piece of work in pure Python, timed between the blocks: how fast this machine is at this moment.

Two runs of other days can be compared by what they took beside it.
"""

from operator import mul
from time import perf_counter_ns

NUMBERS = [i / 1000 for i in range(1000)]
REPEATS = 100


def yardstick() -> int:
    """Nanoseconds of a hundred thousand multiply-adds: a hundred times the lower quartile of a thousand of them, since
    a core that others want, too, is taken away in between.
    """
    times = []
    for _ in range(REPEATS):
        start = perf_counter_ns()
        sum(map(mul, NUMBERS, NUMBERS))
        times.append(perf_counter_ns() - start)
    return REPEATS * sorted(times)[REPEATS // 4]
