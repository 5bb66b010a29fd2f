"""Adagrad: what has moved much moves less. Duchi, Hazan and Singer 2011, jmlr.org/papers/v12/duchi11a.html.

    g = factor * grad
    v <- v + g^2
    w <- w - lr g / (sqrt(v) + eps)

Where `factor` isn't finite nothing moves.
"""

from math import isfinite, prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, divide, flat, sqrt, stretches, write
from microgpt_optimizers.updates.contract import check_shapes


class AdagradUpdate(Op):
    name = "adagrad_update"
    mutates = ("w", "v")

    def shapes(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, v: Shape, *, eps: float = 1e-10
    ) -> Shapes:
        return check_shapes(self, w, grad, factor, lr, step, v=v)

    def forward(
        self, w: Buffer, grad: Buffer, factor: Buffer, lr: Buffer, step: Buffer, v: Buffer, *, eps: float
    ) -> None:
        # w, grad and v alike; the others (1,)
        if not isfinite(factor[0]):
            return
        for part in stretches(prod(w.shape)):
            g = [factor[0] * x for x in flat(grad)[part]]
            squares = [old + x * x for old, x in zip(flat(v)[part], g)]
            write(flat(v)[part], squares)
            moved = [p - lr[0] * divide(x, sqrt(v) + eps) for p, x, v in zip(flat(w)[part], g, squares)]
            write(flat(w)[part], moved)

    def cost(self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, v: Shape, *, eps: float) -> Cost:
        """8 per parameter: 1 for g, 2 for v, 5 for w."""
        return {"forward": 8 * prod(w)}
