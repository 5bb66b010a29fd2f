"""Where the values of a trace are used, which passes ask before they move or merge anything."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from microgpt_core.engine.value import Call, Value

Uses: TypeAlias = Mapping[Value | None, Sequence[int]]  # the positions of the calls that have a value as an argument


def find_uses(calls: Sequence[Call]) -> defaultdict[Value | None, list[int]]:
    """In order; of an argument that a call does without, none."""
    uses: defaultdict[Value | None, list[int]] = defaultdict(list)
    for at, call in enumerate(calls):
        for value in {v for v in call.arguments.values() if v is not None}:
            uses[value].append(at)
    return uses


def last(positions: Sequence[int]) -> float:
    return max(positions, default=-1)


def first_change(value: Value, positions: Sequence[int], calls: Sequence[Call]) -> float:
    """The first of the positions at which a call writes the value or adds to it; infinity where none does."""
    changes = (i for i in positions if value in {*calls[i].updates.values(), *calls[i].overwrites.values()})
    return min(changes, default=float("inf"))
