"""Clipping by value: no number of a gradient is larger than a limit. Goes before the op that moves the parameter.

    factor * grad <- min(max(factor * grad, -limit), limit)

It is the gradient as the next op will see it, with the factor of clipping by norm, that is limited. Where `factor`
isn't finite nothing changes.
"""

from math import isfinite, prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, divide, flat, stretches, write
from microgpt_optimizers.updates.contract import check_shapes


class ClipValue(Op):
    mutates = ("grad",)

    def shapes(self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, *, limit: float = 1.0) -> Shapes:
        return check_shapes(self, w, grad, factor, lr, step)

    def forward(self, w: Buffer, grad: Buffer, factor: Buffer, lr: Buffer, step: Buffer, *, limit: float) -> None:
        # w and grad alike; the others (1,)
        if not isfinite(factor[0]):
            return
        most = divide(limit, abs(factor[0]))
        for part in stretches(prod(grad.shape)):
            write(flat(grad)[part], [most if g > most else -most if g < -most else g for g in flat(grad)[part]])

    def cost(self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, *, limit: float) -> Cost:
        """Two comparisons per gradient."""
        return {"forward": 2 * prod(grad)}
