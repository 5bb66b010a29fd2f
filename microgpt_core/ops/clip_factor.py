"""Gradient clipping by global norm: the factor that keeps the update from exploding.

    factor = min(1, max_norm / norm)            Pascanu et al. 2013, arXiv:1211.5063

Where the norm isn't finite neither is the factor, and update ops do nothing: a NaN never reaches a
weight. `max_norm=inf` clips nothing and keeps that guard.
"""

from math import isfinite, nan

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, write


class ClipFactor(Op):
    def shapes(self, norm: Shape, *, max_norm: float) -> Shapes:
        self.expect("norm", norm, (1,))
        return {"factor": (1,)}

    def forward(self, factor: Buffer, norm: Buffer, *, max_norm: float) -> None:  # factor and norm (1,)
        n = norm[0]
        write(factor, [nan if not isfinite(n) else 1.0 if n <= max_norm else max_norm / n])

    def cost(self, norm: Shape, *, max_norm: float) -> Cost:
        """One division."""
        return {"forward": 1}
