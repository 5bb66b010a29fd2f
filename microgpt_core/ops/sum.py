"""Sum of all numbers: out = sum_i x_i, d_x_i += d_out."""

from math import prod

from microgpt_core.components import Op, accumulate, flat, write


class Sum(Op):
    def shapes(self, x):
        return {"out": (1,)}

    def forward(self, out, x):  # out (1,), x of any shape
        write(out, [sum(flat(x).tolist())])

    def backward(self, d_x, d_out):
        if d_x is not None:
            accumulate(d_x, d_out.tolist() * len(flat(d_x)))

    def cost(self, x):
        """One addition per number, forward and backward."""
        return {"forward": prod(x), "backward": prod(x)}
