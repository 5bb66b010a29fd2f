"""A session's weights in the order in which a token's products read them, packed when its texts begin.

    linear.forward  out = x W^T + b     ->     linear_packed.forward  out, from W in panels

With `precision: bfloat16` the panels hold bfloat16, half as many bytes. A training step is left as it is: there weights
are others at each step, and products have so many rows that packing is a small part of them.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from microgpt_core import ops
from microgpt_core.components import Pass
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.region import allocate_together
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_core.errors import CaptureError
from microgpt_simd.linear_bfloat16 import LinearBFloat16
from microgpt_simd.linear_packed import LinearPacked, LinearPackedBFloat16, PackWeight, PackWeightBFloat16
from microgpt_simd.passes.bfloat16 import BFloat16


class PackedWeights(Pass):
    """A session's weights packed when its texts begin: as many bytes again, in bfloat16 half as many."""

    name: ClassVar[str] = "packed-weights"
    fuses: ClassVar[tuple[str, ...]] = ("linear", "linear_bfloat16")

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        return trace

    def session(self, kernels: Kernels) -> Pass:
        return SessionWeights(kernels)


class SessionWeights(Pass):
    """One session's: all of its plans share what is packed."""

    name: ClassVar[str] = PackedWeights.name

    def __init__(self, kernels: Kernels) -> None:
        self.kernels = kernels
        self.bfloat16 = any(isinstance(each, BFloat16) for each in kernels.passes)
        self.packed: dict[tuple[Value, str], Panels] = {}

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        changed = {v for call in trace.calls for v in (*call.updates.values(), *call.overwrites.values())}
        return replace(trace, calls=[self.with_panels(call, changed) for call in trace.calls])

    def renew(self) -> None:
        for panels in self.packed.values():
            panels.fill()

    def with_panels(self, call: Call, changed: Collection[Value]) -> Call:
        """The call with its weight in panels, where that is a parameter of float32 that the plan only reads."""
        weight, given = call.arguments.get("weight"), call.arguments
        paired = type(call.op) is LinearBFloat16 or self.bfloat16
        if (call.op is not ops.linear and type(call.op) is not LinearBFloat16) or call.method != "forward":
            return call
        if weight is None or not weight.persistent or weight.data is None or weight.format != "f" or weight in changed:
            return call
        linear, pack = (LinearPackedBFloat16(), PackWeightBFloat16()) if paired else (LinearPacked(), PackWeight())
        if (weight, pack.name) not in self.packed:
            self.packed[weight, pack.name] = Panels(weight, pack, self.kernels)
        packed = self.packed[weight, pack.name].packed
        arguments = {"out": given["out"], "x": given["x"], "packed": packed, "bias": given["bias"]}
        return Call(linear, "forward", arguments, {"n_out": weight.shape[0]}, call.scope)


class Panels:
    """A weight and its panels, filled from the start."""

    def __init__(self, weight: Value, pack: PackWeight, kernels: Kernels) -> None:
        made: Any = pack.shapes(weight.shape)["packed"]
        format, shape = made if made[0] == "i" else ("f", made)
        self.weight, self.memory = weight, weight.buffer()
        self.packed = Value(shape, format, name=f"packed {weight.name}", persistent=True)
        allocate_together([self.packed])
        call = Call(pack, "forward", {"packed": self.packed, "weight": weight}, {})
        self.run = kernels.choose(call).bind(call, [self.packed.buffer(), self.memory])
        self.fill()

    def fill(self) -> None:
        """Read the weight anew. Raises CaptureError where it has other memory by now, as a replay does."""
        if self.weight.buffer() is not self.memory:
            raise CaptureError(f"{self.weight.name} got other memory since this session began; make a new session")
        self.run()
