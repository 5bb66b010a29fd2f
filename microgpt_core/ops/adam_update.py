"""Adam: each parameter moves by its mean gradient over its typical size. Kingma and Ba 2015, arXiv:1412.6980.

    g = factor * grad,  t = step + 1
    m <- b1 m + (1 - b1) g                  v <- b2 v + (1 - b2) g^2
    w <- w - lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

Steps count from 0. Where `factor` isn't finite nothing moves.
"""

from math import isfinite, prod, sqrt

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, flat, stretches, write


class AdamUpdate(Op):
    name = "adam_update"
    mutates = ("w", "m", "v")

    def shapes(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, m: Shape, v: Shape,
        *, beta1: float = 0.9, beta2: float = 0.95, eps: float = 1e-8,
    ) -> Shapes:  # fmt: skip
        for name, shape in (("grad", grad), ("m", m), ("v", v)):
            self.expect(name, shape, w)
        for name, shape in (("factor", factor), ("lr", lr), ("step", step)):
            self.expect(name, shape, (1,))
        return {}

    def forward(
        self, w: Buffer, grad: Buffer, factor: Buffer, lr: Buffer, step: Buffer, m: Buffer, v: Buffer,
        *, beta1: float, beta2: float, eps: float,
    ) -> None:  # fmt: skip
        # w, grad, m and v alike; the others (1,)
        if isfinite(factor[0]):
            adam(w, grad, factor[0], lr[0], step[0] + 1.0, m, v, beta1, beta2, eps)

    def cost(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, m: Shape, v: Shape,
        *, beta1: float, beta2: float, eps: float,
    ) -> Cost:  # fmt: skip
        """13 per parameter: 3 for m, 4 for v, 6 for w."""
        return {"forward": 13 * prod(w)}


def adam(
    w: Buffer, grad: Buffer, factor: float, lr: float, t: float, m: Buffer, v: Buffer,
    beta1: float, beta2: float, eps: float, decay: float = 0.0,
) -> None:  # fmt: skip
    """Move w, m and v by one step, after shrinking w by `decay`."""
    unbias, keep = sqrt(1.0 - beta2**t), 1.0 - decay
    rate, floor = lr * unbias / (1.0 - beta1**t), eps * unbias  # both bias corrections, moved out of the loop
    new1, new2 = (1.0 - beta1) * factor, (1.0 - beta2) * factor * factor
    w, grad, m, v = flat(w), flat(grad), flat(m), flat(v)
    for part in stretches(len(w)):
        weights, means, squares = [], [], []
        kept = [keep * p for p in w[part]] if decay else w[part]
        for p, g, mean, square in zip(kept, grad[part], m[part], v[part]):
            mean = beta1 * mean + new1 * g
            square = beta2 * square + new2 * g * g
            weights.append(p - rate * mean / (sqrt(square) + floor))
            means.append(mean)
            squares.append(square)
        write(w[part], weights)
        write(m[part], means)
        write(v[part], squares)
