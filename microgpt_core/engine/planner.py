"""The planner: from a trace of calls to a plan. Each stage is a function of a few lines:

    passes     what packs rewrite: products of bfloat16, several calls fused into one (Pass.rewrite)
    recompute  let backward compute again what forward needn't keep for it (in recompute.py)
    prune      drop calls whose results nobody reads
    choose     a kernel for every call (in backends.py)
    fill       zero each gradient before its first addition, unless the kernel sets it instead
    lifetimes  the calls between which every value is needed, read off the signatures
    lay_out    one region in which values that never live together share memory, and what gradients lend until they are
               computed

It looks at shapes alone and allocates nothing.
"""

import re
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias

from microgpt_core import ops
from microgpt_core.components.buffer import ITEM_BYTES
from microgpt_core.engine.backends import Choice, Kernels
from microgpt_core.engine.plan import Plan, PlanCall, PlanValue
from microgpt_core.engine.recompute import Segments, recompute
from microgpt_core.engine.region import ALIGNMENT, aligned
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_core.errors import CaptureError, UnknownNameError


@dataclass
class Line:
    """A call on its way into the plan."""

    call: Call
    choice: Choice
    sets: frozenset[str] = frozenset()


Planned: TypeAlias = tuple[Plan, list[Value], list[Line]]  # with the values and lines behind its indices


def make_plan(
    trace: Trace, kernels: Kernels, watch: Sequence[str] = (), segments: Segments = (), fresh: Sequence[Value] = ()
) -> Planned:
    """The plan of a trace, where the scopes in `watch` are kept and backward computes the segments again.

    The gradients in `fresh`, which lie side by side, are computed anew, and lend their memory until they are.
    """
    watched = find_watched(trace, watch)
    kept = [*trace.outputs, *watched.values()]
    for each in kernels.passes:
        trace = each.rewrite(trace, kept)
    trace = recompute(trace, kept, segments)
    calls = prune(trace.calls, kept)
    lines = fill([Line(call, kernels.choose(call)) for call in calls], trace.inputs, kept, kernels, set(fresh))
    used = [v for line in lines for v in line.call.arguments.values() if v is not None]
    index = {v: i for i, v in enumerate(dict.fromkeys([*trace.inputs, *used, *kept, *fresh]))}
    values = place(lines, index, trace, [*kept, *fresh])
    plan = Plan(
        values=values,
        calls=[plan_call(line, index) for line in lines],
        inputs=[index[v] for v in trace.inputs],
        outputs=[index[v] for v in trace.outputs],
        watched={s: index[v] for s, v in watched.items()},
        region_bytes=lay_out([v for v in values if v.role != "persistent"], [values[index[v]] for v in fresh]),
    )
    return plan, list(index), lines


def find_watched(trace: Trace, patterns: Sequence[str]) -> dict[str, Value]:
    """The labelled values, and `grad <label>` for their gradients, whose name a pattern matches; as computed.

    A gradient that isn't computed is left out; raises UnknownNameError for a pattern that no label could match.
    """
    named: dict[Value, list[str]] = {}  # a scope and the last one inside it compute the same value
    for scope, value in trace.labels.items():
        named.setdefault(value, []).append(scope)
    known = dict(trace.labels)
    for call in trace.calls:
        for gradient in call.arguments.values():
            if gradient is not None and gradient.gradient_of is not None:
                known |= {f"grad {scope}": gradient for scope in named.get(gradient.gradient_of, ())}
    for pattern in patterns:
        possible = (name for scope in ("", *trace.labels) for name in (scope, f"grad {scope}"))
        if not any(fnmatchcase(name, pattern) for name in possible):  # "*" fits even where there is no label
            numbered = {re.sub(r"\.\d+\b", ".*", scope) for scope in trace.labels}
            raise UnknownNameError("scope to watch", pattern, numbered, "`grad ` before a scope means its gradient")
    return {s: v for s, v in known.items() if any(fnmatchcase(s, pattern) for pattern in patterns)}


def prune(calls: Sequence[Call], kept: Iterable[Value]) -> list[Call]:
    """The calls that something kept, or anything outside the plan, depends on."""
    live, result = set(kept), []
    for call in reversed(calls):
        if any(v in live or v.external for v in (*call.overwrites.values(), *call.updates.values())):
            live.update(call.reads.values())
            result.append(call)
    return result[::-1]


def fill(
    lines: list[Line], inputs: Iterable[Value], kept: Iterable[Value], kernels: Kernels, fresh: Set[Value] = frozenset()
) -> list[Line]:
    """Zero each of the plan's own and fresh gradients before it is first added to or read, or have that call set it."""
    result: list[Line] = []
    nobody = "nothing in this capture has computed" + "".join(f"; or pass {p.name!r} lost it" for p in kernels.passes)
    written = set(inputs)
    for line in lines:
        arguments, updates = line.call.arguments, line.call.updates
        for name, value in line.call.reads.items():
            if value in written or (value.external and value not in fresh):
                continue
            if name not in updates and value.gradient_of is None:
                raise CaptureError(f"{line.call} reads {name}, which {nobody}")
            alone = sum(v is value for v in arguments.values()) == 1
            if name in updates and name in line.choice.sets and alone:
                line.sets |= {name}
            else:
                zero = Call(ops.zero, "forward", {"x": value}, {}, line.call.scope)
                result.append(Line(zero, kernels.choose(zero)))
            written.add(value)
        written.update(line.call.overwrites.values())
        result.append(line)
    if not all(v in written or v.external for v in kept):
        raise CaptureError(f"the captured function returned a tensor that {nobody}")
    return result


def place(lines: Sequence[Line], index: Mapping[Value, int], trace: Trace, kept: Iterable[Value]) -> list[PlanValue]:
    """The values of the plan, with what they are called, whose memory they use, and how long they live."""
    first, last = lifetimes(lines, trace.inputs, kept)
    names, inputs = name_values(lines, trace), set(trace.inputs)
    planned = []
    for value, i in index.items():
        role = "input" if value in inputs else "persistent" if value.external else "value"
        source = value.gradient_of
        unnamed = f"grad {source.name or names.get(source, f'value {i}')}" if source is not None else f"value {i}"
        name = value.name or names.get(value, unnamed)
        planned.append(PlanValue(name, value.shape, value.format, role, None, first.get(value, 0), last[value]))
    return planned


def lifetimes(
    lines: Sequence[Line], inputs: Iterable[Value], kept: Iterable[Value]
) -> tuple[dict[Value, int], dict[Value, int]]:
    """The first and last call that needs each value: inputs are there from the start, what is kept lives to the end."""
    first = dict.fromkeys(inputs, 0)
    last = dict(first)
    for at, line in enumerate(lines):
        for value in line.call.arguments.values():
            if value is not None:
                first.setdefault(value, at)
                last[value] = at
    return first, last | dict.fromkeys(kept, len(lines))


def name_values(lines: Iterable[Line], trace: Trace) -> dict[Value, str]:
    """Names after the scope that computed each value: `block.0.attention.q`, `block.0.attention.out`."""
    names = {v: v.name or f"input {i}" for i, v in enumerate(trace.inputs)}
    for scope, value in trace.labels.items():
        names.setdefault(value, scope)
    for line in lines:
        for name, value in line.call.overwrites.items():
            if value.gradient_of is None:
                made = ".".join(filter(None, (line.call.scope, line.call.op.name, name)))
                names.setdefault(value, f"{made} again" if line.call.again else made)
    return names


def plan_call(line: Line, index: Mapping[Value, int]) -> PlanCall:
    call, choice = line.call, line.choice
    flops, numbers, touched = cost(call)
    return PlanCall(
        op=call.op,
        method=call.method,
        arguments={n: None if v is None else index[v] for n, v in call.arguments.items()},
        attributes=call.attributes,
        scope=call.scope,
        backend=choice.backend.name,
        written=list(dict.fromkeys(index[v] for v in (*call.overwrites.values(), *call.updates.values()))),
        sets=tuple(sorted(line.sets)),
        refusals=choice.refusals,
        flops=flops,
        bytes=touched,
        workspace=choice.workspace(call, numbers),
        forced=choice.forced,
        again=call.again,
    )


def cost(call: Call) -> tuple[int, int, int]:
    """Floating-point operations; numbers read and made, sums of gradients apart; bytes moved (an update is two)."""
    known = call.op.cost(*call.inputs, **call.attributes)
    updates, touched, made, moved = call.updates, known.get("touched", {}), 0, 0
    if call.method == "forward":
        flops = known.get("forward", 0)
    else:
        flops = known.get("backward", 0) + sum(known.get(n, 0) for n in updates)
    for name, value in call.arguments.items():
        if value is not None:
            numbers = touched.get(name.removeprefix("d_"), value.size)
            made += 0 if name in updates else numbers
            moved += numbers * ITEM_BYTES[value.format] * (2 if name in updates else 1)
    return flops, made, moved


def lay_out(values: list[PlanValue], lenders: Sequence[PlanValue] = ()) -> int:
    """Give every value an offset: largest first, each at the lowest place free during its whole life.

    That may be in the memory of `lenders`, each aligned behind the one before, while they aren't there. It is taken
    from its end: backward comes to the last gradients first, so whoever needs memory for a short time gets what is
    lent for a short time. Returns the bytes of the region.
    """
    placed = occupied(lenders)
    lent, region = placed[-1][:2] if placed else (0, 0)
    for value in sorted(values, key=lambda v: (-v.nbytes, v.first)):
        size, offset = aligned(value.nbytes), 0
        born, dies = value.first, value.last
        for start, end, first, last in placed:  # seen once for each pair of values, so it is kept bare
            if first <= dies and last >= born:
                if start >= offset + size:
                    break
                if end > offset:
                    offset = end
        value.lent = offset < region
        value.offset = lent - offset - size if value.lent else offset - region
        insort(placed, (offset, offset + size, born, dies))
    return max((end for _, end, _, _ in placed), default=0) - region


def occupied(lenders: Sequence[PlanValue]) -> list[tuple[int, int, int, int]]:
    """(offset, end, first, last) of the lenders, the last of them first, and of a wall between them and the region.

    One with a gap behind it lends nothing, since whoever reads all of their memory finds zeros in the gaps.
    """
    places, end = [], 0
    for value in reversed(lenders):
        offset, end = end, end + aligned(value.nbytes)
        places.append((offset, end, value.first if end == offset + value.nbytes else 0, value.last))
    return [*places, (end, end + ALIGNMENT, 0, lenders[-1].last)] if lenders else []
