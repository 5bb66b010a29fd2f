"""RMSNorm: divide every row by its root mean square. Zhang and Sennrich 2019, arXiv:1910.07467.

    r = 1 / sqrt(mean(x^2) + eps)           y = x r w           (r is kept for backward as rstd)

With g = d_y w, the gradient of the loss at y / w:

    d_x = r g - x r^3 mean(g x)             d_w = sum over rows of d_y x r
"""

from math import prod
from operator import mul

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, divide, dot, flat, rows, sqrt, write


class RMSNorm(Op):
    def shapes(self, x: Shape, weight: Shape | None = None, *, eps: float = 1e-5) -> Shapes:
        self.expect("weight", weight, x[-1:])
        return {"out": x, "rstd": x[:-1] or (1,)}

    def forward(self, out: Buffer, rstd: Buffer, x: Buffer, weight: Buffer | None, *, eps: float) -> None:
        # out and x (..., C), rstd (...), weight (C,)
        n, w = x.shape[-1], None if weight is None else weight.tolist()
        values, scales = [], []
        for row in rows(x).tolist():
            r = divide(1.0, sqrt(dot(row, row) / n + eps))
            values += [r * v for v in row] if w is None else [r * v * g for v, g in zip(row, w)]
            scales.append(r)
        write(out, values)
        write(rstd, scales)

    def backward(
        self, d_x: Buffer | None, d_weight: Buffer | None, d_out: Buffer, rstd: Buffer, x: Buffer, weight: Buffer | None
    ) -> None:
        n, w = x.shape[-1], None if weight is None else weight.tolist()
        d_rows, x_rows, scales = rows(d_out).tolist(), rows(x).tolist(), flat(rstd).tolist()
        if d_x is not None:
            values = []
            for d, row, r in zip(d_rows, x_rows, scales):
                g = d if w is None else list(map(mul, d, w))
                c = r * r * r * dot(g, row) / n
                values += [r * a - c * v for a, v in zip(g, row)]
            accumulate(d_x, values)
        if d_weight is not None:
            terms = [[a * v * r for a, v in zip(d, row)] for d, row, r in zip(d_rows, x_rows, scales)]
            accumulate(d_weight, list(map(sum, zip(*terms))))

    def cost(self, x: Shape, weight: Shape | None, *, eps: float) -> Cost:
        """Forward 3 per number (square, add, scale), 4 with a weight; backward 6, and 3 for d_weight."""
        n = prod(x)
        return {"forward": (4 if weight else 3) * n, "d_x": 6 * n, "d_weight": 3 * n}
