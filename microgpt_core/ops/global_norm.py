"""The length of all gradients taken as one vector: norm = sqrt(sum_i grads_i^2)."""

from math import prod

from microgpt_core.components import Op, dot, flat, sqrt, stretches, write


class GlobalNorm(Op):
    def shapes(self, grads):
        return {"norm": (1,)}

    def forward(self, norm, grads):  # norm (1,), grads of any shape: the region that holds every gradient
        parts = (flat(grads)[part].tolist() for part in stretches(grads.nbytes // grads.itemsize))
        write(norm, [sqrt(sum([dot(part, part) for part in parts]))])

    def cost(self, grads):
        """A multiply-add per gradient."""
        return {"forward": 2 * prod(grads)}
