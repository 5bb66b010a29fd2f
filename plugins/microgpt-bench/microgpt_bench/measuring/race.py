"""A race: candidates do the same work in turn, round by round, in new processes again and again.

The order turns with every round, so that nobody always follows the same neighbour. What a process costs before it is
warm isn't counted; where a process has its memory is chance, and so there are several.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

from microgpt_bench import __version__
from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.racer import CannotRunError, Racer

WARM = 2  # turns that aren't counted, or cycles of them
MOST_TURNS = 10_000  # in a block
LONGEST_BLOCK = 1.5  # seconds, of work that wants many turns in each

Say = Callable[[str], None]
Lane = list[tuple["Timed", Racer, int]]  # who runs, in which process, how many turns in a block


@dataclass
class Timed:
    """What was found of one candidate."""

    candidate: Candidate
    rounds: list[list[float]] = field(default_factory=list)  # nanoseconds of one turn, by process and round
    singles: list[list[float]] = field(default_factory=list)  # of a turn that is issued alone
    parts: list[list[dict[str, float]]] = field(default_factory=list)  # the same of each part, where the work says it
    yardsticks: list[list[float]] = field(default_factory=list)  # nanoseconds of the yardstick beside each round
    facts: dict[str, Any] = field(default_factory=dict)
    first_s: float = 0.0  # from nothing to the first turn's end, in the first process
    peaks: list[int] = field(default_factory=list)  # resident bytes: the most of each process until it was warm
    clock_cost: float | None = None  # the share by which timing each of its parts makes a turn longer
    left_out: str = ""  # why it has no times; "" where it has

    @property
    def peak_rss(self) -> int:
        """The most of its processes."""
        return max(self.peaks, default=0)


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int = 8  # in each process
    processes: int = 3  # of each candidate, one after the other
    block_seconds: float = 0.1  # turns are timed in blocks of about this length
    pinned: bool = True


def unchecked(lane: Lane) -> None:
    """Whoever does this work does it."""


def race(
    work: str,
    candidates: Sequence[Candidate],
    settings: Mapping[str, Any],
    effort: Effort,
    say: Say = lambda text: None,
    check: Callable[[Lane], None] = unchecked,
) -> list[Timed]:
    """Times of each candidate, or why there are none.

    `check` looks at the first process of each before it is timed, and marks who isn't to go on.
    """
    found = [Timed(candidate) for candidate in candidates]
    with ExitStack() as folders:
        scratch = [folders.enter_context(TemporaryDirectory(prefix="microgpt-bench-")) for _ in found]
        for process in range(effort.processes):
            with ExitStack() as stack:
                lane: Lane = []
                for timed, folder in zip(found, scratch, strict=True):
                    if not timed.left_out:
                        say(f"{timed.candidate.label}: getting ready, process {process + 1} of {effort.processes}")
                        racer = stack.enter_context(Racer(timed.candidate, effort.pinned, folder))
                        try:
                            lane.append((timed, racer, get_ready(timed, racer, work, settings, effort)))
                        except CannotRunError as error:
                            timed.left_out = str(error)
                if process == 0:
                    check(lane)
                    lane = [(timed, racer, turns) for timed, racer, turns in lane if not timed.left_out]
                run_rounds(lane, effort.rounds, say)
    return found


def get_ready(timed: Timed, racer: Racer, work: str, settings: Mapping[str, Any], effort: Effort) -> int:
    """Have it build and warm up; the turns in a block of it."""
    facts = racer.prepare(work, settings)
    first, least, cycle = float(facts.pop("first_s")), int(facts.pop("least_turns")), int(facts.pop("cycle"))
    timed.first_s, timed.facts = timed.first_s or first, facts
    ours, theirs = __version__, facts["versions"].get("microgpt-bench", __version__)
    if theirs != ours:
        raise CannotRunError(
            f"{timed.candidate.label}: its environment has microgpt-bench {theirs}, this one {ours}, which measures "
            "otherwise; install the same there"
        )
    ns = max(1.0, min(float(racer.run(cycle)["ns"]) for _ in range(WARM)) / cycle)  # a coarse clock may say 0
    timed.peaks.append(int(racer.tell(do="memory")["peak_rss"]))  # now: checking it may take more than its work
    for kept in (timed.rounds, timed.singles, timed.parts, timed.yardsticks):
        kept.append([])
    turns = max(round(1e9 * effort.block_seconds / ns), min(least, round(1e9 * LONGEST_BLOCK / ns)))
    return cycle * max(1, min(MOST_TURNS, turns) // cycle)


def run_rounds(lane: Lane, rounds: int, say: Say) -> None:
    """Each in turn, as often as there are rounds. Who can't go on is left out from there on, and counts no more."""
    for i in range(rounds):
        say(f"round {i + 1} of {rounds}")
        start = i % len(lane) if lane else 0
        for timed, racer, turns in (*lane[start:], *lane[:start]):
            if timed.left_out:
                continue
            try:
                answer = racer.run(turns)
            except CannotRunError as error:
                timed.left_out = str(error)
                continue
            timed.rounds[-1].append(answer["ns"] / turns)
            timed.singles[-1].append(answer["one"])
            timed.parts[-1].append({part: ns / turns for part, ns in answer["parts"].items()})
            timed.yardsticks[-1].append(answer["yardstick"])
