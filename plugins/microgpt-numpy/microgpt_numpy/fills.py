"""Zeros and ones."""

from functools import partial

from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch


class Zero(ArrayKernel):
    def forward(self, x: Array, *, scratch: Scratch) -> Run:
        return partial(x.fill, 0.0)


class OnesLike(ArrayKernel):
    def forward(self, out: Array, x: Array, *, scratch: Scratch) -> Run:
        return partial(out.fill, 1.0)
