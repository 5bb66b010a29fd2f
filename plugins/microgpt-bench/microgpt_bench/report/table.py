"""A report as a table on the terminal."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeAlias

from microgpt_bench.results.result import Ratio, Report, Result
from microgpt_bench.roofline.scale import digits, share

Rows: TypeAlias = list[list[str]]
Column: TypeAlias = tuple[str, Callable[[Result], str]]

ROOFS = {"generate": "of the bandwidth"}
TURNS = {"step": "ms a step", "ops": "ms a step", "generate": "ms a token"}


def tables(report: Report) -> Iterable[tuple[Sequence[str], Rows]]:
    """A table of whole turns, and one of single ops where they were timed."""
    whole = [found for found in report.results if not found.op]
    columns = [
        column for column in (*first_columns(whole), *ratio_columns(report.ratios)) if any(map(column[1], whole))
    ]
    if whole:
        yield [name for name, _ in columns], [[cell(found) for _, cell in columns] for found in whole]
    if any(found.op for found in report.results):
        yield OPS, list(op_rows(report.results))


def first_columns(whole: Sequence[Result]) -> Iterable[Column]:
    """What is said of a candidate by itself; a column in which nobody has anything is left out."""
    kind = whole[0].bench if whole else ""
    turn, roof = TURNS.get(kind, "ms"), ROOFS.get(kind, "of the roof")
    yield "model", lambda found: found.model
    yield "candidate", label
    yield turn, lambda found: digits(found.median_ms)
    yield "10-90 %", spread
    yield "one alone", lambda found: "" if found.one_at_a_time_ms is None else digits(found.one_at_a_time_ms)
    yield "tokens/s", lambda found: f"{found.tokens_per_s:,.0f}" if found.tokens else ""
    yield "MB/s", lambda found: digits(found.mb_per_s) if found.mb_per_s else ""
    yield roof, lambda found: "" if found.roof_share is None else share(found.roof_share)
    yield "for the clock", lambda found: "" if found.clock_cost is None else share(max(0.0, found.clock_cost))
    yield "MB", lambda found: f"{found.peak_rss_mb:,.0f}" if found.peak_rss_mb else ""
    yield "first, s", lambda found: f"{found.first_s:.2f}"


def ratio_columns(ratios: Sequence[Ratio]) -> Iterable[Column]:
    """How many times as fast a candidate is as each other program: in its own precision and, where that isn't the same
    for all, in whichever suits the other best. And with how much of its memory.
    """
    for name in dict.fromkeys(ratio.against for ratio in ratios):
        same = [r for r in ratios if r.against == name and r.against_precision == r.precision]
        best = [r for r in ratios if r.against == name and r.against_precision != r.precision]
        who = "the first" if "[" in name else name  # with its settings it would be as wide as all the rest
        yield f"times {who}", partial(times, same)
        if best:
            yield f"times {who} at its best", partial(times, [*best, *same])
        yield f"MB of {who}'s", partial(memory, [*same, *best])


OPS = ("model", "candidate", "op", "ms", "10-90 %", "of the step")


def label(found: Result) -> str:
    """A candidate's name, and the precision where it isn't float32."""
    return found.candidate if found.precision == "float32" else f"{found.candidate} {found.precision}"


def spread(found: Result) -> str:
    return f"{digits(found.p10_ms)}-{digits(found.p90_ms)}"


def times(ratios: Sequence[Ratio], found: Result) -> str:
    """The ratio, with a question mark where the noise is larger than the difference; "" where there is none."""
    for ratio in ratios:
        if (ratio.model, ratio.candidate, ratio.precision) == (found.model, found.candidate, found.precision):
            return f"{digits(ratio.ratio)}{' ?' if ratio.undecided else ''}"
    return ""


def memory(ratios: Sequence[Ratio], found: Result) -> str:
    """The share of the other's peak memory; "" where it isn't known."""
    for ratio in ratios:
        if (ratio.model, ratio.candidate, ratio.precision) == (found.model, found.candidate, found.precision):
            return "" if ratio.memory is None else share(ratio.memory)
    return ""


def op_rows(results: Sequence[Result]) -> Iterable[list[str]]:
    for found in results:
        if found.op:
            step = next(one for one in results if not one.op and (one.model, label(one)) == (found.model, label(found)))
            held = share(found.median_ms / step.median_ms) if step.median_ms else ""
            yield [found.model, label(found), found.op, digits(found.median_ms), spread(found), held]
