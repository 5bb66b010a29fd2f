"""Sum of all numbers: out = sum_i x_i, d_x_i += d_out."""

from math import prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, flat, write


class Sum(Op):
    def shapes(self, x: Shape) -> Shapes:
        return {"out": (1,)}

    def forward(self, out: Buffer, x: Buffer) -> None:  # out (1,), x of any shape
        write(out, [sum(flat(x).tolist())])

    def backward(self, d_x: Buffer | None, d_out: Buffer) -> None:
        if d_x is not None:
            accumulate(d_x, d_out.tolist() * len(flat(d_x)))

    def cost(self, x: Shape) -> Cost:
        """One addition per number, forward and backward."""
        return {"forward": prod(x), "backward": prod(x)}
