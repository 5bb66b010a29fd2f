"""Arithmetic as IEEE 754 has it: infinity and NaN instead of Python's exceptions.

Python raises where hardware answers: `math.exp(1000)`, `math.log(0)`, `1 / 0`. An op must let such
numbers through, so that a diverging run is found by its loss and named, not killed in the middle of
a step. Also here: `products`, the one loop in which nearly all of the time is spent.
"""

import math
import sys
from collections.abc import Sequence
from operator import mul
from typing import TypeAlias

Vectors: TypeAlias = Sequence[Sequence[float]]


def exp(x: float) -> float:
    """e**x; infinity where it is too large for a float."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log(x: float) -> float:
    """The natural logarithm; log(0) = -inf, and NaN below."""
    if x > 0.0:
        return math.log(x)
    return -math.inf if x == 0.0 else math.nan


def sqrt(x: float) -> float:
    """The square root; NaN below zero."""
    return math.sqrt(x) if x >= 0.0 else math.nan


def divide(a: float, b: float) -> float:
    """a / b; a signed infinity for a / 0, NaN for 0 / 0."""
    try:
        return a / b
    except ZeroDivisionError:
        return math.copysign(math.inf, a) * math.copysign(1.0, b) if a == a and a != 0.0 else math.nan


if sys.version_info >= (3, 12):  # exactly rounded, and three times as fast as sum(map(mul, a, b))
    from math import sumprod as dot

    def products(a_rows: Vectors, b_rows: Vectors) -> list[float]:
        """Every row of a times every row of b: the matrix product a @ b.T, in row-major order."""
        return [dot(a, b) for a in a_rows for b in b_rows]

else:

    def dot(a: Sequence[float], b: Sequence[float]) -> float:
        """a[0] b[0] + a[1] b[1] + ..."""
        total: float = sum(map(mul, a, b))
        return total

    def products(a_rows: Vectors, b_rows: Vectors) -> list[float]:
        """Every row of a times every row of b: the matrix product a @ b.T, in row-major order.

        `dot` is written out: at 8 numbers a row, calling it would take a fifth of the time.
        """
        return [sum(map(mul, a, b)) for a in a_rows for b in b_rows]


def columns(matrix: Vectors) -> list[tuple[float, ...]]:
    """The transpose: column j of the matrix as entry j."""
    return list(zip(*matrix))
