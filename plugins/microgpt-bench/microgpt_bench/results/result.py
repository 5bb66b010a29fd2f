"""What a benchmark found, as data: the JSON that `--json` prints and `--save` keeps."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from statistics import median
from sys import float_info
from typing import Any

from microgpt_bench.measuring.race import Timed
from microgpt_bench.measuring.statistics import spread

SCHEMA = 1


@dataclass(frozen=True)
class Result:
    """One candidate's times of one kind of work. Times are of one turn: a step, a token, an op's calls in a step."""

    bench: str  # "step", "ops", "generate", "startup", "tokenize" or "checkpoint"
    model: str  # a golden model's name, or what is started, or done: "char encode", "e64 save"
    candidate: str
    precision: str
    threads: int
    tokens: float  # that a turn is counted with: a step's real targets; 0 for an op
    median_ms: float
    p10_ms: float
    p90_ms: float
    tokens_per_s: float
    peak_rss_mb: float
    first_s: float  # from an empty process to the end of the first turn
    rounds_ms: tuple[tuple[float, ...], ...]  # by process and round: what noise is judged by
    roof_share: float | None = None  # the least time that this machine could take, of this one; None if it isn't known
    op: str = ""  # of `bench ops`: which op's calls; "" for the whole turn
    settings: str = ""  # what a peer was told
    one_at_a_time_ms: float | None = None  # where a step is issued alone instead of in a block
    environment: str = ""  # the Python environment that it ran in, where several were raced; `candidate` begins with it
    yardstick_ms: tuple[tuple[float, ...], ...] = ()  # the fixed piece of work right after each of `rounds_ms`
    peer: bool = False  # another program
    clock_cost: float | None = None  # of `bench ops`: by which share timing each call makes a step longer
    mb_per_s: float = 0.0  # millions of bytes of text or of files; 0 where a turn goes through none


@dataclass(frozen=True)
class Ratio:
    """How many times as fast a candidate is as another: above 1 it is faster."""

    bench: str
    model: str
    candidate: str
    precision: str
    against: str  # the other's name; a peer's stands for the fastest of its ways
    against_way: str  # which that was; "" where there is one only
    against_precision: str
    ratio: float
    p10: float
    p90: float
    undecided: bool  # the noise is larger than the difference
    memory: float | None = None  # its peak memory as a share of the other's; None where one isn't known


@dataclass(frozen=True)
class Report:
    """A benchmark's whole outcome."""

    machine: dict[str, Any]
    results: list[Result]
    ratios: list[Ratio] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # candidate -> why it has no times
    agreement: dict[str, dict[str, float]] = field(default_factory=dict)  # candidate -> what differs, by how much
    remarks: list[str] = field(default_factory=list)  # how it was measured, where not everybody ran like everybody

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, which knows neither infinity nor NaN: the largest number stands for them."""
        plain = {"schema": SCHEMA, **asdict(self)}
        for differs in plain["agreement"].values():
            differs.update({what: float_info.max for what, size in differs.items() if not isfinite(size)})
        return plain


def result(bench: str, model: str, timed: Timed, roof_s: float | None = None) -> Result:
    """A candidate's result. `roof_s` are the seconds that a turn must take at least.

    Where its parts were timed, a turn is their sum: looking at the clock so often isn't counted.
    """
    singles = [ns for process in timed.singles for ns in process]
    alone = median(singles) / 1e6 if singles else None
    tokens = float(timed.facts["tokens"])
    summed = [[sum(part.values()) for part in process] for process in timed.parts]
    if any(map(any, summed)):
        return of_rounds(bench, model, timed, summed, tokens, roof_s)
    return of_rounds(bench, model, timed, timed.rounds, tokens, roof_s, one_at_a_time_ms=alone)


def part_results(bench: str, model: str, timed: Timed) -> Iterator[Result]:
    """A result for each op whose calls were timed by themselves, the longest first."""
    found = []
    for op in dict.fromkeys(op for process in timed.parts for part in process for op in part):
        rounds = [[part[op] for part in process] for process in timed.parts]
        found.append(of_rounds(bench, model, timed, rounds, tokens=0.0, op=op))
    yield from sorted(found, key=lambda one: -one.median_ms)


def of_rounds(
    bench: str,
    model: str,
    timed: Timed,
    rounds_ns: Sequence[Sequence[float]],
    tokens: float,
    roof_s: float | None = None,
    **more: Any,
) -> Result:
    """Of a median of 0, which a coarse clock sees, no rate is known."""
    rounds = in_ms(rounds_ns)
    found, who = spread([ms for process in rounds for ms in process]), timed.candidate
    return Result(
        bench,
        model,
        who.name,
        who.precision,
        who.threads,
        tokens,
        found.median,
        found.p10,
        found.p90,
        tokens_per_s=1e3 * tokens / found.median if found.median else 0.0,
        peak_rss_mb=timed.peak_rss / 1e6,
        first_s=timed.first_s,
        rounds_ms=rounds,
        roof_share=1e3 * roof_s / found.median if roof_s is not None and found.median else None,
        environment=who.environment,
        yardstick_ms=in_ms(timed.yardsticks),
        peer=who.peer,
        clock_cost=None if more.get("op") else timed.clock_cost,
        settings=str(timed.facts.get("settings", "")),
        mb_per_s=timed.facts.get("bytes", 0) / 1e3 / found.median if found.median else 0.0,
        **more,
    )


def in_ms(rounds_ns: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(ns / 1e6 for ns in rounds) for rounds in rounds_ns)
