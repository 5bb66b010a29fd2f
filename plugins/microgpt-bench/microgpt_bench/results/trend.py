"""How fast each candidate was in the runs that are kept, one after the other.

Machines differ, and one machine's speed wanders: so each machine has a series of its own, and in it a speed is beside
the fixed piece of work that its process did between the rounds, as a multiple of the first run's. Where a peer ran,
too, the ratio to it is the surer number. A trend shows where to look; whether something is slower, `compare` says.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from microgpt_bench.measuring.statistics import Spread, spread
from microgpt_bench.results.history import Run
from microgpt_bench.results.machines import SPEED
from microgpt_bench.results.result import Ratio, Result


@dataclass(frozen=True)
class Point:
    """One run's time of one candidate."""

    run: str
    time: str
    revision: str
    median_ms: float
    speed: float | None  # times the first run's; None where one of them took no time, or has no yardstick
    p10: float | None
    p90: float | None
    against: str  # the peer, or whoever its ratio is to
    ratio: float | None  # times as fast as that


@dataclass(frozen=True)
class Series:
    """Whole turns of one candidate on one machine, the oldest first."""

    machine: str
    bench: str
    model: str
    candidate: str
    precision: str
    threads: int
    points: list[Point]

    @property
    def title(self) -> str:
        precision = "" if self.precision == "float32" else f" {self.precision}"
        threads = f", {self.threads} threads" if self.threads > 1 else ""
        return f"{self.bench} of {self.model} on {self.candidate}{precision}{threads}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def trends(runs: Sequence[Run], models: Sequence[str] = (), candidates: Sequence[str] = ()) -> list[Series]:
    """The series of these models and candidates; without any, of all models and of microgpt."""
    found: dict[tuple[Any, ...], list[tuple[Run, Result]]] = {}
    for run in runs:
        for one in run.report.results:
            wanted = one.candidate in candidates if candidates else not one.peer
            if wanted and not one.op and (not models or one.model in models):
                key = machine(run), one.bench, one.model, one.candidate, one.precision, one.threads
                found.setdefault(key, []).append((run, one))
    return [series(pairs) for pairs in found.values()]


def series(pairs: Sequence[tuple[Run, Result]]) -> Series:
    run, one = pairs[0]
    return Series(described(run), one.bench, one.model, one.candidate, one.precision, one.threads, points(pairs))


def machine(run: Run) -> str:
    """What differs where times don't compare."""
    return str([run.report.machine.get(fact) for fact in SPEED])


def described(run: Run) -> str:
    """A machine in a few words."""
    facts = run.report.machine
    return f"{facts.get('cpu', 'an unknown processor')}, {facts.get('cores', '?')} cores"


def points(pairs: Sequence[tuple[Run, Result]]) -> list[Point]:
    times = [beside_yardstick(one) for _, one in pairs]
    found = []
    for (run, one), time in zip(pairs, times, strict=True):
        speed = p10 = p90 = None
        if (first := times[0]) and time:
            speed, p10, p90 = first.median / time.median, first.median / time.p90, first.median / time.p10
        ratio = ratio_of(run, one)
        against, times_as_fast = (ratio.against, ratio.ratio) if ratio else ("", None)
        when = run.name, run.time, run.revision
        found.append(Point(*when, one.median_ms, speed, p10, p90, against, times_as_fast))
    return found


def beside_yardstick(one: Result) -> Spread | None:
    """A turn's time as a multiple of the fixed piece of work right after it."""
    pairs = zip(one.rounds_ms, one.yardstick_ms)
    found = [ms / fixed for rounds in pairs for ms, fixed in zip(*rounds)]
    return spread(found) if found and min(found) > 0 else None


def ratio_of(run: Run, one: Result) -> Ratio | None:
    """How it did beside others in its own run; in its own precision, if it met them there."""
    who = one.bench, one.model, one.candidate, one.precision
    met = [r for r in run.report.ratios if (r.bench, r.model, r.candidate, r.precision) == who]
    return min(met, key=lambda ratio: ratio.against_precision != ratio.precision, default=None)
