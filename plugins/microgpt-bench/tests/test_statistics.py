"""Medians, percentiles and ratios: against hand counts, and where the machine's speed wanders."""

import random

import pytest

from microgpt_bench.measuring.statistics import Spread, ratio, spread, undecided

SPREADS = {
    "one number": ([3.0], Spread(3.0, 3.0, 3.0)),
    "eleven numbers": ([float(i) for i in range(11)], Spread(5.0, 1.0, 9.0)),
    "in any order": ([9.0, 1.0, 5.0], Spread(5.0, 1.8, 8.2)),
}


@pytest.mark.parametrize("name", SPREADS)
def test_spread(name: str) -> None:
    values, expected = SPREADS[name]
    found = spread(values)
    assert (found.median, found.p10, found.p90) == pytest.approx((expected.median, expected.p10, expected.p90))


def test_a_ratio_is_taken_in_each_round_so_that_a_wandering_speed_cancels() -> None:
    rng = random.Random(1)
    speeds = [[rng.uniform(0.5, 1.7) for _ in range(20)] for _ in range(3)]
    ours = [[2.0 / speed for speed in process] for process in speeds]
    theirs = [[5.0 / speed for speed in process] for process in speeds]
    found = ratio(ours, theirs)
    assert (found.median, found.p10, found.p90) == pytest.approx((2.5, 2.5, 2.5))
    assert spread([x for p in ours for x in p]).p90 > 1.5 * spread([x for p in ours for x in p]).p10  # it does wander


def test_every_process_counts_the_same() -> None:
    """A process with its memory in a bad place is one of three, however many rounds it had."""
    assert ratio([[1.0], [1.0], [2.0, 2.0, 2.0]], [[2.0], [2.0], [2.0, 2.0, 2.0]]).median == 2.0


def test_rounds_that_have_no_partner_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio([[1.0, 1.0]], [[1.0]])


@pytest.mark.parametrize(
    ("found", "expected"),
    [(Spread(1.1, 0.9, 1.3), True), (Spread(1.1, 1.05, 1.3), False), (Spread(0.8, 0.7, 0.9), False)],
)
def test_noise_larger_than_the_difference(found: Spread, expected: bool) -> None:
    assert undecided(found) is expected
