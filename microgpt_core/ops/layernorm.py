"""LayerNorm: shift every row to mean 0 and scale it to variance 1. Ba et al. 2016, arXiv:1607.06450.

    m = mean(x)     r = 1 / sqrt(mean((x - m)^2) + eps)     z = (x - m) r     y = z w + b

With g = d_y w, the gradient of the loss at z:

    d_x = r (g - mean(g) - z mean(g z))     d_w = sum over rows of d_y z      d_b = sum over rows of d_y

m and r, two numbers a row, are kept for backward as mean and rstd.
"""

from math import prod
from operator import add, mul

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, divide, dot, flat, rows, sqrt, write


class LayerNorm(Op):
    name = "layernorm"

    def shapes(self, x: Shape, weight: Shape | None = None, bias: Shape | None = None, *, eps: float = 1e-5) -> Shapes:
        self.expect("weight", weight, x[-1:])
        self.expect("bias", bias, x[-1:])
        return {"out": x, "mean": x[:-1] or (1,), "rstd": x[:-1] or (1,)}

    def forward(
        self, out: Buffer, mean: Buffer, rstd: Buffer, x: Buffer, weight: Buffer | None, bias: Buffer | None,
        *, eps: float,
    ) -> None:  # fmt: skip
        # out and x (..., C), mean and rstd (...), weight and bias (C,)
        n, w, b = x.shape[-1], None if weight is None else weight.tolist(), None if bias is None else bias.tolist()
        values: list[float] = []
        means, scales = [], []
        for row in rows(x).tolist():
            m = sum(row) / n
            centered = [v - m for v in row]
            r = divide(1.0, sqrt(dot(centered, centered) / n + eps))
            z = [r * v for v in centered]
            y = z if w is None else list(map(mul, z, w))
            values += y if b is None else map(add, y, b)
            means.append(m)
            scales.append(r)
        write(out, values)
        write(mean, means)
        write(rstd, scales)

    def backward(
        self, d_x: Buffer | None, d_weight: Buffer | None, d_bias: Buffer | None, d_out: Buffer,
        mean: Buffer, rstd: Buffer, x: Buffer, weight: Buffer | None,
    ) -> None:  # fmt: skip
        n, w = x.shape[-1], None if weight is None else weight.tolist()
        d_rows, x_rows = rows(d_out).tolist(), rows(x).tolist()
        z_rows = [[r * (v - m) for v in row] for row, m, r in zip(x_rows, flat(mean), flat(rstd))]
        if d_x is not None:
            values = []
            for d, z, r in zip(d_rows, z_rows, flat(rstd)):
                g = d if w is None else list(map(mul, d, w))
                shift, slope = sum(g) / n, dot(g, z) / n
                values += [r * (a - shift - slope * v) for a, v in zip(g, z)]
            accumulate(d_x, values)
        if d_weight is not None:
            accumulate(d_weight, list(map(sum, zip(*[map(mul, d, z) for d, z in zip(d_rows, z_rows)]))))
        if d_bias is not None:
            accumulate(d_bias, list(map(sum, zip(*d_rows))))

    def cost(self, x: Shape, weight: Shape | None, bias: Shape | None, *, eps: float) -> Cost:
        """Forward 5 per number (sum, subtract, square, add, scale), 1 more for each of weight and bias; backward 2
        for z and 7 for d_x, 2 for d_weight, 1 for d_bias."""
        n = prod(x)
        forward = (5 + (weight is not None) + (bias is not None)) * n
        return {"forward": forward, "backward": 2 * n, "d_x": 7 * n, "d_weight": 2 * n, "d_bias": n}
