"""Mean of all numbers: out = sum_i x_i / n, d_x_i += d_out / n."""

from math import prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, flat, write


class Mean(Op):
    def shapes(self, x: Shape) -> Shapes:
        return {"out": (1,)}

    def forward(self, out: Buffer, x: Buffer) -> None:  # out (1,), x of any shape
        numbers = flat(x).tolist()
        write(out, [sum(numbers) / len(numbers)])

    def backward(self, d_x: Buffer | None, d_out: Buffer) -> None:
        if d_x is not None:
            n = len(flat(d_x))
            accumulate(d_x, [d_out[0] / n] * n)

    def cost(self, x: Shape) -> Cost:
        """One addition per number, forward and backward."""
        return {"forward": prod(x), "backward": prod(x)}
