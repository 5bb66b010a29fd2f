"""The rules that move number by number, a stretch of each array at a time."""

from math import isfinite

import numpy as np

from microgpt_numpy.elementwise import STRETCH, Elementwise
from microgpt_numpy.kernel import Array, ArrayKernel, Run, Scratch
from microgpt_optimizers.updates.average_update import share_of


class RMSpropUpdate(Elementwise):
    """rmsprop_update on the backend numpy."""

    def forward(
        self, w: Array, grad: Array, factor: Array, lr: Array, step: Array, v: Array, m: Array | None,
        *, beta: float, eps: float, momentum: float, scratch: Scratch,
    ) -> Run:  # fmt: skip
        g, part = scratch.like(w), scratch.like(w)

        def run() -> None:
            if not isfinite(factor[0]):
                return
            np.multiply(grad, factor, out=g)
            np.multiply(v, beta, out=v)
            np.multiply(g, g, out=part)
            np.multiply(part, 1.0 - beta, out=part)
            np.add(v, part, out=v)
            np.sqrt(v, out=part)
            np.add(part, eps, out=part)
            np.divide(g, part, out=g)
            if m is not None:
                np.multiply(m, momentum, out=m)
                np.add(m, g, out=m)
            np.multiply(g if m is None else m, lr, out=part)
            np.subtract(w, part, out=w)

        return run


class AdagradUpdate(Elementwise):
    """adagrad_update on the backend numpy."""

    def forward(
        self, w: Array, grad: Array, factor: Array, lr: Array, step: Array, v: Array, *, eps: float, scratch: Scratch
    ) -> Run:
        g, part = scratch.like(w), scratch.like(w)

        def run() -> None:
            if not isfinite(factor[0]):
                return
            np.multiply(grad, factor, out=g)
            np.multiply(g, g, out=part)
            np.add(v, part, out=v)
            np.sqrt(v, out=part)
            np.add(part, eps, out=part)
            np.divide(g, part, out=g)
            np.multiply(g, lr, out=g)
            np.subtract(w, g, out=w)

        return run


class LionUpdate(Elementwise):
    """lion_update on the backend numpy."""

    def forward(
        self, w: Array, grad: Array, factor: Array, lr: Array, step: Array, m: Array,
        *, beta1: float, beta2: float, weight_decay: float, scratch: Scratch,
    ) -> Run:  # fmt: skip
        g, c = scratch.like(w), scratch.like(w)

        def run() -> None:
            if not isfinite(factor[0]):
                return
            np.multiply(grad, (1.0 - beta1) * float(factor[0]), out=g)
            np.multiply(m, beta1, out=c)
            np.add(c, g, out=c)
            np.sign(c, out=c)
            np.multiply(c, lr, out=c)
            np.multiply(w, 1.0 - float(lr[0]) * weight_decay, out=w)
            np.subtract(w, c, out=w)
            np.multiply(grad, (1.0 - beta2) * float(factor[0]), out=g)
            np.multiply(m, beta2, out=m)
            np.add(m, g, out=m)

        return run


class ClipValue(Elementwise):
    """clip_value on the backend numpy."""

    def forward(
        self, w: Array, grad: Array, factor: Array, lr: Array, step: Array, *, limit: float, scratch: Scratch
    ) -> Run:
        def run() -> None:
            if isfinite(factor[0]):
                most = np.divide(limit, np.abs(factor))
                np.clip(grad, -most, most, out=grad)

        return run


class AverageUpdate(ArrayKernel):
    """average_update on the backend numpy. It counts once, however many stretches there are."""

    def forward(
        self, w: Array, grad: Array, factor: Array, lr: Array, step: Array, average: Array, seen: Array,
        *, decay: float, start: int, scratch: Scratch,
    ) -> Run:  # fmt: skip
        numbers, kept = w.reshape(-1), average.reshape(-1)
        part = scratch.array((min(w.size, STRETCH),), w.dtype)
        stretches = [slice(at, at + STRETCH) for at in range(0, w.size, STRETCH)]

        def run() -> None:
            if not isfinite(factor[0]):
                return
            if step[0] >= start:
                seen[0] += 1.0
            share = share_of(float(seen[0]), decay)
            for here in stretches:
                fresh = part[: numbers[here].size]
                np.multiply(numbers[here], share, out=fresh)
                np.multiply(kept[here], 1.0 - share, out=kept[here])
                np.add(kept[here], fresh, out=kept[here])

        return run
