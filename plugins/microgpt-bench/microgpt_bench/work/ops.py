"""The ops of a training step, each timed where it stands: with the memory, caches and neighbours that it has."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import Any

from microgpt_bench.candidate import Candidate
from microgpt_bench.golden import GOLDEN
from microgpt_bench.work.choice import choice
from microgpt_bench.work.step import BATCHES, LONGEST
from microgpt_bench.work.training import own_training
from microgpt_bench.work.work import Work
from microgpt_core.engine.plan import PlanCall
from microgpt_core.errors import ConfigurationError


class Ops(Work):
    """What the worker runs: steps in which every call is timed."""

    least_turns = 32  # a quartile of fewer times tells nothing

    def __init__(self, who: Candidate, model: str, longest: float = LONGEST) -> None:
        if who.peer:
            raise ConfigurationError("a peer has no plan, so its ops can't be timed one by one")
        golden, kernels = choice(GOLDEN[model], who)
        batches = golden.batches(BATCHES)
        if len({batch.shape for batch in batches}) > 1:
            raise ConfigurationError("its batches differ in shape, so a step has no ops that could be timed again")
        self.tokens = sum(b.n_targets for b in batches) / len(batches)
        self.training = own_training(golden, kernels, who.precision, batches, longest)
        self.names = [names(plan.calls) for plan in self.training.plans()]

    def run(self, n: int) -> dict[str, float]:
        """Make `n` steps: the nanoseconds that each op's calls took in all of them, as if no call had been disturbed.

        A core that others want, too, is taken away for milliseconds, in the middle of whichever call: sums would say
        who had bad luck. So each call counts `n` times with the lower quartile of its `n` times.
        """
        steps = [list(chain(*self.training.timed_step())) for _ in range(n)]
        total: dict[str, float] = defaultdict(float)
        for name, times in zip(chain(*self.names), zip(*steps), strict=True):
            total[name] += n * sorted(times)[n // 4]
        return total

    def clock_cost(self, seconds: float) -> dict[str, float]:
        """The share by which looking at the clock makes a step longer."""
        return {"cost": self.training.timed.cost(self.training.batches[0], seconds)}

    def facts(self) -> dict[str, Any]:
        return {"tokens": self.tokens}


def names(calls: Iterable[PlanCall]) -> list[str]:
    """Which op each call is of, and whether forward or backward: linear.backward."""
    return [f"{call.op.name}.{call.method}" for call in calls]
