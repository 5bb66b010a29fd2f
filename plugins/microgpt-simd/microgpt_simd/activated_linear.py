"""A linear layer that reads an activation's results, y = f(x) W^T + b: what a pass makes of the two.

    out       = f(x) W^T + b
    d_x      += (d_out W) f'(x)
    d_weight += d_out^T f(x)
    d_bias   += sum_t d_out

f(x) is the widest value of a block, four times as wide as what goes through it: made by a sweep over memory, read by
the next product, kept or made again for backward, and read by a product there. Here only x is kept. A kernel makes f(x)
while it packs x for a product, and never writes it down.
"""

from microgpt_core import ops
from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, new_buffer
from microgpt_core.errors import ConfigurationError
from microgpt_simd.linear_bfloat16 import LinearBFloat16

# Those with a kernel of this pack, in the order in which it has them.
ACTIVATIONS: tuple[str, ...] = ("gelu", "gelu_tanh", "relu", "relu2", "sigmoid", "silu", "tanh")


class ActivatedLinear(Op):
    linear: Op = ops.linear
    examples = (
        {"x": (7, 5), "weight": (3, 5), "bias": (3,), "activation": "gelu"},
        {"x": (2, 3, 35), "weight": (9, 35), "activation": "relu2"},
        {"x": (21, 35), "weight": (70, 35), "bias": (70,), "activation": "tanh"},
        {"x": (1, 1), "weight": (1, 1), "activation": "silu"},
    )

    def shapes(self, x: Shape, weight: Shape, bias: Shape | None = None, *, activation: str) -> Shapes:
        number_of(activation)
        return self.linear.shapes(x, weight, bias)

    def forward(self, out: Buffer, x: Buffer, weight: Buffer, bias: Buffer | None, *, activation: str) -> None:
        # out (..., O), x (..., I), weight (O, I), bias (O,)
        self.linear.forward(out, activated(x, activation), weight, bias)

    def backward(
        self, d_x: Buffer | None, d_weight: Buffer | None, d_bias: Buffer | None,
        d_out: Buffer, x: Buffer, weight: Buffer, *, activation: str,
    ) -> None:  # fmt: skip
        d_activated = None if d_x is None else new_buffer(x.shape, x.format)
        self.linear.backward(d_activated, d_weight, d_bias, d_out, activated(x, activation), weight)
        ops.OPS[activation].backward(d_x, d_activated, x)

    def cost(self, x: Shape, weight: Shape, bias: Shape | None, *, activation: str) -> Cost:
        """Those of the two; that d_weight wants f(x) once more isn't counted."""
        bent, product = ops.OPS[activation].cost(x), self.linear.cost(x, weight, bias)
        return {
            **product, "forward": product["forward"] + bent["forward"], "d_x": product["d_x"] + bent["backward"],
        }  # fmt: skip


class ActivatedLinearBFloat16(ActivatedLinear):
    """With products of bfloat16: f(x) is rounded, and what is multiplied by f'(x) isn't."""

    name = "activated_linear_bfloat16"
    linear = LinearBFloat16()
    rounds = True


def number_of(activation: str) -> int:
    """As the kernels know it. Raises ConfigurationError where they don't."""
    if activation not in ACTIVATIONS:
        raise ConfigurationError(f"activation is {activation!r}; allowed: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS.index(activation)


def activated(x: Buffer, activation: str) -> Buffer:
    """f(x) in a buffer of its own."""
    out = new_buffer(x.shape, x.format)
    ops.OPS[activation].forward(out, x)
    return out
