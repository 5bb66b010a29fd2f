"""A sum and the norm that reads it in one call, so that the norm finds the sum in the first cache.

    add.forward        h = a + b
    rmsnorm.forward    n = norm(h)        ->     add_rmsnorm.forward    h = a + b, n = norm(h)

Both results are still made, so that nothing else changes. A sum whose norm is in another block stays: where a block is
computed again for backward, its sum is what is kept in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from microgpt_core import ops
from microgpt_core.components import Op, Pass
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_simd.residual_norm import AddLayerNorm, AddRMSNorm

TOGETHER: Mapping[Op, Op] = {ops.rmsnorm: AddRMSNorm(), ops.layernorm: AddLayerNorm()}


class ResidualNorm(Pass):
    """A sum is normed while it is near."""

    name: ClassVar[str] = "residual-norm"
    tolerance: ClassVar[float] = 0.0
    fuses: ClassVar[tuple[str, ...]] = ("add", "rmsnorm", "layernorm")

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        calls: list[Call] = []
        for call in trace.calls:
            if calls and may_be_fused(calls[-1], call):
                calls[-1] = fused(calls[-1], call)
            else:
                calls.append(call)
        return replace(trace, calls=calls)


def may_be_fused(add: Call, norm: Call) -> bool:
    """Whether the second of two calls in a row is the norm of the first one's sum, in the same part of the model."""
    a, b, out = (add.arguments.get(name) for name in ("a", "b", "out"))
    return (
        add.op is ops.add and norm.op in TOGETHER and (add.method, norm.method) == ("forward", "forward")
        and out is not None and a is not None and b is not None
        and [name for name, v in norm.arguments.items() if v is out] == ["x"]
        and out.format == "f" and a.shape == b.shape and not norm.again
        and norm.scope.rpartition(".")[0] == add.scope
    )  # fmt: skip


def fused(add: Call, norm: Call) -> Call:
    op, given = TOGETHER[norm.op], {"sum": add.arguments["out"], **add.arguments, **norm.arguments}
    arguments = {name: given[name] for name in op.signature.forward}
    return Call(op, "forward", arguments, norm.attributes, norm.scope)
