"""Schedules: their factors, step by step, against the formulas."""

from math import cos, pi

import pytest

from microgpt_core.errors import ConfigurationError
from microgpt_core.training.schedules import Constant, Cosine, Linear

MAX_STEPS = 20


@pytest.mark.parametrize("warmup", [0, 1, 7])
@pytest.mark.parametrize(
    ("schedule", "after"),
    [(Constant, lambda p: 1.0), (Linear, lambda p: 1.0 - p), (Cosine, lambda p: (1.0 + cos(pi * p)) / 2.0)],
)
def test_factors(schedule, after, warmup: int) -> None:
    made = schedule(warmup_steps=warmup)
    for step in range(MAX_STEPS):
        factor = made.factor(step, MAX_STEPS)
        if step < warmup:
            assert factor == (step + 1) / warmup
        else:
            assert factor == pytest.approx(after((step - warmup) / (MAX_STEPS - warmup)), abs=1e-15)


def test_linear_is_the_one_page_programs() -> None:
    assert [Linear().factor(step, 4) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]


def test_cosine_goes_to_0() -> None:
    assert Cosine().factor(0, 1000) == 1.0
    assert Cosine().factor(500, 1000) == pytest.approx(0.5)
    assert 0.0 < Cosine().factor(999, 1000) < 1e-5


def test_cosine_may_end_higher() -> None:
    """nanoGPT's: from the peak to a tenth of it."""
    schedule = Cosine(final=0.1)
    assert schedule.factor(0, 1000) == 1.0
    assert schedule.factor(500, 1000) == pytest.approx(0.55)
    assert 0.1 < schedule.factor(999, 1000) < 0.1 + 1e-5


@pytest.mark.parametrize("final", [-0.1, 1.5])
def test_cosine_ends_between_0_and_its_peak(final: float) -> None:
    with pytest.raises(ConfigurationError, match=f"final: found {final}, allowed: 0 to 1"):
        Cosine(final=final)


def test_a_warm_up_longer_than_the_run_only_rises() -> None:
    factors = [Cosine(warmup_steps=100).factor(step, 10) for step in range(10)]
    assert factors == [(step + 1) / 100 for step in range(10)]


@pytest.mark.parametrize("schedule", [Constant, Linear, Cosine])
def test_a_negative_warm_up_is_refused(schedule) -> None:
    with pytest.raises(ConfigurationError, match="warmup_steps: found -1"):
        schedule(warmup_steps=-1)
