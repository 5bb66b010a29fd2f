"""A pass: what rewrites a plan's calls after they are captured and before kernels are chosen for them.

    class BFloat16(Pass):                    every product of a linear layer in bfloat16
        name = "bfloat16"
        tolerance = 0.03

        def rewrite(self, trace, kept):
            return replace(trace, calls=[replace(c, op=paired) if c.op is linear else c for c in trace.calls])

So that fusing, packing or rounding is never a branch in a model.
"""

from collections.abc import Sequence
from typing import Any, ClassVar


class Pass:
    """Rewrites a trace. Subclass it with `name` and `rewrite`."""

    name: ClassVar[str]
    tolerance: ClassVar[float] = 1e-6  # how far it moves a loss, a gradient: at most this share of the largest number
    fuses: ClassVar[tuple[str, ...]] = ()  # ops whose calls it replaces: `kernels:` for one keeps `auto` from this pass

    def rewrite(self, trace: Any, kept: Sequence[Any]) -> Any:
        """Another `engine.value.Trace`, of calls that compute the same. The one given, with its calls, stays as it was.

        `kept` are the values that are read when the plan is done, returned or watched: each has still to be computed.
        A trace in which there is nothing to rewrite, such as one that this pass has made, is returned as it is.
        """
        raise NotImplementedError

    def session(self, kernels: Any) -> "Pass":
        """What a new session has in its place: itself, or a pass that keeps what it makes of parameters.

        In a session nothing is learned: parameters hold still while texts are read, so what depends on them alone may
        be computed once. `kernels`, an `engine.backends.Kernels`, are the session's.
        """
        return self

    def renew(self) -> None:
        """Compute anew what is kept: parameters may have changed, and a session is about to begin its texts."""
