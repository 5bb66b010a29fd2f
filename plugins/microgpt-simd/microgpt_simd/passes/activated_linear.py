"""An activation and the linear layer that reads its results in one call, which keeps none of them.

    relu2.forward     a = f(x)
    linear.forward    y = a W^T + b        ->     activated_linear.forward    y = f(x) W^T + b
    ...                                           ...
    linear.backward   d_a, d_W, d_b        ->     activated_linear.backward   d_x = (d_y W) f'(x), d_W, d_b
    relu2.backward    d_x = d_a f'(x)

Where something else reads a, or a or its gradient is watched, they stay as they are. And where it doesn't pay: a small
a waits in a core's cache, and is cheaper read than made once more; and for a layer of many outputs x is packed again
for each few hundred of them, and a would be made each time.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple

from microgpt_core import ops
from microgpt_core.components import Pass
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_simd.activated_linear import ACTIVATIONS, ActivatedLinear
from microgpt_simd.passes.uses import Uses, find_uses, first_change

LEAST = 1 << 18  # bytes of a: a good part of a core's second cache
MOST = 384  # outputs: as many columns as are packed at a time in bfloat16, of vectors of 16
READERS = ([(ops.linear, "forward")], [(ops.linear, "forward"), (ops.linear, "backward")])


class Found(NamedTuple):
    """Where the calls are: an activation and its reader, and in training what leads back through them."""

    bent: int
    read: int
    read_back: int | None = None
    bent_back: int | None = None


class FusedActivation(Pass):
    """An activation's results are made while the next linear layer reads them, and never kept."""

    name: ClassVar[str] = "activated-linear"
    tolerance: ClassVar[float] = 0.0
    fuses: ClassVar[tuple[str, ...]] = ("linear", "linear_bfloat16", *ACTIVATIONS)

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        calls: list[Call | None] = list(trace.calls)
        uses = find_uses(trace.calls)
        for at, call in enumerate(trace.calls):
            found = around(at, trace.calls, uses) if is_activation(call) and call.method == "forward" else None
            if found and may_be_fused(found, trace.calls, uses, kept):
                back = None if found.bent_back is None else trace.calls[found.bent_back]
                for position in found:
                    if position is not None:
                        calls[position] = None
                for position in found[1:3]:
                    if position is not None:
                        calls[position] = fused(trace.calls[position], call, back)
        return replace(trace, calls=[call for call in calls if call])


def is_activation(call: Call) -> bool:
    return call.op.name in ACTIVATIONS and call.op is ops.OPS[call.op.name]


def around(at: int, calls: Sequence[Call], uses: Uses) -> Found | None:
    """The calls around the activation at position `at`; None where others have what it makes, too."""
    out = calls[at].arguments["out"]
    readers = uses[out][1:]
    if [(calls[i].op, calls[i].method) for i in readers] not in READERS:
        return None
    if any([name for name, v in calls[i].arguments.items() if v is out] != ["x"] for i in readers):
        return None  # it is the layer's weight, too
    read, read_back = readers[0], readers[1] if len(readers) > 1 else None
    gradient = None if read_back is None else calls[read_back].arguments["d_x"]
    if gradient is None:
        return Found(at, read, read_back)
    return Found(at, read, read_back, uses[gradient][1]) if len(uses[gradient]) == 2 else None


def may_be_fused(found: Found, calls: Sequence[Call], uses: Uses, kept: Sequence[Value]) -> bool:
    """Whether nobody misses what is between the calls, and x is what it was when the last of them reads it."""
    bent, y = calls[found.bent], calls[found.read].arguments["out"]
    x, out = bent.arguments["x"], bent.arguments["out"]
    if x is None or out is None or y is None or x.format != "f" or out.external or out in kept:
        return False
    if out.nbytes < LEAST or y.shape[-1] > MOST:
        return False
    changed = first_change(x, [at for at in uses[x] if at > found.bent], calls)
    if changed <= max(at for at in found if at is not None):
        return False
    if found.read_back is None or found.bent_back is None:
        return True
    back = calls[found.bent_back]
    gradient, d_x = calls[found.read_back].arguments["d_x"], back.arguments.get("d_x")
    return (
        back.op is bent.op and back.arguments["x"] is x and back.arguments.get("d_out") is gradient
        and gradient is not None and gradient not in kept and not gradient.external
        and d_x is not None and not d_x.external and uses[d_x][0] == found.bent_back  # written, not added to
    )  # fmt: skip


def fused(linear: Call, bent: Call, back: Call | None) -> Call:
    """The linear layer's call, on what goes into the activation and on that one's gradient."""
    arguments = {**linear.arguments, "x": bent.arguments["x"]}
    if "d_x" in arguments:
        arguments["d_x"] = None if back is None else back.arguments["d_x"]
    attributes = {"activation": bent.op.name}
    return Call(ActivatedLinear(), linear.method, arguments, attributes, linear.scope, linear.inputs, linear.again)
