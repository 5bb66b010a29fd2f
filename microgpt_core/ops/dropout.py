"""Dropout: set numbers to 0 at random, and scale the others so that the sum stays what it was on average.

    keep_i = 1 with chance 1 - p, else 0        out_i = x_i keep_i / (1 - p)        d_x_i += d_out_i keep_i / (1 - p)

Chance is a function (Philox) of `noise` = [seed, step, row offset], the stream and the place in x, so nothing is
stored: backward computes keep again, and so may another thread or a resumed run. Row b of x is row offset + b of
the step's, however the step was cut into batches. Srivastava et al. 2014, JMLR 15.
"""

from math import prod
from operator import mul

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, flat, philox, write
from microgpt_core.errors import ShapeError

WORD = 1 << 32


class Dropout(Op):
    integers = ("noise",)

    def shapes(self, x: Shape, noise: Shape, *, p: float, stream: int = 0) -> Shapes:
        self.expect("noise", noise, (3,))
        if not 0 <= p < 1:
            raise ShapeError(f"dropout: p is {p}, allowed: 0 to 1, without 1")
        return {"out": x}

    def forward(self, out: Buffer, x: Buffer, noise: Buffer, *, p: float, stream: int) -> None:
        # out and x (B, ...), noise (3,)
        write(out, list(map(mul, flat(x), factors(x.shape, noise, p, stream))))

    def backward(self, d_x: Buffer | None, d_out: Buffer, noise: Buffer, *, p: float, stream: int) -> None:
        if d_x is not None:
            accumulate(d_x, list(map(mul, flat(d_out), factors(d_out.shape, noise, p, stream))))

    def cost(self, x: Shape, noise: Shape, *, p: float, stream: int) -> Cost:
        """One product per number, forward and backward. Chance isn't counted: it is integer arithmetic."""
        return {"forward": prod(x), "backward": prod(x)}


def factors(shape: Shape, noise: Buffer, p: float, stream: int) -> list[float]:
    """For each number, 1 / (1 - p) where it is kept, else 0: word i % 4 of the block that counts (i // 4, row)."""
    seed, step, offset = (n % WORD for n in noise)
    size, limit, kept = prod(shape[1:]), round(p * WORD), 1 / (1 - p)
    result: list[float] = []
    for row in range(offset, offset + shape[0]):
        words = [w for i in range(-(-size // 4)) for w in philox((i, row % WORD, stream, 0), (seed, step))]
        result += [kept if w >= limit else 0.0 for w in words[:size]]
    return result
