"""Softmax along the last axis: positive numbers that sum to one.

    y_i = exp(x_i - m) / sum_j exp(x_j - m),  m = max(x)
    d_x_i += y_i (d_y_i - sum_j d_y_j y_j)

m changes nothing but keeps exp from overflowing. Minus infinity gets 0; a row of nothing else has no
softmax, so it becomes NaN, as does a row with infinity or NaN in it.
"""

from math import exp, prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, dot, rows, write


class Softmax(Op):
    def shapes(self, x: Shape) -> Shapes:
        return {"out": x}

    def forward(self, out: Buffer, x: Buffer) -> None:  # out and x (..., C)
        values = []
        for row in rows(x).tolist():
            top = max(row)
            powers = [exp(v - top) for v in row]
            total = sum(powers)
            values += [p / total for p in powers]
        write(out, values)

    def backward(self, d_x: Buffer | None, d_out: Buffer, out: Buffer) -> None:
        if d_x is None:
            return
        values = []
        for d, y in zip(rows(d_out).tolist(), rows(out).tolist()):
            mean = dot(d, y)
            values += [p * (a - mean) for a, p in zip(d, y)]
        accumulate(d_x, values)

    def cost(self, x: Shape) -> Cost:
        """Forward 4 per number (subtract, exp, add, divide); backward 5."""
        return {"forward": 4 * prod(x), "backward": 5 * prod(x)}
