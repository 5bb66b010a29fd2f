"""Between which limits the mean of a few noisy numbers lies, for a given chance of being wrong.

The largest and the smallest of every eight are left out, and the spread is that of what remains (Yuen 1974): one
process with bad luck then neither makes a difference nor hides one. Of log times, a difference is a ratio.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import atan, cos, inf, pi, sin, sqrt
from statistics import fmean, variance


@dataclass(frozen=True)
class Interval:
    """An estimate, and the limits around it."""

    centre: float
    low: float
    high: float


@dataclass(frozen=True)
class Mean:
    """A trimmed mean, the variance that it has itself, and the degrees of freedom that this is known with."""

    value: float
    variance: float
    freedom: int


def trimmed(values: Sequence[float]) -> Mean:
    """The mean without extremes. One number says nothing of its own spread."""
    n, ordered = len(values), sorted(values)
    cut = n // 8
    kept = n - 2 * cut
    if kept < 2:
        return Mean(ordered[0], inf, 1)
    inner = ordered[cut : n - cut]
    winsorised = [inner[0]] * cut + inner + [inner[-1]] * cut
    return Mean(fmean(inner), variance(winsorised) * (n - 1) / (kept * (kept - 1)), kept - 1)


def of_mean(values: Sequence[float], wrong: float) -> Interval:
    """The limits of what the values vary around; `wrong` is the chance that it lies outside."""
    mean = trimmed(values)
    return around(mean.value, mean.variance, mean.freedom, wrong)


def of_difference(a: Sequence[float], b: Sequence[float], wrong: float) -> Interval:
    """The limits of how much more `b` is than `a`, whose spreads may differ (Welch 1947)."""
    x, y = trimmed(a), trimmed(b)
    both = x.variance + y.variance
    known = x.variance**2 / x.freedom + y.variance**2 / y.freedom
    freedom = int(both**2 / known) if 0 < known < inf else min(x.freedom, y.freedom)
    return around(y.value - x.value, both, freedom, wrong)


def around(centre: float, variance_: float, freedom: int, wrong: float) -> Interval:
    half = student(wrong, freedom) * sqrt(variance_)
    return Interval(centre, centre - half, centre + half)


@cache
def student(wrong: float, freedom: int) -> float:
    """What Student's t exceeds, on either side, with the chance `wrong`."""
    low, high = 0.0, 1.0
    while beyond(high, freedom) > wrong:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle, freedom) > wrong else (low, middle)
    return high


def beyond(t: float, freedom: int) -> float:
    """The chance that |T| > t, as the finite sum that it is for whole degrees of freedom (Abramowitz & Stegun 26.7)."""
    angle = atan(t / sqrt(freedom))
    odd = freedom % 2
    term = cos(angle) if odd else 1.0
    total = 0.0 if freedom == 1 else term
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cos(angle) ** 2 * (k - 1) / k
        total += term
    within = 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total
    return 1.0 - within
