"""Scale by a number fixed in the plan.

    out = factor * x
    d_x += factor * d_out

A factor that changes from step to step belongs into a buffer: use `mul`.
"""

from math import prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, flat, write


class Scale(Op):
    def shapes(self, x: Shape, *, factor: float) -> Shapes:
        return {"out": x}

    def forward(self, out: Buffer, x: Buffer, *, factor: float) -> None:  # out and x of one shape
        write(out, [factor * v for v in flat(x)])

    def backward(self, d_x: Buffer | None, d_out: Buffer, *, factor: float) -> None:
        if d_x is not None:
            accumulate(d_x, [factor * d for d in flat(d_out)])

    def cost(self, x: Shape, *, factor: float) -> Cost:
        """One multiplication per number; backward a multiply-add."""
        return {"forward": prod(x), "backward": 2 * prod(x)}
