"""Recompute: less memory for more time, with the same bits. Backward computes again what forward needn't keep for it.

A segment is a group of scopes, such as two blocks. What its forward calls make and only its own calls read is
forgotten after forward; copies of those calls make it again right before a backward call reads it. What
leaves the segment, such as the sum that blocks hand on, is kept. This rewrites a trace and runs nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TypeAlias

from microgpt_core.engine.value import Call, Trace, Value
from microgpt_core.errors import CaptureError, nearest

Segments: TypeAlias = Sequence[Sequence[str]]


def recompute(trace: Trace, kept: Iterable[Value], segments: Segments) -> Trace:
    """The trace with copies of forward calls, and backward calls that read what these make.

    A call belongs to the segment that names its scope, or else the nearest one around it. Raises CaptureError for a
    scope without calls, and where a copy would compute something else than the first time.
    """
    if not segments:
        return trace
    makers = find_makers(trace.calls, find_homes(trace.calls, segments), kept)
    changed: dict[Value, int] = {}  # the position of the last call that changed a value in place
    copies: dict[Value, Value] = {}
    calls: list[Call] = []
    for at, call in enumerate(trace.calls):
        if call.method == "backward":
            for source in calls_behind(call, trace.calls, makers, copies):
                check_unchanged(source, trace.calls, changed)
                calls.append(copy_call(trace.calls[source], makers, copies))
            call = replace(call, arguments=renamed(call, copies))
        changed.update(dict.fromkeys(call.updates.values(), at))
        calls.append(call)
    labels = {f"{scope} again": copies[value] for scope, value in trace.labels.items() if value in copies}
    return replace(trace, calls=calls, labels=trace.labels | labels)


def find_homes(calls: list[Call], segments: Segments) -> list[int | None]:
    """The number of the segment that each call is in; None for what is in none."""
    numbers = {name: i for i, names in enumerate(segments) for name in names}
    around = [accumulate(call.scope.split("."), "{}.{}".format) for call in calls]  # block, block.3, block.3.mlp
    found = [max((name for name in scopes if name in numbers), key=len, default="") for scopes in around]
    for name in sorted(numbers.keys() - found):
        raise CaptureError(f"recompute: no call is in the scope {name!r}{nearest(name, [c.scope for c in calls])}")
    return [numbers.get(name) for name in found]


def find_makers(calls: list[Call], homes: list[int | None], kept: Iterable[Value]) -> dict[Value, int]:
    """The values that needn't be kept for backward, each with the position of the forward call that makes it.

    Kept is what leaves its segment, and what is changed in place after it was made.
    """
    makers: dict[Value, int] = {}
    for at, call in enumerate(calls):
        updates = call.updates
        for name, value in call.reads.items():
            if value in makers and (homes[makers[value]] != homes[at] or name in updates):
                del makers[value]
        if call.method == "forward" and homes[at] is not None:
            makers.update(dict.fromkeys(call.overwrites.values(), at))
    for value in kept:
        makers.pop(value, None)
    return makers


def calls_behind(call: Call, calls: list[Call], makers: dict[Value, int], copies: dict[Value, Value]) -> list[int]:
    """The positions of the calls to make again for this one: what makes what it reads, and so on back."""
    found: set[int] = set()
    wanted = list(call.reads.values())
    while wanted:
        value = wanted.pop()
        if value in makers and value not in copies and makers[value] not in found:
            found.add(makers[value])
            wanted += calls[makers[value]].reads.values()
    return sorted(found)


def check_unchanged(at: int, calls: list[Call], changed: dict[Value, int]) -> None:
    """Raise CaptureError where what a call reads has been changed in place since, if only by itself."""
    for name, value in calls[at].arguments.items():
        if value is not None and changed.get(value, -1) >= at:
            raise CaptureError(
                f"{calls[at]} can't be computed again, for {calls[changed[value]]} changes its {name} in place; leave "
                "this scope out of recompute"
            )


def copy_call(call: Call, makers: dict[Value, int], copies: dict[Value, Value]) -> Call:
    """The same call on what was computed again so far; what it makes joins that."""
    made = {name: Value(value.shape, value.format) for name, value in call.overwrites.items()}
    arguments = renamed(call, copies) | made
    copies.update({value: made[name] for name, value in call.overwrites.items() if value in makers})
    return replace(call, arguments=arguments, again=True)


def renamed(call: Call, copies: dict[Value, Value]) -> dict[str, Value | None]:
    return {name: value and copies.get(value, value) for name, value in call.arguments.items()}
