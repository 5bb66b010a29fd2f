"""Lion: only the sign of a mean gradient decides, so every number moves by lr. Chen et al. 2023, arXiv:2302.06675.

    g = factor * grad
    c = beta1 m + (1 - beta1) g
    w <- w - lr weight_decay w - lr sign(c)
    m <- beta2 m + (1 - beta2) g

Where `factor` isn't finite nothing moves.
"""

from math import isfinite, prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, flat, stretches, write
from microgpt_optimizers.updates.contract import check_shapes


class LionUpdate(Op):
    name = "lion_update"
    mutates = ("w", "m")

    def shapes(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, m: Shape,
        *, beta1: float = 0.9, beta2: float = 0.99, weight_decay: float = 0.0,
    ) -> Shapes:  # fmt: skip
        return check_shapes(self, w, grad, factor, lr, step, m=m)

    def forward(
        self, w: Buffer, grad: Buffer, factor: Buffer, lr: Buffer, step: Buffer, m: Buffer,
        *, beta1: float, beta2: float, weight_decay: float,
    ) -> None:  # fmt: skip
        # w, grad and m alike; the others (1,)
        if not isfinite(factor[0]):
            return
        rate, keep = lr[0], 1.0 - lr[0] * weight_decay
        for part in stretches(prod(w.shape)):
            g, means = [factor[0] * x for x in flat(grad)[part]], flat(m)[part].tolist()
            c = [beta1 * mean + (1.0 - beta1) * x for mean, x in zip(means, g)]
            write(flat(w)[part], [keep * p - rate * sign(x) for p, x in zip(flat(w)[part], c)])
            write(flat(m)[part], [beta2 * mean + (1.0 - beta2) * x for mean, x in zip(means, g)])

    def cost(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, m: Shape,
        *, beta1: float, beta2: float, weight_decay: float,
    ) -> Cost:  # fmt: skip
        """11 per parameter: 1 for g, 3 each for c and m, 4 for w."""
        return {"forward": 11 * prod(w)}


def sign(x: float) -> float:
    """1, -1, or what isn't either side of 0: zero itself, and NaN."""
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else x
