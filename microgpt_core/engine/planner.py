"""The planner: from a trace of calls to a plan. Each pass is a function of a few lines.

    prune      drop calls whose results nobody reads
    choose     a kernel for every call
    fill       zero each gradient before its first addition, unless the kernel sets it instead
    lifetimes  the calls between which every value is needed, read off the signatures
    lay_out    one region in which values that never live together share memory
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import prod

from microgpt_core import ops
from microgpt_core.components.buffer import ITEM_BYTES
from microgpt_core.engine.backends import Choice, Kernels
from microgpt_core.engine.plan import Plan, PlanCall, PlanValue
from microgpt_core.engine.region import aligned
from microgpt_core.engine.value import Call, Value
from microgpt_core.errors import CaptureError


@dataclass
class Trace:
    """What a captured function did: its calls in order, and which values came in and go out."""

    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    labels: dict[str, Value] = field(default_factory=dict)  # scope -> the value that scope computed


@dataclass
class Line:
    """A call on its way into the plan."""

    call: Call
    choice: Choice
    sets: frozenset[str] = frozenset()


def make_plan(trace: Trace, kernels: Kernels, watch: Sequence[str] = ()) -> tuple[Plan, list[Value], list[Line]]:
    """The plan of a trace, with the values and lines behind its indices."""
    watched = find_watched(trace, watch)
    kept = [*trace.outputs, *watched.values()]
    calls = prune(trace.calls, kept)
    lines = fill([Line(call, kernels.choose(call)) for call in calls], trace.inputs, kernels)
    values = list(dict.fromkeys([*trace.inputs, *(v for ln in lines for v in ln.call.arguments.values() if v), *kept]))
    index = {v: i for i, v in enumerate(values)}
    planned = lifetimes(lines, values, set(trace.inputs), set(kept))
    name_values(planned, lines, index, trace)
    plan = Plan(
        values=planned,
        calls=[plan_call(line, index) for line in lines],
        inputs=[index[v] for v in trace.inputs],
        outputs=[index[v] for v in trace.outputs],
        watched={s: index[v] for s, v in watched.items()},
        region_bytes=lay_out([v for v in planned if v.role != "persistent"]),
    )
    return plan, values, lines


def find_watched(trace: Trace, patterns: Sequence[str]) -> dict[str, Value]:
    """The labelled values, and `grad <label>` for their gradients, whose name a pattern matches."""
    scopes = {v: s for s, v in trace.labels.items()}
    known = dict(trace.labels)
    for call in trace.calls:
        for value in call.arguments.values():
            if value is not None and value.gradient_of in scopes:
                known[f"grad {scopes[value.gradient_of]}"] = value
    return {s: v for s, v in known.items() if any(fnmatchcase(s, pattern) for pattern in patterns)}


def is_external(value: Value) -> bool:
    """Whether a value has memory of its own outside the plan."""
    return value.persistent or value.data is not None


def prune(calls: Sequence[Call], kept: Iterable[Value]) -> list[Call]:
    """The calls that something kept, or anything outside the plan, depends on."""
    live, result = set(kept), []
    for call in reversed(calls):
        written = [call.arguments[n] for n in (*call.overwrites, *call.updates)]
        if any(v is not None and (v in live or is_external(v)) for v in written):
            live |= {v for n in call.reads if (v := call.arguments[n]) is not None}
            result.append(call)
    return result[::-1]


def fill(lines: list[Line], inputs: Iterable[Value], kernels: Kernels) -> list[Line]:
    """Zero each of the plan's own gradients before the first call that adds to it, or have that call set it."""
    result: list[Line] = []
    written = set(inputs)
    for line in lines:
        arguments = line.call.arguments
        for name in line.call.reads:
            value = arguments[name]
            if value is None or value in written or is_external(value):
                continue
            if name not in line.call.updates:
                raise CaptureError(f"{line.call} reads {name}, which nothing in this plan has computed")
            alone = sum(v is value for v in arguments.values()) == 1
            if name in line.choice.sets and alone:
                line.sets |= {name}
            else:
                zero = Call(ops.zero, "forward", {"x": value}, {}, line.call.scope)
                result.append(Line(zero, kernels.choose(zero)))
            written.add(value)
        written |= {v for n in line.call.overwrites if (v := arguments[n]) is not None}
        result.append(line)
    return result


def lifetimes(lines: Sequence[Line], values: Sequence[Value], inputs: set[Value], kept: set[Value]) -> list[PlanValue]:
    """Between which calls each value is needed: inputs from the start, what is kept to the end."""
    first: dict[Value, int] = dict.fromkeys(inputs, 0)
    last: dict[Value, int] = dict.fromkeys(inputs, 0)
    for at, line in enumerate(lines):
        for value in line.call.arguments.values():
            if value is not None:
                first.setdefault(value, at)
                last[value] = at
    planned = []
    for v in values:
        role = "input" if v in inputs else "persistent" if is_external(v) else "value"
        end = len(lines) if v in kept else last[v]
        planned.append(PlanValue(v.name, v.shape, v.format, role, None, first.get(v, 0), end))
    return planned


def name_values(planned: list[PlanValue], lines: Iterable[Line], index: dict[Value, int], trace: Trace) -> None:
    """Name what has no name after the scope that computed it: `block.0.attention.q`, `grad block.0.mlp`."""
    names = {v: v.name or f"input {i}" for i, v in enumerate(trace.inputs)}
    for scope, value in trace.labels.items():
        names.setdefault(value, scope)
    for line in lines:
        for name in line.call.overwrites:
            if value := line.call.arguments[name]:
                names.setdefault(value, ".".join(filter(None, (line.call.scope, line.call.op.name, name))))
    for value, i in index.items():
        source = value.gradient_of
        fallback = f"grad {source.name or names.get(source, f'value {i}')}" if source else f"value {i}"
        planned[i].name = value.name or names.get(value, fallback)


def plan_call(line: Line, index: dict[Value, int]) -> PlanCall:
    call, choice = line.call, line.choice
    flops, touched = cost(call)
    arguments = {n: None if v is None else index[v] for n, v in call.arguments.items()}
    return PlanCall(
        call.op, call.method, arguments, call.attributes, call.scope, choice.backend.name,
        tuple(sorted(line.sets)), choice.refusals, flops, touched,
    )  # fmt: skip


def cost(call: Call) -> tuple[int, int]:
    """Floating-point operations, and bytes read and written (an update is both)."""
    known = call.op.cost(*call.inputs, **call.attributes)
    if call.method == "forward":
        flops = known.get("forward", 0)
    else:
        flops = known.get("backward", 0) + sum(known.get(n, 0) for n in call.updates)
    touched, moved = known.get("touched", {}), 0
    for name, value in call.arguments.items():
        if value is not None:
            numbers = touched.get(name.removeprefix("d_"), prod(value.shape))
            moved += numbers * ITEM_BYTES[value.format] * (2 if name in call.updates else 1)
    return flops, moved


def lay_out(values: list[PlanValue]) -> int:
    """Give every value an offset: largest first, each at the lowest place free during its whole life.

    Returns the bytes of the region.
    """
    placed: list[tuple[int, int, int, int]] = []  # (offset, end, first, last), by offset
    for value in sorted(values, key=lambda v: (-v.nbytes, v.first)):
        size, offset = aligned(value.nbytes), 0
        for start, end, first, last in placed:
            if first > value.last or last < value.first:
                continue
            if start >= offset + size:
                break
            offset = max(offset, end)
        value.offset = offset
        insort(placed, (offset, offset + size, value.first, value.last))
    return max((end for _, end, _, _ in placed), default=0)
