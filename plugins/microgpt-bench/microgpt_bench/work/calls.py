"""Every call of a training step, timed where it stands: what the roofline puts its dots by."""

from collections.abc import Sequence
from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.roofline.subject import find_subject
from microgpt_bench.work.work import Work


class Calls(Work):
    """What the worker runs: steps in which every call is timed."""

    def __init__(self, who: Candidate, name: str, overrides: Sequence[str]) -> None:
        self.subject = find_subject(name, who.use, overrides)
        self.subject.allocate()

    def run(self, n: int) -> None:
        for _ in range(n):
            self.subject.step()

    def facts(self) -> dict[str, Any]:
        return {}

    def times(self, seconds: float) -> dict[str, Any]:
        """The nanoseconds of each call, of forward and backward and of the update."""
        micro, update = self.subject.times(seconds)
        return {"micro": micro, "update": update}
