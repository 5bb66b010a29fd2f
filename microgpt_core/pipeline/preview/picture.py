"""The graph behind a picture: the forward calls in one scope of a plan, what they read from outside, what leaves.

It knows nothing of drawing: `picture_dot` and `picture_svg` do that.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import accumulate, takewhile
from typing import NamedTuple

from microgpt_core.components.op import show_shape
from microgpt_core.engine.plan import Plan, PlanCall
from microgpt_core.errors import ConfigurationError, nearest


class Node(NamedTuple):
    """A call, or a value that comes in or leaves."""

    kind: str  # "input", "call" or "output"
    title: str  # the op, or the value's name
    notes: list[str]  # parameters, the shape that it gives, what it costs
    reads: list[tuple[int, str]]  # the nodes that it reads from, which precede it, and the shapes of what it reads
    group: str = ""  # `attention` for a call of block.0.attention.q in a picture of block.0
    part: str = ""  # `q` for the same call; one that is alone in its group has no group, and `attention.q` as its part


def graph_of(plan: Plan, scope: str) -> list[Node]:
    """Inputs and calls, then outputs. Raises ConfigurationError where no call is in `scope`."""
    forward = list(takewhile(lambda call: call.method == "forward", plan.calls))  # later ones belong to backward
    check_scope(scope, (call.scope for call in forward))
    inner = [call for call in forward if within(call, scope)]
    shapes = [show_shape(value.shape) for value in plan.values]
    nodes: list[Node] = []
    source: dict[int, int] = {}  # value -> the node that it comes from
    for call in inner:
        inputs = {n: i for n in call.op.signature.inputs if (i := call.arguments[n]) is not None}
        own = [n for n, i in inputs.items() if plan.values[i].role == "persistent" and i not in source]
        for name, i in inputs.items():
            if i not in source and name not in own:
                source[i] = len(nodes)
                title = name if plan.values[i].role == "input" else plan.values[i].name
                nodes.append(Node("input", title, [shapes[i]], []))
        notes = [f"{name} {shapes[inputs[name]]}" for name in own]
        notes += [f"gives {shapes[i]}" for i in call.written[: len(call.op.signature.outputs)]]  # no saved values
        reads = [(source[i], shapes[i]) for name, i in inputs.items() if name not in own]
        source |= dict.fromkeys(call.written, len(nodes))
        group, _, part = call.scope[len(scope) + 1 :].partition(".")
        nodes.append(Node("call", call.op.name, [*notes, f"{call.flops:,} FLOPs"], reads, group, part))
    made = {i for call in inner for i in call.written}
    read = {i for call in forward if not within(call, scope) for i in call.arguments.values()}.union(plan.outputs)
    for i in sorted(made.intersection(read)):
        nodes.append(Node("output", plan.values[i].name, [shapes[i]], [(source[i], shapes[i])]))
    size = Counter(node.group for node in nodes)
    return [n if size[n.group] > 1 else n._replace(group="", part=f"{n.group}.{n.part}".strip(".")) for n in nodes]


def within(call: PlanCall, scope: str) -> bool:
    return f"{call.scope}.".startswith(f"{scope}.")


def check_scope(scope: str, used: Iterable[str]) -> None:
    """Raise ConfigurationError unless `scope` is one of those used, or around one."""
    scopes = dict.fromkeys(s for name in used for s in accumulate(name.split("."), "{}.{}".format) if s)
    if scope not in scopes:
        known = ", ".join(s for s in scopes if s.count(".") < 2)
        found = f"{scope!r}{nearest(scope, scopes)}"
        raise ConfigurationError(f"scope: found {found}; allowed: {known}, and what is inside them")
