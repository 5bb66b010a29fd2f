"""Comparisons on a simulated machine that is as bad as a shared one: its speed wanders by 1.7 times either way, between
runs, within them and within a process; processes have luck of their own, and some calls are interrupted.
"""

from collections.abc import Mapping
from math import exp, log
from random import Random
from statistics import median

import pytest

from microgpt_bench.results.compare import Verdict, compare
from microgpt_bench.results.result import Report, Result

SHARES = dict(
    zip(
        "abcdefghijklmnopqrs", (217, 144, 104, 100, 74, 62, 56, 56, 50, 39, 29, 20, 17, 11, 10, 7, 6, 3, 1), strict=True
    )
)
BIG = "abcd"  # hold at least a tenth of the step
TINY = "pqrs"  # hold less than a hundredth
PERCENT = 10.0
PROCESSES, ROUNDS = 10, 6


class Machine:
    """How long everything takes at a moment. Time is counted in blocks."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.speed = rng, log(rng.uniform(0.6, 1.7))

    def moment(self) -> float:
        """The speed wanders, and jumps when a neighbour comes or goes."""
        rng = self.rng
        self.speed += rng.gauss(0, 0.08)
        if rng.random() < 0.05 or not log(0.6) < self.speed < log(1.7):
            self.speed = log(rng.uniform(0.6, 1.7))
        return exp(self.speed)


class Version:
    """A program whose processes have luck: 3 % with everything, 1.5 % with each op."""

    def __init__(self, rng: Random, slower: Mapping[str, float]) -> None:
        self.rng, self.slower = rng, slower
        self.ops: dict[str, list[list[float]]] = {op: [] for op in SHARES}
        self.yardsticks: list[list[float]] = []

    def start(self) -> None:
        self.luck = {op: exp(self.rng.gauss(0, 0.015)) for op in SHARES}
        self.common = exp(self.rng.gauss(0, 0.03))
        for rounds in (*self.ops.values(), self.yardsticks):
            rounds.append([])

    def block(self, speed: float) -> None:
        rng = self.rng
        for op, share in SHARES.items():
            interrupted = 1 + (rng.random() < 0.03) * rng.expovariate(3)
            ms = share * self.luck[op] * self.slower.get(op, 1.0) * exp(rng.gauss(0, 0.02)) * interrupted
            self.ops[op][-1].append(ms * self.common * speed)
        self.yardsticks[-1].append(speed * exp(rng.gauss(0, 0.03)))

    def report(self, environment: str = "") -> Report:
        whole = [[sum(ms) for ms in zip(*processes)] for processes in zip(*self.ops.values())]
        return Report({}, [self.result("", whole), *(self.result(op, rounds) for op, rounds in self.ops.items())])

    def result(self, op: str, rounds: list[list[float]]) -> Result:
        return of_rounds(rounds, op=op, yardstick_ms=tuple(map(tuple, self.yardsticks)))


def of_rounds(rounds: list[list[float]], bench: str = "ops", **more: object) -> Result:
    middle = median(ms for process in rounds for ms in process)
    kept = tuple(map(tuple, rounds))
    return Result(bench, "e16", "numpy", "float32", 1, 8, middle, middle, middle, 8e3, 50, 1, kept, **more)  # type: ignore[arg-type]


def raced(rng: Random, slower: Mapping[str, float], processes: int = PROCESSES) -> tuple[Report, Report]:
    """Both versions, block by block in turn."""
    machine, versions = Machine(rng), (Version(rng, {}), Version(rng, slower))
    for _ in range(processes):
        for version in versions:
            version.start()
        for _ in range(ROUNDS):
            for version in versions:
                version.block(machine.moment())
    return versions[0].report(), versions[1].report()


def apart(rng: Random, slower: Mapping[str, float], processes: int = PROCESSES) -> tuple[Report, Report]:
    """One version after the other, on a machine that is another by then."""
    reports = []
    for changes in ({}, slower):
        machine, version = Machine(rng), Version(rng, changes)
        for _ in range(processes):
            version.start()
            for _ in range(ROUNDS):
                version.block(machine.moment())
        reports.append(version.report())
    return reports[0], reports[1]


WAYS = {"raced": (raced, True), "apart": (apart, False)}


def verdicts(way: str, rng: Random, slower: Mapping[str, float], percent: float = PERCENT) -> dict[str, Verdict]:
    measure, same_race = WAYS[way]
    return {one.op: one for one in compare(*measure(rng, slower), percent, same_race)}


def named(found: Mapping[str, Verdict]) -> list[str]:
    return [op for op, one in found.items() if one.verdict in ("slower", "faster")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [20, pytest.param(500, marks=pytest.mark.slow)])
def test_a_slowdown_of_ten_percent_is_named_and_nothing_else(way: str, n: int) -> None:
    rng, missed, others, alarms = Random(n), 0, 0, 0
    for i in range(n):
        slow = BIG[i % len(BIG)]
        found = verdicts(way, rng, {slow: 1.1})
        missed += found[slow].verdict != "slower"
        others += len(named(found)) - (slow in named(found))
        alarms += len(named(verdicts(way, rng, {})))
    assert missed <= n / 100, missed
    assert others <= n / 500, others
    assert alarms <= n / 500, alarms


def test_times_as_they_are_would_be_wrong_all_the_time() -> None:
    """The planted mistake: were the simulated machine kind, the test above would mean nothing."""
    rng, alarms = Random(1), 0
    for _ in range(20):
        a, b = apart(rng, {})
        alarms += any(abs(log(y.median_ms / x.median_ms)) > log(1.1) for x, y in zip(a.results, b.results))
    assert alarms >= 10


@pytest.mark.parametrize("way", WAYS)
def test_a_speedup_is_named(way: str) -> None:
    assert verdicts(way, Random(3), {"a": 1 / 1.3})["a"].verdict == "faster"


def test_what_gets_faster_around_an_op_makes_it_no_slower() -> None:
    """A release that makes most ops twice as fast: beside them the others take twice their time, but no longer."""
    found = verdicts("raced", Random(4), dict.fromkeys("abcdefghij", 0.5))
    assert [op for op, one in found.items() if one.verdict == "slower"] == []
    assert found[""].verdict == "faster"


def test_what_slows_everything_is_the_steps_fault_and_no_ops() -> None:
    found = verdicts("raced", Random(5), dict.fromkeys(SHARES, 1.3))
    assert named(found) == [""]
    assert found[""].verdict == "slower"


def test_without_processes_enough_nothing_is_decided() -> None:
    old, new = raced(Random(6), {"a": 1.5}, processes=1)
    assert {one.verdict for one in compare(old, new, PERCENT, same_race=True)} == {"undecided"}


def test_differences_below_the_percent_are_none() -> None:
    """However sure they are."""
    old, new = raced(Random(7), {"a": 1.1})
    assert {one.op: one.verdict for one in compare(old, new, 30.0, same_race=True)}["a"] == "same"


def test_tiny_ops_are_left_alone_unless_they_have_grown() -> None:
    assert not set(TINY) & verdicts("raced", Random(8), {}).keys()
    assert verdicts("raced", Random(8), {"s": 50.0})["s"].verdict == "slower"


def test_whole_steps_are_compared_beside_the_yardstick_and_only_so() -> None:
    rng = Random(9)
    steps = [[[3.0 * exp(rng.gauss(0, 0.01)) for _ in range(ROUNDS)] for _ in range(PROCESSES)] for _ in range(2)]
    plain = [Report({}, [of_rounds(rounds, "step")]) for rounds in steps]
    assert compare(plain[0], plain[1], PERCENT)[0].verdict == "undecided"
    sticks = [[[y * exp(rng.gauss(0, 0.01)) for _ in range(ROUNDS)] for _ in range(PROCESSES)] for y in (1.0, 0.8)]
    a, b = (Report({}, [of_rounds(x, "step", yardstick_ms=y)]) for x, y in zip(steps, sticks, strict=True))
    (found,) = compare(a, b, PERCENT)
    assert (found.verdict, round(found.time_ratio, 1)) == ("slower", 1.3)  # the same time on a machine that is faster


def test_an_op_too_short_for_the_clock_is_left_alone() -> None:
    zeros = [[0.0] * ROUNDS for _ in range(PROCESSES)]
    report = Report({}, [of_rounds(zeros, op="a"), of_rounds([[1.0] * ROUNDS] * PROCESSES, op="b")])
    assert [one.op for one in compare(report, report, PERCENT)] == ["b"]


def test_a_peer_gets_no_verdict() -> None:
    rounds = [[1.0] * ROUNDS] * PROCESSES
    report = Report({}, [of_rounds(rounds, "step", peer=True)])
    assert compare(report, report, PERCENT) == []
