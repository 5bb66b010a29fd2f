"""The gradient of a sum is that of both its parts: they share one buffer in the place of two copies.

    add.backward      d_a += d_out, d_b += d_out   ->   nothing: d_a and d_b are other names of d_out
    linear.backward   reads d_b                         reads d_out
    rmsnorm.backward  d_a += ...                        d_out += ..., which nobody reads as that any more

So a norm's backward adds straight into the residual's gradient, of which there is one from the last block to the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from microgpt_core import ops
from microgpt_core.components import Pass
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_simd.passes.uses import Uses, find_uses, first_change, last


class SharedGradient(Pass):
    """The gradients of what an `add` adds up are its own gradient, and aren't copied."""

    name: ClassVar[str] = "shared-gradient"
    tolerance: ClassVar[float] = 0.0
    fuses: ClassVar[tuple[str, ...]] = ("add",)

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        calls, fixed = list(trace.calls), {*kept, *trace.inputs}
        uses = find_uses(calls)
        for at, call in enumerate(trace.calls):
            if call.op is ops.add and call.method == "backward":
                call, shared = calls[at], calls[at].arguments["d_out"]
                for name in ("d_a", "d_b"):
                    mine = call.arguments[name]
                    if mine and shared and may_share(mine, shared, at, calls, uses, fixed):
                        for position in uses[mine]:
                            calls[position] = renamed(calls[position], mine, shared)
                        calls[at] = replace(calls[at], arguments={**calls[at].arguments, name: None})
                        uses[shared] = sorted({*uses[shared], *uses.pop(mine)})
        return replace(trace, calls=[call for call in calls if has_work(call)])


def may_share(mine: Value, shared: Value, at: int, calls: Sequence[Call], uses: Uses, fixed: set[Value]) -> bool:
    """Whether `mine`, a gradient that the call at `at` begins, can from there on be `shared`, of which it is a copy.

    At most one of all that share it may be added to, and not before the others have been read.
    """
    later = [i for i in uses[shared] if i > at]
    own = [i for i in uses[mine] if i > at]
    return (
        (mine.shape, mine.format) == (shared.shape, shared.format)
        and not any(value.external or value in fixed for value in (mine, shared))
        and list(calls[at].arguments.values()).count(mine) == 1
        and uses[mine][0] == at
        and (last(later) < first_change(mine, own, calls) and last(own) < first_change(shared, later, calls))
    )


def renamed(call: Call, old: Value, new: Value) -> Call:
    return replace(call, arguments={name: new if value is old else value for name, value in call.arguments.items()})


def has_work(call: Call) -> bool:
    """Whether anybody still wants what an add's backward copies."""
    return not (call.op is ops.add and call.method == "backward" and not call.updates)
