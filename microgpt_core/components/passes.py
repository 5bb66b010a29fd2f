"""A pass: what rewrites a plan's calls after they are captured and before kernels are chosen for them.

    class BFloat16(Pass):                    every product of a linear layer in bfloat16
        name = "bfloat16"

        def rewrite(self, trace, kept):
            return replace(trace, calls=[replace(c, op=paired) if c.op is linear else c for c in trace.calls])

So that fusing, packing or rounding is never a branch in a model.
"""

from collections.abc import Sequence
from typing import Any, ClassVar


class Pass:
    """Rewrites a trace. Subclass it with `name` and `rewrite`."""

    name: ClassVar[str]
    backend: ClassVar[str | None] = None  # `passes: auto` takes it where this backend is the first that is asked

    def rewrite(self, trace: Any, kept: Sequence[Any]) -> Any:
        """The `engine.value.Trace` with other calls that compute the same. It shares nothing mutable with the old one.

        `kept` are the values that are read when the plan is done, returned or watched: each has still to be computed.
        """
        raise NotImplementedError
