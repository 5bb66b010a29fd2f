"""What this pack makes of a plan before kernels are chosen."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from microgpt_core import ops
from microgpt_core.components import Pass
from microgpt_core.engine.value import Trace, Value
from microgpt_simd.linear_bfloat16 import LinearBFloat16


class BFloat16(Pass):
    """The products of every linear layer in bfloat16, forward and backward: `precision: bfloat16`."""

    name: ClassVar[str] = "bfloat16"

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        paired = LinearBFloat16()
        return replace(trace, calls=[replace(c, op=paired) if c.op is ops.linear else c for c in trace.calls])
