"""Products of bfloat16: `precision: bfloat16`. Weights, sums and everything else stay float32."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from microgpt_core.components import Op, Pass
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_core.ops.linear import Linear
from microgpt_simd.activated_linear import ActivatedLinear, ActivatedLinearBFloat16
from microgpt_simd.linear_bfloat16 import LinearBFloat16
from microgpt_simd.linear_cross_entropy import LinearCrossEntropy
from microgpt_simd.linear_qkv import LinearQKV, LinearQKVBFloat16


class BFloat16(Pass):
    """The products of every linear layer in bfloat16, forward and backward: `precision: bfloat16`."""

    name: ClassVar[str] = "bfloat16"
    tolerance: ClassVar[float] = 3e-2
    fuses: ClassVar[tuple[str, ...]] = ("linear",)

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        return replace(trace, calls=[in_bfloat16(call) for call in trace.calls])


ROUNDED: Mapping[type[Op], Op] = {
    Linear: LinearBFloat16(),
    ActivatedLinear: ActivatedLinearBFloat16(),
    LinearQKV: LinearQKVBFloat16(),
}


def in_bfloat16(call: Call) -> Call:
    if type(call.op) in ROUNDED:
        return replace(call, op=ROUNDED[type(call.op)])
    if isinstance(call.op, LinearCrossEntropy):
        return replace(call, attributes={**call.attributes, "bfloat16": True})
    return call
