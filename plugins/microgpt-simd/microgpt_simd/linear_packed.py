"""Linear with a weight packed before many calls: what `packed-weights` makes of a session's layers.

    packed[j // 48, p, j % 48] = W[j, p]        pack_weight; zeros where there is no output j
    out = x W^T + b                             linear_packed

Where one token is computed at a time, reading the weights takes nearly all of the time, and memory is read fastest from
one end to the other: in panels of 48 outputs, number p of each before number p + 1 of any. With bfloat16 a pair of
neighbours along p is one int32, the first in its lower half (see kernels/bfloat16.h), and half as many bytes are read.
"""

from array import array
from collections.abc import Iterable
from math import ceil, prod
from typing import Any

from microgpt_core import ops
from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, flat, new_buffer, rows, write
from microgpt_core.errors import ShapeError
from microgpt_simd.linear_bfloat16 import round_bits, to_bfloat16

PANEL = 48  # outputs: whole vectors at every level


class PackWeight(Op):
    name = "pack_weight"
    examples: tuple[dict[str, Any], ...] = ({"weight": (7, 5)}, {"weight": (97, 33)}, {"weight": (1, 1)})

    def shapes(self, weight: Shape) -> Shapes:
        self.expect("weight", weight, ("N", "C"))
        return {"packed": panels(*weight)}

    def forward(self, packed: Buffer, weight: Buffer) -> None:
        # packed (P, C, 48), weight (N, C)
        write(packed, in_panels(rows(weight).tolist()))


class PackWeightBFloat16(PackWeight):
    name = "pack_weight_bfloat16"
    rounds = True

    def shapes(self, weight: Shape) -> Shapes:
        self.expect("weight", weight, ("N", "C"))
        return {"packed": ("i", panels(weight[0], ceil(weight[1] / 2)))}

    def forward(self, packed: Buffer, weight: Buffer) -> None:
        # packed (P, C / 2, 48), weight (N, C)
        bits = array("I", in_panels([pairs(row) for row in rows(weight).tolist()]))
        flat(packed)[:] = Buffer(bits).cast("B").cast("i")


class LinearPacked(Op):
    """`n_out` is how many outputs there are: the last panel may have room for more."""

    name = "linear_packed"
    together = 1  # numbers of a weight's row in one number of `packed`
    examples: tuple[dict[str, Any], ...] = (
        {"x": (7, 5), "packed": (1, 5, 48), "bias": (48,), "n_out": 48},
        {"x": (2, 3, 35), "packed": (2, 35, 48), "n_out": 96},
        {"x": (1, 1), "packed": (1, 1, 48), "n_out": 1},
    )

    def shapes(self, x: Shape, packed: Shape, bias: Shape | None = None, *, n_out: int) -> Shapes:
        if not isinstance(n_out, int) or n_out < 1:
            raise ShapeError(f"{self.name}: n_out is {n_out!r}, allowed: how many outputs there are, 1 or more")
        self.expect("packed", packed, panels(n_out, ceil(x[-1] / self.together)))
        self.expect("bias", bias, (n_out,))
        return {"out": (*x[:-1], n_out)}

    def forward(self, out: Buffer, x: Buffer, packed: Buffer, bias: Buffer | None, *, n_out: int) -> None:
        # out (..., N), x (..., C), packed (P, C, 48), bias (N,)
        ops.linear.forward(out, x, weight_of(outputs(packed, n_out), x), bias)

    def cost(self, x: Shape, packed: Shape, bias: Shape | None, *, n_out: int) -> Cost:
        """2 N C for each row of x, and N more where there is a bias, as in linear."""
        product = 2 * prod(x) * n_out
        return {"forward": product + (prod(x[:-1]) * n_out if bias else 0)}


class LinearPackedBFloat16(LinearPacked):
    name = "linear_packed_bfloat16"
    together = 2
    integers = ("packed",)
    rounds = True
    examples = (
        {"x": (7, 5), "packed": ((1, 3, 48), range(0x3C003E00, 0x3F004100, 0x10001)), "bias": (48,), "n_out": 48},
        {"x": (2, 3, 35), "packed": ((2, 18, 48), range(0x3C003E00, 0x3F004100, 0x10001)), "n_out": 96},
        {"x": (1, 1), "packed": ((1, 1, 48), range(0x3F80, 0x3F90)), "n_out": 1},
    )

    def forward(self, out: Buffer, x: Buffer, packed: Buffer, bias: Buffer | None, *, n_out: int) -> None:
        # out (..., N), x (..., C), packed (P, C / 2, 48), bias (N,)
        ops.linear.forward(out, to_bfloat16(x), weight_of(map(numbers, outputs(packed, n_out)), x), bias)


def panels(n_out: int, length: int) -> tuple[int, int, int]:
    return ceil(n_out / PANEL), length, PANEL


def in_panels(weight: list[list[Any]]) -> list[Any]:
    """The numbers of a weight's rows in the order of panels, with zeros up to a whole one."""
    nothing = [0] * len(weight[0])
    full = [*weight, *[nothing] * (-len(weight) % PANEL)]
    return [x for j in range(0, len(full), PANEL) for places in zip(*full[j : j + PANEL]) for x in places]


def outputs(packed: Buffer, n_out: int) -> list[list[Any]]:
    """Of each output, its numbers in `packed`."""
    values, size = flat(packed), packed.shape[1] * PANEL
    starts = [j // PANEL * size + j % PANEL for j in range(n_out)]
    return [values[start : start // size * size + size : PANEL].tolist() for start in starts]


def weight_of(each: Iterable[list[float]], x: Buffer) -> Buffer:
    """A weight of these rows, cut to the width of x, in its format."""
    width, found = x.shape[-1], list(each)
    weight = new_buffer((len(found), width), x.format)
    write(weight, [number for row in found for number in row[:width]])
    return weight


def pairs(row: list[float]) -> list[int]:
    """Neighbours rounded to bfloat16, as the halves of 32 bits; 0 beside the last of an odd number."""
    bits = [round_bits(b) for b in Buffer(array("f", [*row, *[0.0] * (len(row) % 2)])).cast("B").cast("I")]
    return [low >> 16 | high for low, high in zip(bits[::2], bits[1::2])]


def numbers(pairs: list[int]) -> list[float]:
    """The other way."""
    halves = array("I", [half for pair in pairs for half in ((pair & 0xFFFF) << 16, pair & 0xFFFF0000)])
    found: list[float] = Buffer(halves).cast("B").cast("f").tolist()
    return found
