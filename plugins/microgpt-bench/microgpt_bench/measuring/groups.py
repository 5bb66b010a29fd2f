"""Races of more candidates than memory has room for: in groups, each with one that all groups have in common.

A later group's times are put beside the first one's round by round, by what the common candidate took in both. So a
ratio across groups is the product of two that were taken among neighbours, and has the noise of both.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from microgpt_bench.candidate import Candidate
from microgpt_bench.measuring.race import Timed
from microgpt_core.errors import DoesNotFitError
from microgpt_core.pipeline.runs.machine import in_units

MOST = 0.8  # of the free memory that a group is to take: needs are estimates, and compilers run beside them

Start = Callable[[Sequence[Candidate]], list[Timed]]


def race_in_groups(
    start: Start, candidates: Sequence[Candidate], needs: Sequence[int], free: int | None
) -> tuple[list[Timed], list[list[str]]]:
    """Everybody's times, and who ran beside whom. `needs` are bytes; without `free`, all run at once.

    Who has no room beside the first candidate is left out. Raises DoesNotFitError where that's everybody.
    """
    need = dict(zip(candidates, needs))
    too_large = {who: why for who in candidates if (why := no_room(candidates[0], who, need, free))}
    waiting = [who for who in candidates if who not in too_large]
    if len(waiting) < min(2, len(candidates)):
        raise DoesNotFitError(
            f"{next(iter(too_large.values()))}; choose a smaller --model or other candidates, or close what else runs"
        )
    found: list[Timed] = []
    groups: list[list[str]] = []
    while waiting:
        common = in_common(found)
        group = fitting([*([common.candidate] if common else []), *waiting], need, free)
        waiting = waiting[len(group) - bool(common) :]
        raced = start(group)
        if common:
            again, *raced = raced
            for timed in raced:
                put_beside(timed, common, again)
        found += raced
        groups.append([who.label for who in group])
    return [*found, *(Timed(who, left_out=why) for who, why in too_large.items())], groups


def in_common(found: Sequence[Timed]) -> Timed | None:
    """Whom the next group has, too: one that has times, best of microgpt in float32, which others are checked by."""
    timed = [one for one in found if not one.left_out]
    return min(timed, key=lambda one: (one.candidate.peer, one.candidate.precision != "float32"), default=None)


def fitting(waiting: Sequence[Candidate], need: Mapping[Candidate, int], free: int | None) -> list[Candidate]:
    """The first ones that there is room for; at least two, where there are as many."""
    taken = list(accumulate(need[who] for who in waiting))
    n = len(taken) if free is None else sum(together <= MOST * free for together in taken)
    return list(waiting[: max(2, n)])


def no_room(first: Candidate, who: Candidate, need: Mapping[Candidate, int], free: int | None) -> str:
    """Why a candidate can't be held in memory beside the first one, with the numbers; "" where it can."""
    pair = dict.fromkeys([first, who])
    total = sum(need[one] for one in pair)
    if free is None or total <= free:
        return ""
    each = " and ".join(f"{one.label} ({in_units(need[one])})" for one in pair)
    return f"{each} need {in_units(total)} of memory at once, and {in_units(free)} are free"


def put_beside(timed: Timed, common: Timed, again: Timed) -> None:
    """Times of another group as they had been in the group where the common candidate ran first."""
    if again.left_out:
        timed.left_out = timed.left_out or f"{again.left_out}: nobody else could tell what its times are beside"
    if timed.left_out:
        return
    pairs = zip(common.rounds, again.rounds, strict=True)
    factors = [[a / b for a, b in zip(first, second, strict=True)] for first, second in pairs]
    timed.rounds, timed.singles = scaled(timed.rounds, factors), scaled(timed.singles, factors)
    timed.parts = [
        [{part: ns * f for part, ns in each.items()} for each, f in zip(process, factor, strict=True)]
        for process, factor in zip(timed.parts, factors, strict=True)
    ]
    timed.yardsticks = common.yardsticks  # the moment that these times are of now


def scaled(times: Sequence[Sequence[float]], factors: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[ns * f for ns, f in zip(*rounds, strict=True)] for rounds in zip(times, factors, strict=True)]
