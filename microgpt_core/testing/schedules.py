"""What every schedule promises: a sensible factor for every step, and always the same one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import isfinite

from microgpt_core.components import Schedule
from microgpt_core.testing.report import Check, checks

LENGTHS = (1, 2, 7, 100, 1000)  # steps of a training; some shorter than a warm-up
LARGEST = 10.0  # a factor beyond is a learning rate, or a number of steps, in the wrong place


def schedule_checks(schedule: Schedule, component: str = "") -> list[Check]:
    return checks(component or f"schedule {schedule.name}", RULES, lambda: schedule)


def factors(schedule: Schedule, max_steps: int) -> list[float]:
    return [schedule.factor(step, max_steps) for step in range(max_steps)]


def factors_are_sensible(schedule: Schedule) -> Iterator[str]:
    """Every factor is a number from 0 to 10, and not all are 0."""
    for max_steps in LENGTHS:
        found = factors(schedule, max_steps)
        for step, factor in enumerate(found):
            if not (isinstance(factor, (int, float)) and isfinite(factor) and 0.0 <= factor <= LARGEST):
                yield f"factor({step}, {max_steps}) is {factor!r}; allowed: 0 to {LARGEST:g}, as a share of lr"
                return
        if not any(found):
            yield f"factor is 0 at each of {max_steps} steps: nothing would be learned"


def factors_are_pure(schedule: Schedule) -> Iterator[str]:
    """A step's factor is the same whenever it is asked for: a resumed training asks from the middle on."""
    for max_steps in LENGTHS:
        forwards = factors(schedule, max_steps)
        backwards = [schedule.factor(step, max_steps) for step in reversed(range(max_steps))][::-1]
        for step, (a, b) in enumerate(zip(forwards, backwards)):
            if a != b:
                yield f"factor({step}, {max_steps}) is {a} at first, {b} later; it must depend on its arguments alone"
                return


def factors_know_no_future(schedule: Schedule) -> Iterator[str]:
    """A step's factor depends on the evaluations up to it alone: a training that goes back to it has no others."""
    every = [(step, 2.0 if step < 30 else 3.0) for step in range(10, 101, 10)]  # better, then never again
    for step in range(100):
        then, later = replace(schedule), replace(schedule)
        then.evaluations, later.evaluations = [(at, loss) for at, loss in every if at <= step], every
        if (a := then.factor(step, 100)) != (b := later.factor(step, 100)):
            yield f"factor({step}, 100) is {a}, and {b} where evaluations has later steps; leave those out"
            return


RULES = (factors_are_sensible, factors_are_pure, factors_know_no_future)
