"""Products of bfloat16: `precision: bfloat16`. Weights, sums and everything else stay float32."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from microgpt_core import ops
from microgpt_core.components import Pass
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_simd.linear_bfloat16 import LinearBFloat16
from microgpt_simd.linear_cross_entropy import LinearCrossEntropy


class BFloat16(Pass):
    """The products of every linear layer in bfloat16, forward and backward: `precision: bfloat16`."""

    name: ClassVar[str] = "bfloat16"
    tolerance: ClassVar[float] = 3e-2
    fuses: ClassVar[tuple[str, ...]] = ("linear",)

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        return replace(trace, calls=[in_bfloat16(call) for call in trace.calls])


def in_bfloat16(call: Call) -> Call:
    if call.op is ops.linear:
        return replace(call, op=LinearBFloat16())
    if isinstance(call.op, LinearCrossEntropy):
        return replace(call, attributes={**call.attributes, "bfloat16": True})
    return call
