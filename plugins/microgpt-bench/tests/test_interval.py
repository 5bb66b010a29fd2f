"""Limits of a mean: as wide as tables say, right as often as they promise, undisturbed by one bad number."""

from math import inf, isinf
from random import Random

import pytest

from microgpt_bench.results.interval import Interval, of_difference, of_mean, student, trimmed


@pytest.mark.parametrize(
    ("wrong", "freedom", "expected"),
    [  # from the tables of every textbook
        (0.05, 1, 12.706), (0.05, 2, 4.303), (0.05, 3, 3.182), (0.05, 10, 2.228), (0.01, 5, 4.032), (0.001, 7, 5.408),
        (0.1, 30, 1.697), (0.0001, 18, 4.966),
    ],
)  # fmt: skip
def test_student(wrong: float, freedom: int, expected: float) -> None:
    assert student(wrong, freedom) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("n", [3, 5, 10, 16])
def test_limits_are_right_as_often_as_they_promise(n: int) -> None:
    """And not much more often, which would be power thrown away."""
    rng, misses = Random(n), {"mean": 0, "difference": 0}
    for _ in range(1000):
        a, b = ([rng.gauss(middle, spread) for _ in range(n)] for middle, spread in ((1.0, 2.0), (4.0, 1.0)))
        misses["mean"] += not contains(of_mean(a, 0.1), 1.0)
        misses["difference"] += not contains(of_difference(a, b, 0.1), 3.0)
    assert all(50 <= found <= 130 for found in misses.values()), misses


def contains(found: Interval, value: float) -> bool:
    return found.low <= value <= found.high


def test_a_bad_process_moves_nothing() -> None:
    good = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.01]
    assert abs(trimmed([*good, 50.0]).value - 1.0) < 0.05
    assert of_mean([*good, 50.0], 0.01).low > 0.8


def test_one_number_says_nothing_of_its_spread() -> None:
    assert of_mean([2.0], 0.05) == Interval(2.0, -inf, inf)
    assert isinf(of_difference([1.0], [2.0, 2.1, 1.9], 0.05).high)


def test_equal_numbers_have_no_spread() -> None:
    assert of_difference([1.0] * 4, [3.0] * 4, 0.01) == Interval(2.0, 2.0, 2.0)
