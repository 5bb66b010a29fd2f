"""Steps whose every call is timed where it stands: by the native code that runs many in one go, where that can, else
by this clock.

    class Program:                      # what a backend's `join` may make of calls that follow one another
        calls: Sequence[object]
        def __call__(self) -> None: ...
        def timed(self, ns: Buffer) -> None: ...    # the same, and the nanoseconds of each call into as many doubles
"""

from array import array
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from statistics import median
from time import perf_counter, perf_counter_ns
from typing import Protocol, TypeAlias, runtime_checkable

from microgpt_core.components import Buffer
from microgpt_core.engine.replay import Replay
from microgpt_core.engine.tensor import Tensor
from microgpt_core.text.batch import Batch
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update

LEAST_PAIRS = 5

Run: TypeAlias = Callable[[], object]


@runtime_checkable
class TimesItself(Protocol):
    """Calls in one go, whose backend can say how long each took."""

    calls: Sequence[object]

    def timed(self, ns: Buffer) -> None: ...


class Stopwatch:
    """A replay that says how long each call of its plan took."""

    def __init__(self, replay: Replay) -> None:
        self.replay, self.plain = replay, list(replay.program)
        self.ns = Buffer(array("d", [0.0]) * len(replay.plan.calls))
        counts = [len(run.calls) if isinstance(run, TimesItself) else 1 for run in self.plain]
        ends = list(accumulate(counts))
        self.joined = ends[-1] < len(self.ns)  # calls in one go that nobody can time apart
        self.timing = [partial(time_run, run, self.ns[end - n : end]) for run, n, end in zip(self.plain, counts, ends)]

    def __call__(self, inputs: Sequence[Tensor]) -> list[float]:
        """Run the plan: the nanoseconds of each call. What can't be timed in one go is run call by call."""
        if self.joined:
            return [float(ns) for ns in self.replay.timed(*inputs)]
        self.run(self.timing, inputs)
        return self.ns.tolist()

    def whole(self, inputs: Sequence[Tensor], timing: bool) -> float:
        """Run the plan, its calls timed or not: the nanoseconds of all of them, without what stands around them."""
        if timing and self.joined:
            return sum(self.replay.timed(*inputs))
        passed: list[int] = []
        self.run([partial(time_all, self.timing if timing else self.plain, passed)], inputs)
        return passed[0]

    def run(self, program: Sequence[Run], inputs: Sequence[Tensor]) -> None:
        """Run these instead of the replay's own."""
        self.replay.program = list(program)
        try:
            self.replay(*inputs)
        finally:
            self.replay.program = list(self.plain)


def time_run(run: Run | TimesItself, ns: Buffer) -> None:
    """Run one of a replay's, and write down how long each of its calls took."""
    if isinstance(run, TimesItself):
        run.timed(ns)
    else:
        start = perf_counter_ns()
        run()
        ns[0] = perf_counter_ns() - start


def time_all(runs: Sequence[Run], passed: list[int]) -> None:
    """Run all of a replay's, and write down how long that took."""
    start = perf_counter_ns()
    for run in runs:
        run()
    passed.append(perf_counter_ns() - start)


class TimedSteps:
    """Steps of a training: forward and backward, then the update."""

    def __init__(self, loss: BatchLoss, update: Update) -> None:
        self.loss, self.update = loss, update
        self.watches: list[Stopwatch] = []

    def step(self, batch: Batch, lr: float = 0.0, step: int = 0) -> tuple[list[float], list[float]]:
        """Make a step: the nanoseconds of each call of the two plans."""
        micro, update = (watch(inputs) for watch, inputs in self.watched(batch, lr, step))
        return micro, update

    def cost(self, batch: Batch, seconds: float) -> float:
        """The share by which timing its calls makes a step longer: the median of pairs, by turns the one and the other
        first. The learning rate is 0, so that no weight moves.
        """
        ratios, end = list[float](), perf_counter() + seconds
        while len(ratios) < LEAST_PAIRS or perf_counter() < end:
            order = (True, False) if len(ratios) % 2 else (False, True)
            passed = {timing: self.whole(batch, timing) for timing in order}
            ratios.append(passed[True] / max(1, passed[False]))
        return median(ratios) - 1

    def whole(self, batch: Batch, timing: bool) -> float:
        return sum(watch.whole(inputs, timing) for watch, inputs in self.watched(batch))

    def watched(self, batch: Batch, lr: float = 0.0, step: int = 0) -> list[tuple[Stopwatch, Sequence[Tensor]]]:
        """A stopwatch on each plan, and its inputs."""
        (of_loss,) = self.loss.window_inputs([batch])
        inputs: list[Sequence[Tensor]] = [of_loss, self.update.inputs(lr, step)]
        replays = [self.loss.training.replay_for(*inputs[0]), self.update.plan.replay_for(*inputs[1])]
        if [watch.replay for watch in self.watches] != replays:
            self.watches = [Stopwatch(replay) for replay in replays]
        return list(zip(self.watches, inputs, strict=True))
