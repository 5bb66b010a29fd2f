"""Products of bfloat16: `precision: bfloat16`. Weights, sums and everything else stay float32.

Attention of a session's tokens to a cache stays float32, too: the cache is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from microgpt_core.components import Op, Pass
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_core.ops.attention import Attention
from microgpt_core.ops.linear import Linear
from microgpt_simd.activated_linear import ActivatedLinear, ActivatedLinearBFloat16
from microgpt_simd.attention_bfloat16 import AttentionBFloat16
from microgpt_simd.linear_bfloat16 import LinearBFloat16
from microgpt_simd.linear_cross_entropy import LinearCrossEntropy
from microgpt_simd.linear_qkv import LinearQKV, LinearQKVBFloat16

LONG = 64  # tokens of a row, and of a window: with fewer keys to see, rounding takes as long as it saves


class BFloat16(Pass):
    """The products of every linear layer and of attention in long rows, forward and backward: `precision: bfloat16`."""

    name: ClassVar[str] = "bfloat16"
    tolerance: ClassVar[float] = 3e-2
    fuses: ClassVar[tuple[str, ...]] = ("linear", "attention")

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
    if type(call.op) is Attention and is_long(call):
        return replace(call, op=AttentionBFloat16())
    if isinstance(call.op, LinearCrossEntropy):
        return replace(call, attributes={**call.attributes, "bfloat16": True})
    return call


def is_long(call: Call) -> bool:
    """Whether attention is to keys of its own, and some query may see many."""
    q, window = call.arguments["q"], call.attributes["window"]
    return q is not None and call.arguments["start"] is None and min(q.shape[1], window or q.shape[1]) >= LONG
