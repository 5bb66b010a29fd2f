"""The optimizers' updates: w and its state move in place, or not at all where the factor isn't finite."""

from math import isfinite, sqrt

import numpy as np

from microgpt_numpy.elementwise import Elementwise
from microgpt_numpy.kernel import Array, Run, Scratch


class SGDUpdate(Elementwise):
    def forward(
        self, w: Array, grad: Array, factor: Array, lr: Array, step: Array, m: Array | None,
        *, momentum: float, nesterov: bool, scratch: Scratch,
    ) -> Run:  # fmt: skip
        move, ahead = scratch.like(w), scratch.like(w)
        direction = move if m is None or nesterov else m

        def run() -> None:
            if not isfinite(factor[0]):
                return
            np.multiply(grad, factor, out=move)
            if m is not None:
                np.multiply(m, momentum, out=m)
                np.add(m, move, out=m)
                if nesterov:
                    np.multiply(m, momentum, out=ahead)
                    np.add(move, ahead, out=move)
            np.multiply(direction, lr, out=move)
            np.subtract(w, move, out=w)

        return run


class AdamUpdate(Elementwise):
    def forward(
        self, w: Array, grad: Array, factor: Array, lr: Array, step: Array, m: Array, v: Array,
        *, beta1: float, beta2: float, eps: float, scratch: Scratch,
    ) -> Run:  # fmt: skip
        return adam(w, grad, factor, lr, step, m, v, beta1, beta2, eps, 0.0, scratch)


class AdamWUpdate(Elementwise):
    def forward(
        self, w: Array, grad: Array, factor: Array, lr: Array, step: Array, m: Array, v: Array,
        *, beta1: float, beta2: float, eps: float, weight_decay: float, scratch: Scratch,
    ) -> Run:  # fmt: skip
        return adam(w, grad, factor, lr, step, m, v, beta1, beta2, eps, weight_decay, scratch)


def adam(
    w: Array, grad: Array, factor: Array, lr: Array, step: Array, m: Array, v: Array,
    beta1: float, beta2: float, eps: float, weight_decay: float, scratch: Scratch,
) -> Run:  # fmt: skip
    """The same steps as the reference's, with the bias corrections moved out of the arrays."""
    part = scratch.like(w)

    def run() -> None:
        f, rate, t = float(factor[0]), float(lr[0]), float(step[0]) + 1.0
        if not isfinite(f):
            return
        unbias = sqrt(1.0 - beta2**t)
        if weight_decay:
            np.multiply(w, 1.0 - rate * weight_decay, out=w)
        np.multiply(m, beta1, out=m)
        np.multiply(grad, (1.0 - beta1) * f, out=part)
        np.add(m, part, out=m)
        np.multiply(v, beta2, out=v)
        np.multiply(grad, sqrt(1.0 - beta2) * f, out=part)
        np.multiply(part, part, out=part)
        np.add(v, part, out=v)
        np.sqrt(v, out=part)
        np.add(part, eps * unbias, out=part)
        np.divide(m, part, out=part)
        np.multiply(part, rate * unbias / (1.0 - beta1**t), out=part)
        np.subtract(w, part, out=w)

    return run
