"""Kernels that take their arrays number by number, and so may take them stretch by stretch."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch, nothing

STRETCH = 1 << 16  # numbers: 256 KiB in float32, of which a few fit a core's second cache


Spare: TypeAlias = tuple[Array, Array]


class Elementwise(ArrayKernel):
    """A kernel whose methods are prepared for each stretch of the flattened arrays, and run one after the other.

    So one stretch of scratch is enough, and numbers are still in the cache when the next operation comes to them.
    Arrays of another size, such as a learning rate, are handed over as they are.
    """

    def lay_out(
        self, method: str, views: Mapping[str, Array | None], attributes: Mapping[str, Any], scratch: Scratch
    ) -> Run:
        size = max(x.size for x in views.values() if x is not None)

        def prepare(start: int) -> Run:
            here = slice(start, start + STRETCH)
            parts = {n: x if x is None or x.size != size else x.reshape(-1)[here] for n, x in views.items()}
            return super(Elementwise, self).lay_out(method, parts, attributes, scratch)

        return scratch.in_turn(prepare, ((start,) for start in range(0, size, STRETCH)))


class Activation(Elementwise):
    """y = f(x): write `f` into y, and its derivative in `df`. `spare` has two more arrays, for what is in between."""

    sets = ("d_x",)

    def f(self, y: Array, x: Array, spare: Spare) -> None:
        raise NotImplementedError

    def df(self, y: Array, x: Array, spare: Spare) -> None:
        raise NotImplementedError

    def forward(self, out: Array, x: Array, *, scratch: Scratch) -> Run:
        spare = scratch.like(x), scratch.like(x)
        return lambda: self.f(out, x, spare)

    def backward(self, d_x: Array | None, d_out: Array, x: Array, *, scratch: Scratch) -> Run:
        if d_x is None:
            return nothing
        target, spare = d_x, (scratch.like(x), scratch.like(x))

        def run() -> None:
            self.df(target, x, spare)
            np.multiply(target, d_out, out=target)

        return run
