"""A sum and its norm, what the next half of a block begins with: what a pass makes of the two calls.

    sum = a + b            out = norm(sum)

Gradients are those of the two: backward finds the sum, and what the norm keeps, as they always were.
"""

from microgpt_core import ops
from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes


class AddRMSNorm(Op):
    name = "add_rmsnorm"
    examples = (
        {"a": (7, 5), "b": (7, 5), "weight": (5,)},
        {"a": (2, 3, 35), "b": (2, 3, 35), "eps": 0.1},
        {"a": (1, 1), "b": (1, 1)},
    )

    def shapes(self, a: Shape, b: Shape, weight: Shape | None = None, *, eps: float = 1e-5) -> Shapes:
        self.expect("b", b, a)
        return {"sum": a, **ops.rmsnorm.shapes(a, weight, eps=eps)}

    def forward(
        self, sum: Buffer, out: Buffer, rstd: Buffer, a: Buffer, b: Buffer, weight: Buffer | None, *, eps: float
    ) -> None:
        # sum, out, a and b (..., C), rstd (...), weight (C,)
        ops.add.forward(sum, a, b)
        ops.rmsnorm.forward(out, rstd, sum, weight, eps=eps)

    def cost(self, a: Shape, b: Shape, weight: Shape | None, *, eps: float) -> Cost:
        """Those of the two."""
        return {"forward": ops.add.cost(a, b)["forward"] + ops.rmsnorm.cost(a, weight, eps=eps)["forward"]}


class AddLayerNorm(Op):
    name = "add_layernorm"
    examples = (
        {"a": (7, 5), "b": (7, 5), "weight": (5,), "bias": (5,)},
        {"a": (2, 3, 35), "b": (2, 3, 35), "eps": 0.1},
        {"a": (2, 2), "b": (2, 2)},
    )

    def shapes(
        self, a: Shape, b: Shape, weight: Shape | None = None, bias: Shape | None = None, *, eps: float = 1e-5
    ) -> Shapes:
        self.expect("b", b, a)
        return {"sum": a, **ops.layernorm.shapes(a, weight, bias, eps=eps)}

    def forward(
        self, sum: Buffer, out: Buffer, mean: Buffer, rstd: Buffer, a: Buffer, b: Buffer,
        weight: Buffer | None, bias: Buffer | None, *, eps: float,
    ) -> None:  # fmt: skip
        # sum, out, a and b (..., C), mean and rstd (...), weight and bias (C,)
        ops.add.forward(sum, a, b)
        ops.layernorm.forward(out, mean, rstd, sum, weight, bias, eps=eps)

    def cost(self, a: Shape, b: Shape, weight: Shape | None, bias: Shape | None, *, eps: float) -> Cost:
        """Those of the two."""
        return {"forward": ops.add.cost(a, b)["forward"] + ops.layernorm.cost(a, weight, bias, eps=eps)["forward"]}
