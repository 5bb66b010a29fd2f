"""Adafactor: mean squares by row and by column, not by number. Shazeer and Stern 2018, arXiv:1804.04235, algorithm 4.

    g = factor * grad,  t = step + 1,  fresh = t^-decay_power
    r[i] <- r[i] + fresh (mean_j g[i, j]^2 - r[i])          c[j] <- c[j] + fresh (mean_i g[i, j]^2 - c[j])
    u[i, j] = g[i, j] / sqrt(max(r[i] c[j] / max(mean(r), eps^2), eps^2))
    rate = min(lr, 1 / sqrt(t)) max(min_scale, rms(w)) / max(1, rms(u) / clip)
    w <- w - lr weight_decay w - rate u

A matrix of n rows and m columns needs n + m numbers of state instead of n m. A vector is a matrix of one row: then
c is every number's own mean square. rms(w) is taken before the decay. Where `factor` isn't finite nothing moves.
"""

from math import isfinite, prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, divide, dot, flat, rows, sqrt, write
from microgpt_optimizers.updates.contract import ONE, check_shapes

R, C = [0.5, 0.2, 3.0], [0.3, 1.0, 0.01, 0.7, 2.0]


class AdafactorUpdate(Op):
    name = "adafactor_update"
    mutates = ("w", "r", "c")
    examples = [
        {"w": (3, 5), "grad": (3, 5), **ONE, "r": R, "c": C, "weight_decay": 0.1},
        {"w": (5,), "grad": (5,), **ONE, "r": [0.8], "c": C, "clip": 0.1},
        {"w": (5, 1), "grad": (5, 1), **ONE, "r": C, "c": [0.8], "lr": [0.9]},
        {"w": (33, 67), "grad": (33, 67), **ONE, "r": (R * 11), "c": (C * 14)[:67], "min_scale": 2.0},
    ]

    def shapes(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, r: Shape, c: Shape,
        *, decay_power: float = 0.8, eps: float = 1e-12, min_scale: float = 1e-3, clip: float = 1.0,
        weight_decay: float = 0.0,
    ) -> Shapes:  # fmt: skip
        self.expect("r", r, w[:-1] or (1,))
        self.expect("c", c, w[-1:])
        return check_shapes(self, w, grad, factor, lr, step)

    def forward(
        self, w: Buffer, grad: Buffer, factor: Buffer, lr: Buffer, step: Buffer, r: Buffer, c: Buffer,
        *, decay_power: float, eps: float, min_scale: float, clip: float, weight_decay: float,
    ) -> None:  # fmt: skip
        # w and grad (N, M), r (N,), c (M,); the others (1,)
        if not isfinite(factor[0]):
            return
        t = step[0] + 1.0
        fresh, keep = t**-decay_power, 1.0 - lr[0] * weight_decay
        g = [[factor[0] * x for x in row] for row in rows(grad)]
        write(r, [old + fresh * (dot(row, row) / len(row) - old) for old, row in zip(flat(r), g)])
        by_column = [dot(column, column) / len(g) for column in zip(*g)]
        write(c, [old + fresh * (new - old) for old, new in zip(flat(c), by_column)])
        floor = eps * eps
        mean = largest(sum(flat(r)) / len(flat(r)), floor)
        moves = []
        for row, size in zip(g, flat(r)):
            share = size / mean
            moves += [divide(x, sqrt(largest(share * v, floor))) for x, v in zip(row, flat(c))]
        rate = min(lr[0], 1.0 / sqrt(t)) * largest(rms(flat(w).tolist()), min_scale)
        rate = divide(rate, largest(rms(moves) / clip, 1.0))
        write(w, [keep * p - rate * u for p, u in zip(flat(w), moves)])

    def cost(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, r: Shape, c: Shape,
        *, decay_power: float, eps: float, min_scale: float, clip: float, weight_decay: float,
    ) -> Cost:  # fmt: skip
        """16 per parameter: 1 for g, 4 for the means, 4 for u, 4 for two root mean squares, 3 for w."""
        return {"forward": 16 * prod(w)}


def largest(x: float, least: float) -> float:
    """x, or `least` where that is more; NaN stays NaN."""
    return least if x < least else x


def rms(numbers: list[float]) -> float:
    return sqrt(dot(numbers, numbers) / len(numbers))
