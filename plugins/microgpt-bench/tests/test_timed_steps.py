"""Times of a step's calls, from backends that time what they run in one go, that don't, and that join nothing."""

from collections.abc import Callable, Sequence
from itertools import chain

import pytest

from microgpt_bench.golden import GOLDEN
from microgpt_bench.work.training import OwnTraining
from microgpt_core.components import Buffer, flat
from microgpt_core.engine.backends import REFERENCE, Reference

Run = Callable[[], object]


class Together:
    """Calls in one go, which can't say how long each took."""

    def __init__(self, calls: Sequence[Run]) -> None:
        self.calls = calls

    def __call__(self) -> None:
        for call in self.calls:
            call()


class Timing(Together):
    """By a clock on which each takes a nanosecond more than the one before, and the first a second."""

    def timed(self, ns: Buffer) -> None:
        self()
        for i in range(len(ns)):
            ns[i] = 1e9 + i


def joined(kind: type[Together]) -> Callable[[Reference, Sequence[Run]], Sequence[Run]]:
    """A `join` that leaves the first call and the last alone."""
    return lambda backend, runs: [runs[0], kind(runs[1:-1]), runs[-1]]


def training() -> OwnTraining:
    golden = GOLDEN["e16"]
    return OwnTraining(golden.build(), golden.batches(3), golden.optimizer(), REFERENCE)


def weights(made: OwnTraining) -> list[list[float]]:
    return [flat(x).tolist() for x in made.model.state().values()]


def test_a_backend_times_what_it_runs_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reference, "join", joined(Timing))
    for plan, (first, *between, last) in zip(training().plans(), training().timed_step(), strict=True):
        assert len(between) == len(plan.calls) - 2
        assert between == [1e9 + i for i in range(len(between))]
        assert 0 < first < 1e8
        assert 0 < last < 1e8


def test_what_is_joined_and_cannot_be_timed_is_run_call_by_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reference, "join", joined(Together))
    made = training()
    for _ in range(2):
        for plan, times in zip(made.plans(), made.timed_step(), strict=True):
            assert len(times) == len(plan.calls)
            assert min(times) > 0
    assert made.timed.cost(made.batches[0], 0.0) > -1


@pytest.mark.parametrize("kind", [None, Timing, Together])
def test_timed_steps_are_the_same_steps(kind: type[Together] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = training()
    for _ in range(4):
        expected.run(1)
    if kind:
        monkeypatch.setattr(Reference, "join", joined(kind))
    made = training()
    for _ in range(2):
        made.timed_step()
    before = weights(made)
    made.timed.cost(made.batches[0], 0.0)
    assert weights(made) == before
    made = training()
    for _ in range(4):
        made.timed_step()
    assert weights(made) == weights(expected)
    assert all(ns > 0 for ns in chain(*made.timed_step()))


@pytest.mark.parametrize(("slower", "cost"), [(1.0, 0.0), (1.5, 0.5)])
def test_the_cost_is_how_much_longer_a_step_takes(slower: float, cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only calls move: a nanosecond each, or more where they are timed."""
    now = [0.0]

    class Clocked(Together):
        def __call__(self) -> None:
            super().__call__()
            now[0] += 1000 * len(self.calls)

        def timed(self, ns: Buffer) -> None:
            super().__call__()
            now[0] += 1000 * slower * len(self.calls)

    monkeypatch.setattr("microgpt_bench.work.timed_steps.perf_counter_ns", lambda: int(now[0]))
    monkeypatch.setattr(Reference, "join", lambda backend, runs: [Clocked(runs)])
    made = training()
    assert made.timed.cost(made.batches[0], 0.0) == pytest.approx(cost)
