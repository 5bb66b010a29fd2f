"""The length of all gradients taken as one vector: norm = sqrt(sum_i grads_i^2)."""

from math import prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, dot, flat, sqrt, stretches, write


class GlobalNorm(Op):
    def shapes(self, grads: Shape) -> Shapes:
        return {"norm": (1,)}

    def forward(self, norm: Buffer, grads: Buffer) -> None:  # norm (1,), grads of any shape: a region of gradients
        parts = (flat(grads)[part].tolist() for part in stretches(prod(grads.shape)))
        write(norm, [sqrt(sum([dot(part, part) for part in parts]))])

    def cost(self, grads: Shape) -> Cost:
        """A multiply-add per gradient."""
        return {"forward": 2 * prod(grads)}
