"""q, k and v, three linear layers of one x, in one call.

    linear.forward     q = x W_q^T
    linear.forward     k = x W_k^T         ->     linear_qkv.forward     q, k, v
    linear.forward     v = x W_v^T
    ...                                           ...
    linear.backward    d_x, d_W_v
    linear.backward    d_x, d_W_k          ->     linear_qkv.backward    d_x, d_W_q, d_W_k, d_W_v
    linear.backward    d_x, d_W_q

The weights stay three. It is done wherever three layers read the same, and nobody between them wants what they make.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from microgpt_core import ops
from microgpt_core.components import Pass
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_simd.linear_qkv import LinearQKV

LETTERS = "qkv"


class FusedQKV(Pass):
    """Three linear layers that read the same, such as q, k and v, are one call."""

    name: ClassVar[str] = "linear-qkv"
    tolerance: ClassVar[float] = 0.0
    fuses: ClassVar[tuple[str, ...]] = ("linear", "linear_bfloat16")

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        calls: list[Call | None] = list(trace.calls)
        for forward, backward in threes(trace.calls):
            if not may_be_fused(forward, backward, trace.calls):
                continue
            for position in (*forward, *backward):
                calls[position] = None
            calls[forward[0]] = fused([trace.calls[i] for i in forward])
            if backward:
                calls[backward[-1]] = fused([trace.calls[i] for i in backward])
        return replace(trace, calls=[call for call in calls if call])


def threes(calls: Sequence[Call]) -> list[tuple[list[int], list[int]]]:
    """Where three layers read one x, and where their backward calls are, in training; q's first, v's first."""
    readers: dict[Value, list[int]] = defaultdict(list)
    back: dict[Value, list[int]] = defaultdict(list)
    for at, call in enumerate(calls):
        x = call.arguments.get("x")
        if call.op is ops.linear and x is not None and x.format == "f":
            (readers if call.method == "forward" else back)[x].append(at)
    found = [(some, back[x]) for x, some in readers.items() if len(some) == len(LETTERS)]
    return [(some, others) for some, others in found if are_a_pair(some, others, calls)]


def are_a_pair(forward: Sequence[int], backward: Sequence[int], calls: Sequence[Call]) -> bool:
    """Whether the layers have nothing in common but x, and the backward calls are none, or theirs, last one first.

    What they had in common would have a gradient that is added up in another order.
    """
    weights, others = ([calls[i].arguments["weight"] for i in some] for some in (forward, backward))
    own = [value for i in forward for value in calls[i].reads.values()]
    gradients = {calls[i].arguments["d_x"] for i in backward}
    alone = len({*own}) == len(own) - len(LETTERS) + 1
    return alone and (not others or (weights == others[::-1] and len(gradients) == 1))


def may_be_fused(forward: Sequence[int], backward: Sequence[int], calls: Sequence[Call]) -> bool:
    """Whether forward's calls may go to where the first of them is, and backward's to where the last is."""
    earlier = [(at, range(forward[0], at)) for at in forward]
    later = [(at, range(at + 1, backward[-1])) for at in backward]
    return all(
        may_pass(calls[at], calls[other])
        for at, between in (*earlier, *later)
        for other in between
        if other not in (*forward, *backward)
    )


def may_pass(call: Call, other: Call) -> bool:
    """Whether two calls may change places: neither changes what the other has."""
    return not (changed(call) & {*other.arguments.values()} or changed(other) & {*call.arguments.values()})


def changed(call: Call) -> set[Value]:
    return {*call.updates.values(), *call.overwrites.values()}


def fused(calls: Sequence[Call]) -> Call:
    """One call for three: forward's are q's, k's and v's, backward's the other way round."""
    first, forward = calls[0], calls[0].method == "forward"
    arguments = {"x": first.arguments["x"], "d_x": first.arguments.get("d_x")}
    for letter, call in zip(LETTERS if forward else LETTERS[::-1], calls):
        names = {"out": letter, "weight": f"w_{letter}", "bias": f"b_{letter}"}
        gradients = {f"d_{name}": f"d_{mine}" for name, mine in names.items()}
        arguments |= {mine: call.arguments.get(name) for name, mine in (names | gradients).items()}
    op = LinearQKV()
    wanted = op.signature.forward if forward else op.signature.backward
    in_order = calls if forward else calls[::-1]
    inputs = (first.inputs[0], *(c.inputs[1] for c in in_order), *(c.inputs[2] for c in in_order))
    scope = first.scope.rpartition(".")[0]
    return Call(op, first.method, {name: arguments[name] for name in wanted}, {}, scope, inputs, first.again)
