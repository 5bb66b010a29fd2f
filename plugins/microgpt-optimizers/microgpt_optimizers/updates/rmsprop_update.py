"""RMSprop: each number moves by its gradient over the gradient's usual size. Hinton, Coursera lecture 6e, 2012.

    g = factor * grad
    v <- beta v + (1 - beta) g^2
    d = g / (sqrt(v) + eps)
    w <- w - lr d                               without m
    m <- momentum m + d,   w <- w - lr m        with it

Where `factor` isn't finite nothing moves.
"""

from math import isfinite, prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, divide, flat, sqrt, stretches, write
from microgpt_optimizers.updates.contract import ONE, check_shapes

POSITIVE = [[0.5, 0.1, 2.0, 1.0, 0.3], [0.2, 0.7, 0.9, 1.1, 4.0], [3.0, 0.01, 0.4, 0.6, 0.8]]
ROW = [[0.01 * (1 + 7 * j % 50) for j in range(67)]]


class RMSpropUpdate(Op):
    name = "rmsprop_update"
    mutates = ("w", "v", "m")
    examples = [
        {"w": (3, 5), "grad": (3, 5), **ONE, "v": POSITIVE},
        {"w": (3, 5), "grad": (3, 5), **ONE, "v": POSITIVE, "m": (3, 5), "momentum": 0.9},
        {"w": (1,), "grad": (1,), **ONE, "v": [0.2]},
        {"w": (33, 67), "grad": (33, 67), **ONE, "v": ROW * 33, "m": (33, 67), "momentum": 0.5},
    ]

    def shapes(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, v: Shape, m: Shape | None = None,
        *, beta: float = 0.99, eps: float = 1e-8, momentum: float = 0.0,
    ) -> Shapes:  # fmt: skip
        return check_shapes(self, w, grad, factor, lr, step, v=v, m=m)

    def forward(
        self, w: Buffer, grad: Buffer, factor: Buffer, lr: Buffer, step: Buffer, v: Buffer, m: Buffer | None,
        *, beta: float, eps: float, momentum: float,
    ) -> None:  # fmt: skip
        # w, grad, v and m alike; the others (1,)
        if not isfinite(factor[0]):
            return
        for part in stretches(prod(w.shape)):
            g = [factor[0] * x for x in flat(grad)[part]]
            squares = [beta * old + (1.0 - beta) * x * x for old, x in zip(flat(v)[part], g)]
            move = [divide(x, sqrt(square) + eps) for x, square in zip(g, squares)]
            write(flat(v)[part], squares)
            if m is not None:
                move = [momentum * old + d for old, d in zip(flat(m)[part], move)]
                write(flat(m)[part], move)
            write(flat(w)[part], [p - lr[0] * d for p, d in zip(flat(w)[part], move)])

    def cost(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, v: Shape, m: Shape | None,
        *, beta: float, eps: float, momentum: float,
    ) -> Cost:  # fmt: skip
        """10 per parameter: 1 for g, 4 for v, 3 for d, 2 for w; 12 with momentum."""
        return {"forward": prod(w) * (10 if m is None else 12)}
