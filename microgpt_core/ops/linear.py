"""Linear: every row times a matrix, y = x W^T + b.

    out[t, o]       = sum_i x[t, i] weight[o, i] + bias[o]
    d_x[t, i]      += sum_o d_out[t, o] weight[o, i]          d_x += d_out W
    d_weight[o, i] += sum_t d_out[t, o] x[t, i]               d_W += d_out^T x
    d_bias[o]      += sum_t d_out[t, o]

The weight has a row for every output, so that both operands of the sum over i are read along rows.
"""

from itertools import cycle
from math import prod
from operator import add

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, products, rows, write


class Linear(Op):
    def shapes(self, x: Shape, weight: Shape, bias: Shape | None = None) -> Shapes:
        self.expect("weight", weight, ("n_out", x[-1]))
        self.expect("bias", bias, (weight[0],))
        return {"out": (*x[:-1], weight[0])}

    def forward(self, out: Buffer, x: Buffer, weight: Buffer, bias: Buffer | None) -> None:
        # out (..., O), x (..., I), weight (O, I), bias (O,)
        values = products(rows(x).tolist(), rows(weight).tolist())
        write(out, values if bias is None else list(map(add, values, cycle(bias.tolist()))))

    def backward(
        self, d_x: Buffer | None, d_weight: Buffer | None, d_bias: Buffer | None,
        d_out: Buffer, x: Buffer, weight: Buffer,
    ) -> None:  # fmt: skip
        if d_x is not None:
            accumulate(d_x, products(rows(d_out).tolist(), rows(weight).columns()))
        if d_weight is not None:
            accumulate(d_weight, products(rows(d_out).columns(), rows(x).columns()))
        if d_bias is not None:
            accumulate(d_bias, list(map(sum, rows(d_out).columns())))

    def cost(self, x: Shape, weight: Shape, bias: Shape | None) -> Cost:
        """2 N I O for N rows, and as much again for each of d_x and d_weight; the bias adds N O."""
        product, biased = 2 * prod(x) * weight[0], prod(x[:-1]) * weight[0]
        return {"forward": product + (biased if bias else 0), "d_x": product, "d_weight": product, "d_bias": biased}
