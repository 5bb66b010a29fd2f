"""The last linear layer, cross-entropy and the gradients of both, in one sweep: what a pass makes of the four calls.

    z = x W^T                          loss = cross-entropy of z, see ops/cross_entropy.py
    dz = d loss / d z                  x_gradient = dz W,   weight_gradient += dz^T x

The logits z are N x V numbers, of a large vocabulary the most that a step would hold. A kernel makes them a chunk of
rows at a time and forgets them, and computes nothing twice (Wijmans et al. 2024, arXiv:2411.09009, keep as little and
compute z again). With `bfloat16` the products are those of linear_bfloat16.
"""

from math import prod

from microgpt_core import ops
from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, new_buffer, write
from microgpt_simd.linear_bfloat16 import LinearBFloat16


class LinearCrossEntropy(Op):
    name = "linear_cross_entropy"
    integers = ("targets",)
    mutates = ("weight_gradient",)
    examples = (
        {"x": (7, 5), "weight": (3, 5), "targets": ((7,), range(3)), "weight_gradient": (3, 5)},
        {"x": (2, 3, 5), "weight": (33, 5), "targets": ((2, 3), range(-1, 33)), "scale": [0.3],
         "weight_gradient": (33, 5), "label_smoothing": 0.1},
        {"x": (7, 5), "weight": (3, 5), "targets": ((7,), range(3)), "scale": [0.3]},
    )  # fmt: skip

    def shapes(
        self, x: Shape, weight: Shape, targets: Shape, scale: Shape | None = None,
        weight_gradient: Shape | None = None, *, label_smoothing: float = 0.0, bfloat16: bool = False,
    ) -> Shapes:  # fmt: skip
        self.expect("weight", weight, ("V", x[-1]))
        self.expect("targets", targets, x[:-1])
        self.expect("scale", scale, (1,))
        self.expect("weight_gradient", weight_gradient, weight)
        return {"loss": (1,), "x_gradient": x}

    def forward(
        self, loss: Buffer, x_gradient: Buffer, x: Buffer, weight: Buffer, targets: Buffer, scale: Buffer | None,
        weight_gradient: Buffer | None, *, label_smoothing: float, bfloat16: bool,
    ) -> None:  # fmt: skip
        # x and x_gradient (..., C), weight (V, C), targets (...), loss and scale (1,)
        linear = LinearBFloat16() if bfloat16 else ops.linear
        z, dz = (new_buffer((*x.shape[:-1], weight.shape[0]), x.format) for _ in range(2))
        one = new_buffer((1,), x.format)
        write(one, [1.0])
        linear.forward(z, x, weight, None)
        ops.cross_entropy.forward(loss, z, targets, scale, label_smoothing=label_smoothing)
        ops.cross_entropy.backward(dz, one, z, targets, scale, label_smoothing=label_smoothing)
        ops.zero.forward(x_gradient)
        linear.backward(x_gradient, weight_gradient, None, dz, x, weight)

    def cost(
        self, x: Shape, weight: Shape, targets: Shape, scale: Shape | None, weight_gradient: Shape | None,
        *, label_smoothing: float, bfloat16: bool,
    ) -> Cost:  # fmt: skip
        """2 N C V for the logits, as much for each gradient, and 8 per logit, as in cross_entropy."""
        product, n_logits = 2 * prod(x) * weight[0], prod(x[:-1]) * weight[0]
        return {"forward": product * (2 if weight_gradient is None else 3) + 8 * n_logits}
