"""Sinusoidal positions: add waves of C / 2 wavelengths, so that no two positions look alike. arXiv:1706.03762.

    out[t, 2i] = x[t, 2i] + sin(angle)      out[t, 2i + 1] = x[t, 2i + 1] + cos(angle)
    angle = positions[t] 10000^(-2i / C)    d_x += d_out

Nothing is learned, and any position has its row.
"""

from math import cos, prod, sin

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, flat, rows, write


class Sinusoidal(Op):
    integers = ("positions",)

    def shapes(self, x: Shape, positions: Shape) -> Shapes:
        self.expect("positions", positions, x[:-1])
        return {"out": x}

    def forward(self, out: Buffer, x: Buffer, positions: Buffer) -> None:  # out and x (..., C), positions (...)
        n, values = x.shape[-1], []
        speeds = [10000.0 ** (-(i - i % 2) / n) for i in range(n)]
        for row, t in zip(rows(x).tolist(), flat(positions)):
            values += [v + (cos if i % 2 else sin)(t * speed) for i, (v, speed) in enumerate(zip(row, speeds))]
        write(out, values)

    def backward(self, d_x: Buffer | None, d_out: Buffer) -> None:
        if d_x is not None:
            accumulate(d_x, flat(d_out))

    def cost(self, x: Shape, positions: Shape) -> Cost:
        """One addition per number, forward and backward. The waves aren't counted."""
        return {"forward": prod(x), "backward": prod(x)}
