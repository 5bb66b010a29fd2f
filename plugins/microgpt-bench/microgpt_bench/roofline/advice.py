"""Advice with numbers: what would make a step faster, and by how much at most. Each is a function with its condition.

A gain is Amdahl's: how many times as many tokens a second, if the part in question ran as said and the rest as before.
Where nothing was timed, the least times stand for the times.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from microgpt_bench.roofline.points import Point, by_op, whole
from microgpt_bench.roofline.roof import COMPUTE, Roof
from microgpt_bench.roofline.scale import rate, seconds, share

WORTH = 1.05  # times as fast: less isn't worth saying
FAR = 0.5  # of its roof: below, there is something to be found
NEAR = 0.8  # of its roof: above, there is little left
LARGEST_BATCH = 64  # times the batch
SMALL = 2e-6  # seconds: a call that needs less spends its time on being called


@dataclass(frozen=True)
class Situation:
    """What advice is given on."""

    points: Sequence[Point]  # of a whole step
    roof: Roof
    backends: Sequence[str]  # that could be used here, the best first; the reference is always there
    tokens: int = 1  # of a batch
    cores: int = 1  # that could be used
    accumulation: int = 1  # batches between two updates

    def time(self, point: Point) -> float:
        """Seconds."""
        return point.least(self.roof)[0] if point.ns is None else point.ns / 1e9

    @property
    def total(self) -> float:
        return sum(map(self.time, self.points))

    def gain(self, saved: float) -> float:
        """Amdahl: the step is faster by as many times when so many seconds go."""
        return self.total / max(self.total - saved, 1e-12)


@dataclass(frozen=True)
class Advice:
    """What to do, the numbers that it rests on, and how many times as fast a step would be at most."""

    what: str
    because: str
    gain: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def backend(at: Situation) -> Advice | None:
    """Calls that run on the reference."""
    slow = [p for p in at.points if p.backend == "reference"]
    spent, least = sum(map(at.time, slow)), sum(p.least(at.roof)[0] for p in slow)
    others = [name for name in at.backends if name != "reference"]
    if not slow or at.gain(spent - least) < WORTH:
        return None
    what = (
        f"use a backend, in a pipeline: backend: {others[0]}" if others else "install a backend, such as microgpt-numpy"
    )
    if others and len(slow) < len(at.points):
        what = f"find out why {', '.join(sorted({p.op for p in slow}))} fell back: microgpt plan --explain"
    because = (
        f"{len(slow)} of {len(at.points)} calls run in pure Python: they take {seconds(spent)} and need "
        f"{seconds(least)} by the roof"
    )
    return Advice(what, because, at.gain(spent - least))


def far_below(at: Situation) -> Advice | None:
    """The op by which most could be won."""
    quick = [p for p in at.points if p.ns is not None and p.backend != "reference"]
    large = [g for g in by_op(quick, at.roof) if g.least / g.calls >= SMALL]
    groups = [g for g in large if g.share is not None and g.share < FAR]
    if not groups:
        return None
    worst = max(groups, key=lambda g: g.weight - g.least)
    gain = at.gain(worst.weight - worst.least)
    if gain < WORTH:
        return None
    because = (
        f"it holds {share(worst.weight / at.total)} of the step at {share(worst.share or 0.0)} of its roof "
        f"({worst.bound}): {seconds(worst.weight)} where {seconds(worst.least)} would do"
    )
    return Advice(f"look at the kernel of {worst.name}, on {' and '.join(sorted(worst.backends))}", because, gain)


def larger_batch(at: Situation) -> Advice | None:
    """The batch from which on the matrix products are bound by arithmetic, where parameters are what they wait for."""
    products = [p for p in at.points if p.op == "linear" and p.fixed and p.least(at.roof)[1] != COMPUTE]
    factor = next((2**i for i in range(1, 20) if all(computes(grown(p, 2**i), at.roof) for p in products)), 0)
    if not products or not 0 < factor <= LARGEST_BATCH:
        return None
    gain = grown_gain(factor, at)
    if gain < WORTH:
        return None
    waiting = sum(map(at.time, products))
    because = (
        f"{len(products)} products of {at.tokens:,} tokens wait for their weights ({share(waiting / at.total)} of the "
        f"step); with {factor * at.tokens:,} each byte serves enough tokens that arithmetic bounds them"
    )
    return Advice(larger(factor), because, gain)


def larger(factor: int) -> str:
    return f"make batches {factor} times as large, in a pipeline: batch_size under train"


def grown(point: Point, factor: int) -> Point:
    """The same call on a batch so many times as large. An update stays as it is."""
    if point.update:
        return point
    extra = (factor - 1) * (point.bytes - point.fixed)
    return replace(point, flops=factor * point.flops, bytes=point.bytes + extra, touched=point.touched + extra, ns=None)


def computes(point: Point, roof: Roof) -> bool:
    return point.least(roof)[1] == COMPUTE


def grown_gain(factor: int, at: Situation) -> float:
    """Tokens a second with a larger batch beside those now. A call takes longer by what the roof says, times how far it
    is from it where it isn't just being called.
    """
    total = 0.0
    for p in at.points:
        least, spent = p.least(at.roof)[0], at.time(p)
        added = grown(p, factor).least(at.roof)[0] - least
        total += spent + added * (spent / least if least >= SMALL else 1.0)
    return factor * at.total / total


def small_calls(at: Situation) -> Advice | None:
    """Calls that are mostly being called."""
    small = [p for p in at.points if p.ns is not None and p.least(at.roof)[0] < SMALL and p.backend != "reference"]
    spent, least = sum(map(at.time, small)), sum(p.least(at.roof)[0] for p in small)
    if not small or least > FAR * spent or spent < at.total / 4:
        return None
    gain = grown_gain(factor := 8, at)
    because = (
        f"{len(small)} calls need {seconds(least)} by the roof and take {seconds(spent)}, {seconds(spent / len(small))}"
        " each: that is what a call costs, whatever it computes, and a larger batch shares it among more tokens"
    )
    return Advice(larger(factor), because, gain)


def precision(at: Situation) -> Advice | None:
    """Half the bytes, and what the machine computes faster."""
    wide = [p for p in at.points if p.precision == "float64"]
    single = [p for p in at.points if p.precision == "float32"]
    name, points = ("float32", wide) if wide else ("bfloat16", single)
    if not points or name not in at.roof.peaks:
        return None
    saved = sum(at.time(p) * (1 - narrow(p, name, at.roof) / p.least(at.roof)[0]) for p in points if p.bytes)
    if at.gain(saved) < WORTH:
        return None
    now = points[0].precision
    because = (
        f"{name} has half the bytes, and a peak of {rate(at.roof.peak(name), 'FLOP/s')}, "
        f"{at.roof.peak(name) / at.roof.peak(now):.1f} times that of {now}"
    )
    return Advice(f"use {name}, in a pipeline: precision: {name}", because, at.gain(saved))


def narrow(point: Point, name: str, roof: Roof) -> float:
    """The least seconds in a precision of half the width. What updates a parameter keeps its own."""
    if point.update and name == "bfloat16":
        return point.least(roof)[0]
    return replace(point, precision=name, bytes=point.bytes // 2, touched=point.touched // 2).least(roof)[0]


def threads(at: Situation) -> Advice | None:
    """Cores that do nothing. What waits for memory, or for a cache that cores share, isn't made faster."""
    own = [p for p in at.points if p.backend != "reference" and p.least(at.roof)[1] in (COMPUTE, "L1", "L2")]
    own = [p for p in own if p.least(at.roof)[0] > SMALL]  # what is shorter isn't worth splitting
    spent, times = sum(map(at.time, own)), at.cores / at.roof.threads
    gain = at.gain(spent * (1 - 1 / times)) if times > 1 else 1.0
    if gain < WORTH:
        return None
    because = (
        f"{at.cores - at.roof.threads} of {at.cores} cores do nothing, and {share(spent / at.total)} of the step is "
        "bound by what every core has of its own"
    )
    what = (
        f"let it use {at.cores} threads, as a run does where OMP_NUM_THREADS isn't set; see it by --threads {at.cores}"
    )
    return Advice(what, because, gain)


def rarer_updates(at: Situation) -> Advice | None:
    """An update that holds much of the step, whatever the batch."""
    spent = sum(at.time(p) for p in at.points if p.update)
    factor, total = 4, at.total
    gain = factor * total / (factor * (total - spent) + spent)
    if gain < 1.2:
        return None
    because = (
        f"the update takes {share(spent / at.total)} of the step and reads every parameter and its state, however many "
        "tokens came before"
    )
    batches = factor * at.accumulation
    what = f"update after {batches} batches, in a pipeline: accumulation: {batches} under train"
    return Advice(what, because, gain)


def nothing_left(at: Situation) -> Advice | None:
    """A step that is as fast as it can be."""
    reached = whole(at.points, at.roof).share
    if reached is None or reached < NEAR:
        return None
    because = f"the step is at {share(reached)} of its roof"
    return Advice("compute less, or on another machine", because, 1 / reached)


ALL: tuple[Callable[[Situation], Advice | None], ...] = (
    backend, far_below, larger_batch, small_calls, precision, threads, rarer_updates, nothing_left,
)  # fmt: skip


def advise(at: Situation) -> list[Advice]:
    """All that fits, the greatest gain first."""
    return sorted(given(at), key=lambda advice: -advice.gain)


def given(at: Situation) -> Iterator[Advice]:
    for function in ALL:
        if advice := function(at):
            yield advice
