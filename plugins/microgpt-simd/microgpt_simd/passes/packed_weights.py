"""A session's weights in the order in which a token's products read them, packed once for a whole text.

    linear.forward  out = x W^T + b     ->     linear_packed.forward  out, from W in panels

With `precision: bfloat16` the panels hold bfloat16, half as many bytes. A training step is left as it is: there weights
are others at each step, and products have so many rows that packing is a small part of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from microgpt_core import ops
from microgpt_core.components import Pass
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.region import allocate_together
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_simd.linear_packed import LinearPacked, LinearPackedBFloat16, PackWeight, PackWeightBFloat16
from microgpt_simd.passes.bfloat16 import BFloat16


class PackedWeights(Pass):
    """A session's weights packed once for a whole text: as many bytes again, in bfloat16 half as many."""

    name: ClassVar[str] = "packed-weights"
    fuses: ClassVar[tuple[str, ...]] = ("linear",)

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        return trace

    def session(self, kernels: Kernels) -> Pass:
        return SessionWeights(kernels)


class SessionWeights(Pass):
    """One session's: all of its plans share what is packed."""

    name: ClassVar[str] = PackedWeights.name

    def __init__(self, kernels: Kernels) -> None:
        bfloat16 = any(isinstance(each, BFloat16) for each in kernels.passes)
        self.pack, self.linear = (
            (PackWeightBFloat16(), LinearPackedBFloat16()) if bfloat16 else (PackWeight(), LinearPacked())
        )
        self.kernels = kernels
        self.packed: dict[Value, tuple[Value, Callable[[], object]]] = {}  # weight -> in panels, and what puts it there

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        return replace(trace, calls=[self.with_panels(call) for call in trace.calls])

    def renew(self) -> None:
        for _, run in self.packed.values():
            run()

    def with_panels(self, call: Call) -> Call:
        """The call with its weight in panels, where that is a parameter of float32."""
        weight = call.arguments.get("weight")
        if not isinstance(call.op, type(ops.linear)) or call.method != "forward" or weight is None:
            return call
        if not weight.persistent or weight.data is None or weight.format != "f":
            return call
        given = call.arguments
        arguments = {"out": given["out"], "x": given["x"], "packed": self.panels(weight), "bias": given["bias"]}
        return Call(self.linear, "forward", arguments, {"n_out": weight.shape[0]}, call.scope)

    def panels(self, weight: Value) -> Value:
        """A weight in panels, packed now if it is asked for the first time."""
        if weight not in self.packed:
            made: Any = self.pack.shapes(weight.shape)["packed"]
            format, shape = made if made[0] == "i" else ("f", made)
            packed = Value(shape, format, name=f"packed {weight.name}", persistent=True)
            allocate_together([packed])
            call = Call(self.pack, "forward", {"packed": packed, "weight": weight}, {})
            run = self.kernels.choose(call).bind(call, [packed.buffer(), weight.buffer()])
            run()
            self.packed[weight] = packed, run
        return self.packed[weight][0]
