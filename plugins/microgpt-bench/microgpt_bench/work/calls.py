"""Every call of a training step, timed where it stands: what the roofline puts its dots by."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.roofline.subject import find_subject
from microgpt_bench.work.timed_steps import TimedSteps
from microgpt_bench.work.work import Work

LEAST_STEPS = 3


class Calls(Work):
    """What the worker runs: steps in which every call is timed."""

    def __init__(self, who: Candidate, name: str, overrides: Sequence[str]) -> None:
        self.subject = find_subject(name, who.use, overrides)
        self.subject.allocate()
        self.timed = TimedSteps(self.subject.loss, self.subject.update)

    def run(self, n: int) -> None:
        for _ in range(n):
            self.timed.step(self.subject.batch)

    def facts(self) -> dict[str, Any]:
        return {}

    def times(self, seconds: float) -> dict[str, Any]:
        """The median nanoseconds of each call, of forward and backward and of the update."""
        steps, end = list[tuple[Sequence[float], Sequence[float]]](), perf_counter() + seconds
        while len(steps) < LEAST_STEPS or perf_counter() < end:
            steps.append(self.timed.step(self.subject.batch))
        micro, update = ([median(call) for call in zip(*plan)] for plan in zip(*steps))
        return {"micro": micro, "update": update}
