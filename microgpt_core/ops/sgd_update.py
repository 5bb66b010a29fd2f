"""Stochastic gradient descent, with momentum (Polyak 1964) and Nesterov's variant (Sutskever et al. 2013).

    g = factor * grad
    w <- w - lr g                                    without m
    m <- momentum m + g,    w <- w - lr m            with it; Nesterov: w <- w - lr (g + momentum m)

Where `factor` isn't finite nothing moves.
"""

from math import isfinite, prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, flat, stretches, write


class SGDUpdate(Op):
    name = "sgd_update"
    mutates = ("w", "m")

    def shapes(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, m: Shape | None = None,
        *, momentum: float = 0.0, nesterov: bool = False,
    ) -> Shapes:  # fmt: skip
        self.expect("grad", grad, w)
        self.expect("m", m, w)
        for name, shape in (("factor", factor), ("lr", lr), ("step", step)):
            self.expect(name, shape, (1,))
        return {}

    def forward(
        self, w: Buffer, grad: Buffer, factor: Buffer, lr: Buffer, step: Buffer, m: Buffer | None,
        *, momentum: float, nesterov: bool,
    ) -> None:  # fmt: skip
        # w, grad and m alike; the others (1,)
        if not isfinite(factor[0]):
            return
        for part in stretches(prod(w.shape)):
            move = [factor[0] * g for g in flat(grad)[part]]
            if m is not None:
                velocity = [momentum * a + g for a, g in zip(flat(m)[part], move)]
                write(flat(m)[part], velocity)
                move = [g + momentum * a for a, g in zip(velocity, move)] if nesterov else velocity
            write(flat(w)[part], [p - lr[0] * g for p, g in zip(flat(w)[part], move)])

    def cost(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, m: Shape | None,
        *, momentum: float, nesterov: bool,
    ) -> Cost:  # fmt: skip
        """3 per parameter, 5 with momentum, 7 with Nesterov's."""
        return {"forward": prod(w) * (3 if m is None else 7 if nesterov else 5)}
