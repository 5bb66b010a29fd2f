"""Linear with bfloat16 products: what `precision: bfloat16` makes of every `linear`.

    out  = r(x) r(W)^T + b            r rounds to bfloat16; sums, bias and results are float32
    d_x += r(d_out) r(W)
    d_W += r(d_out)^T r(x)
    d_b += sum_t d_out

bfloat16 is the upper half of a float32: its range, and 8 bits of its precision. Weights stay float32, so that small
updates aren't lost (Micikevicius et al. 2018, arXiv:1710.03740; Kalamkar et al. 2019, arXiv:1905.12322). Numbers that
aren't float32 are left as they are.
"""

from array import array

from microgpt_core.components import Buffer, accumulate, flat, rows
from microgpt_core.ops.linear import Linear

QUIET = 0x0040  # the bit that tells a NaN from an infinity, once its lower half is gone


class LinearBFloat16(Linear):
    name = "linear_bfloat16"
    rounds = True
    examples = (
        {"x": (7, 5), "weight": (3, 5), "bias": (3,)},
        {"x": (2, 3, 35), "weight": (9, 35)},
        {"x": (1, 1), "weight": (1, 1)},
    )

    def forward(self, out: Buffer, x: Buffer, weight: Buffer, bias: Buffer | None) -> None:
        # as in Linear
        super().forward(out, to_bfloat16(x), to_bfloat16(weight), bias)

    def backward(
        self, d_x: Buffer | None, d_weight: Buffer | None, d_bias: Buffer | None,
        d_out: Buffer, x: Buffer, weight: Buffer,
    ) -> None:  # fmt: skip
        super().backward(d_x, d_weight, None, to_bfloat16(d_out), to_bfloat16(x), to_bfloat16(weight))
        if d_bias is not None:
            accumulate(d_bias, list(map(sum, rows(d_out).columns())))


def to_bfloat16(x: Buffer) -> Buffer:
    """The same numbers, float32 ones rounded to the nearest bfloat16, of two as near the one with an even last bit."""
    if x.format != "f":
        return x
    bits = array("I", flat(x).cast("B").cast("I"))
    rounded = array("I", map(round_bits, bits))
    return Buffer(rounded).cast("B").cast("f", x.shape)


def round_bits(bits: int) -> int:
    upper, lower = bits >> 16, bits & 0xFFFF
    if upper & 0x7F80 == 0x7F80 and bits & 0x7FFFFF:
        return (upper | QUIET) << 16
    return upper + (lower > 0x8000 or (lower == 0x8000 and upper & 1)) << 16
