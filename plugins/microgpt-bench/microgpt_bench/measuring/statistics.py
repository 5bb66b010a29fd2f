"""Medians, percentiles and ratios of rounds.

The machine's own speed wanders, by half within minutes where it is shared. So nothing is concluded from two times: a
ratio is taken in each round, whose times are neighbours, and the median of the rounds' ratios is reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, and the 10th and the 90th percentile."""

    median: float
    p10: float
    p90: float


def spread(values: Sequence[float]) -> Spread:
    """Of one number, itself."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    tenths = quantiles(values, n=10, method="inclusive")
    return Spread(median(values), tenths[0], tenths[-1])


def ratio(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Spread:
    """How many times as fast `ours` is: theirs / ours in each round. Both are times, by process and round.

    The median is that of the processes' medians: where a process has its memory changes its speed for good, and a
    process with more rounds mustn't count for more. The percentiles are of all rounds.
    """
    by_process = [[b / a for a, b in zip(x, y, strict=True)] for x, y in zip(ours, theirs, strict=True)]
    whole = spread([r for rounds in by_process for r in rounds])
    return Spread(median(median(rounds) for rounds in by_process), whole.p10, whole.p90)


def undecided(found: Spread) -> bool:
    """Whether the noise is larger than the difference: some rounds say faster, some slower."""
    return found.p10 <= 1.0 <= found.p90
