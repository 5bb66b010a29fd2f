"""RoPE: turn pairs of numbers by an angle that grows with the position. Su et al. 2021, arXiv:2104.09864.

For each head of width D, with h = D / 2, and each i < h, at position t:

    angle = t theta^(-i / h)        out_i     = x_i cos(angle) - x_{i+h} sin(angle)
                                    out_{i+h} = x_i sin(angle) + x_{i+h} cos(angle)

The product of a query turned by t and a key turned by s depends on t - s alone. Backward turns back: the same
with -angle. Number i is paired with i + h (as Llama's published weights are), not with its neighbour.
"""

from itertools import chain
from math import cos, prod, sin
from typing import TypeAlias

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, accumulate, flat, rows, write
from microgpt_core.components.op import show_shape
from microgpt_core.errors import ShapeError

Turns: TypeAlias = tuple[list[float], list[float]]  # the cosines and sines of a position, h of each


class RoPE(Op):
    integers = ("positions",)

    def shapes(self, x: Shape, positions: Shape, *, n_head: int, theta: float = 10000.0) -> Shapes:
        self.expect("x", x, ("B", "T", "C"))
        self.expect("positions", positions, x[:2])
        if n_head < 1 or x[2] % (2 * n_head):
            raise ShapeError(f"rope: x has shape {show_shape(x)}; {x[2]} must be divisible by 2 n_head = {2 * n_head}")
        if not theta > 0:
            raise ShapeError(f"rope: theta is {theta}, allowed: more than 0")
        return {"out": x}

    def forward(self, out: Buffer, x: Buffer, positions: Buffer, *, n_head: int, theta: float) -> None:
        # out and x (B, T, C), positions (B, T)
        write(out, turn(x, positions, n_head, theta, 1))

    def backward(self, d_x: Buffer | None, d_out: Buffer, positions: Buffer, *, n_head: int, theta: float) -> None:
        if d_x is not None:
            accumulate(d_x, turn(d_out, positions, n_head, theta, -1))

    def cost(self, x: Shape, positions: Shape, *, n_head: int, theta: float) -> Cost:
        """Forward 3 per number (two products, a sum); backward the same. Angles aren't counted."""
        return {"forward": 3 * prod(x), "backward": 3 * prod(x)}


def turn(x: Buffer, positions: Buffer, n_head: int, theta: float, sign: int) -> list[float]:
    """Every row's heads turned by its position's angles; by sign = -1 turned back."""
    half = x.shape[2] // n_head // 2
    speeds = [theta ** (-i / half) for i in range(half)]
    turns: dict[int, Turns] = {}
    for t in set(flat(positions)):
        angles = [sign * t * speed for speed in speeds]
        turns[t] = list(map(cos, angles)), list(map(sin, angles))
    turned = (turn_row(row, turns[t], half) for row, t in zip(rows(x).tolist(), flat(positions)))
    return list(chain.from_iterable(turned))


def turn_row(row: list[float], turns: Turns, half: int) -> list[float]:
    cosines, sines = turns
    result: list[float] = []
    for low in range(0, len(row), 2 * half):
        first, second = row[low : low + half], row[low + half : low + 2 * half]
        result += [a * c - b * s for a, b, c, s in zip(first, second, cosines, sines)]
        result += [a * s + b * c for a, b, c, s in zip(first, second, cosines, sines)]
    return result
