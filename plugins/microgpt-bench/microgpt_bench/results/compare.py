"""Two reports side by side: which steps and which ops have become slower or faster, and what is too noisy to say.

A shared machine's speed wanders, within a minute as between days, so times are never compared as they are:

* An op is compared *beside the other ops* of its own round: the median over the ops of what the moment added to each is
  taken away. What slows all of them, be it the machine or the interpreter, is no op's fault.
* A whole step is compared *by the clock* only with its neighbour in the same race, round by round. Between reports it's
  compared beside the fixed piece of work that its process did in between (or that a peer did: machines.py).
* Where even the median of the ops has changed for sure, an op is slower only if it is so by the clock, too: what gets
  faster around it makes it no slower.

What is sampled is processes, since each keeps its luck; a round's noise is gone with the median of its rounds. Limits
are Student's t for the processes' logarithms, so wide that all those of a comparison are right in 99 of 100. Slower is
what lies above 1 as a whole, by half of PERCENT at the best guess, and by PERCENT perhaps; same is what differs by less
than PERCENT for sure; the rest is undecided, and more processes would help.

Power: tests/test_compare.py simulates 10 processes at speeds that wander by 1.7 times. Where their luck with an op
differs by 2 %, a slowdown of 10 % was named in 2,997 of 3,000 comparisons, something else in 1, and of a version beside
itself nothing in 3,000. 5 processes find it where luck differs by 1 %, 12 where by 3 %. tests/test_planted_slowdown.py
does it for real.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log
from statistics import median
from sys import float_info
from typing import Literal, NamedTuple, TypeAlias

from microgpt_bench.results.interval import Interval, of_difference, of_mean
from microgpt_bench.results.result import Report, Result

WRONG = 0.01  # the chance that any limit of a comparison is
DOUBT = 0.5  # the part of PERCENT that a difference must have at the best guess
OTHER_WORK = 0.05  # how far off the speed may be that a yardstick tells: what slows the one may slow the other less
LEAST_SHARE = 0.01  # of a step: an op below this is compared with nothing, nor does it speak for the others

Rounds: TypeAlias = Sequence[Sequence[float]]  # by process and round


class Key(NamedTuple):
    """What two results have in common that may be compared."""

    bench: str
    model: str
    candidate: str
    precision: str
    threads: int
    op: str


@dataclass(frozen=True)
class Verdict:
    """How long it takes now, beside how long it took."""

    bench: str
    model: str
    candidate: str
    precision: str
    threads: int
    op: str  # "" for the whole step
    time_ratio: float  # new time / old time: above 1 it is slower
    low: float
    high: float
    verdict: Literal["slower", "faster", "same", "undecided"]
    share: float  # of the step that the op held; 1 for the step itself


def compare(old: Report, new: Report, percent: float, same_race: bool = False) -> list[Verdict]:
    """The verdict on everything that both reports have. Differences below `percent` count as none.

    `same_race` says that both were measured in turn, round by round.
    """
    a, b = by_key(old.results), by_key(new.results)
    pairs = {key: (a[key], b[key]) for key in a if key in b}
    steps: dict[Key, dict[Key, tuple[Result, Result]]] = defaultdict(dict)
    for key, pair in pairs.items():
        steps[key._replace(op="")][key] = pair
    shares = {key: share for step in steps.values() for key, share in shares_of(step).items()}
    judged = {key for key, share in shares.items() if share >= LEAST_SHARE and all(map(timeable, pairs[key]))}
    wrong = WRONG / max(1, 2 * len(judged))
    found: dict[Key, list[Interval]] = {}
    for step in steps.values():
        found |= intervals({key: pair for key, pair in step.items() if key in judged}, wrong, same_race)
    return [verdict(key, found[key], log(1 + percent / 100), shares[key]) for key in pairs if key in judged]


def intervals(step: Mapping[Key, tuple[Result, Result]], wrong: float, same_race: bool) -> dict[Key, list[Interval]]:
    """Between which limits log(new / old) lies, of a step and its ops: all that have a say, the first to be shown."""
    found = {
        key: [by_clock(logs(old.rounds_ms), logs(new.rounds_ms), (old, new), wrong, same_race)]
        for key, (old, new) in step.items()
    }
    if ops := {key: pair for key, pair in step.items() if key.op}:
        beside, common = beside_others(ops, wrong, same_race)
        uncommon = common.low <= 0 <= common.high
        found |= {key: [beside[key], *([] if uncommon else found[key])] for key in ops}
    return found


def by_key(results: Iterable[Result]) -> dict[Key, Result]:
    """Those of microgpt: what becomes of another program is no verdict on this one."""
    return {
        Key(r.bench, r.model, r.candidate.removeprefix(f"{r.environment}:"), r.precision, r.threads, r.op): r
        for r in results
        if not r.peer
    }


def timeable(result: Result) -> bool:
    """Whether the clock was fine enough for it."""
    return all(ms > 0 for process in result.rounds_ms for ms in process)


def shares_of(step: Mapping[Key, tuple[Result, Result]]) -> dict[Key, float]:
    """Of each op, the part of the step that it holds, the larger of both; of a whole step, 1."""
    sums = [sum(pair[i].median_ms for key, pair in step.items() if key.op) or inf for i in (0, 1)]  # of no time, none
    return {key: max(r.median_ms / s for r, s in zip(pair, sums)) if key.op else 1.0 for key, pair in step.items()}


def logs(rounds: Rounds) -> list[list[float]]:
    return [[log(ms) for ms in process] for process in rounds]


def less(a: Rounds, b: Rounds) -> list[list[float]]:
    """a - b in each round."""
    return [[x - y for x, y in zip(*processes)] for processes in zip(a, b)]


def medians(rounds: Rounds) -> list[float]:
    """Of each process."""
    return [median(process) for process in rounds]


def by_clock(a: Rounds, b: Rounds, pair: tuple[Result, Result], wrong: float, same_race: bool) -> Interval:
    """Between which limits b - a lies, logarithms of times that were measured with the pair."""
    if same_race:
        return of_mean(medians(less(b, a)), wrong)
    old, new = (logs(result.yardstick_ms) for result in pair)
    if not (old and new):
        return Interval(0.0, -inf, inf)
    found = of_difference(medians(less(a, old)), medians(less(b, new)), wrong)
    return Interval(found.centre, found.low - OTHER_WORK, found.high + OTHER_WORK)


def beside_others(
    ops: Mapping[Key, tuple[Result, Result]], wrong: float, same_race: bool
) -> tuple[dict[Key, Interval], Interval]:
    """Of each op, between which limits log(new / old) lies beside the other ops of the same step; and of what they have
    in common, by the clock.
    """
    usual = {key: median(x for process in logs(old.rounds_ms) for x in process) for key, (old, _) in ops.items()}
    extra = [
        {key: [[x - usual[key] for x in p] for p in logs(pair[i].rounds_ms)] for key, pair in ops.items()}
        for i in (0, 1)
    ]
    moment = [[[median(round_) for round_ in zip(*process)] for process in zip(*each.values())] for each in extra]
    own = [{key: medians(less(each[key], common)) for key in ops} for each, common in zip(extra, moment)]
    beside = {key: of_difference(own[0][key], own[1][key], wrong) for key in ops}
    return beside, by_clock(moment[0], moment[1], next(iter(ops.values())), wrong, same_race)


def verdict(key: Key, found: Sequence[Interval], allowed: float, share: float) -> Verdict:
    """What all intervals say together; the first one is reported."""
    word: Literal["slower", "faster", "same", "undecided"] = "undecided"
    if all(i.low > 0 and i.centre >= DOUBT * allowed and i.high >= allowed for i in found):
        word = "slower"
    elif all(i.high < 0 and i.centre <= -DOUBT * allowed and i.low <= -allowed for i in found):
        word = "faster"
    elif any(-allowed < i.low and i.high < allowed for i in found):
        word = "same"
    ratio, low, high = (bounded_exp(x) for x in (found[0].centre, found[0].low, found[0].high))
    return Verdict(*key, time_ratio=ratio, low=low, high=high, verdict=word, share=share)


def bounded_exp(x: float) -> float:
    """e^x, infinite where it's too large for a number."""
    return exp(x) if x < log(float_info.max) else inf
