"""Muon: a matrix moves by its momentum made orthogonal, equally far in all directions.

Jordan et al. 2024, kellerjordan.github.io/posts/muon; the scale by size: Liu et al. 2025, arXiv:2502.16982.

    g = factor * grad
    m <- momentum m + (1 - momentum) g
    d = momentum m + (1 - momentum) g  with nesterov, otherwise m
    X = d / max(|d|, eps)                                              d^T, where d has more rows than columns
    X <- 3.4445 X + (-4.775 A + 2.0315 A A) X  with A = X X^T          so often: Newton and Schulz's iteration
    w <- w - lr weight_decay w - lr scale X

The iteration takes every singular value to about 1 (0.7 to 1.2) and leaves the directions. Where `factor` isn't finite
nothing moves.
"""

from math import isfinite, prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, columns, dot, flat, products, rows, sqrt, write
from microgpt_core.errors import ShapeError
from microgpt_optimizers.updates.contract import ONE, check_shapes

LINEAR, CUBIC, QUINTIC = 3.4445, -4.775, 2.0315  # steep at 0, so that few rounds do: what the authors found by search

Matrix = list[list[float]]


class MuonUpdate(Op):
    name = "muon_update"
    mutates = ("w", "m")
    examples = [
        *({"w": shape, "grad": shape, **ONE, "m": shape} for shape in ((3, 5), (5, 3), (1, 1), (1, 7))),
        {"w": (4, 4), "grad": (4, 4), **ONE, "m": (4, 4), "nesterov": False, "scale": 0.4, "iterations": 3},
        {"w": (33, 67), "grad": (33, 67), **ONE, "m": (33, 67), "weight_decay": 0.1},
        {"w": (67, 33), "grad": (67, 33), **ONE, "m": (67, 33), "momentum": 0.5},
    ]

    def shapes(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, m: Shape,
        *, momentum: float = 0.95, nesterov: bool = True, weight_decay: float = 0.0, scale: float = 1.0,
        iterations: int = 5, eps: float = 1e-7,
    ) -> Shapes:  # fmt: skip
        if len(w) != 2:
            raise ShapeError(f"{self.name}: w has shape {w}, expected a matrix; give other parameters to another rule")
        return check_shapes(self, w, grad, factor, lr, step, m=m)

    def forward(
        self, w: Buffer, grad: Buffer, factor: Buffer, lr: Buffer, step: Buffer, m: Buffer,
        *, momentum: float, nesterov: bool, weight_decay: float, scale: float, iterations: int, eps: float,
    ) -> None:  # fmt: skip
        # w, grad and m (N, M); the others (1,)
        if not isfinite(factor[0]):
            return
        g = [factor[0] * x for x in flat(grad)]
        means = [momentum * old + (1.0 - momentum) * x for old, x in zip(flat(m), g)]
        write(m, means)
        ahead = [momentum * mean + (1.0 - momentum) * x for mean, x in zip(means, g)] if nesterov else means
        moves = orthogonal(in_rows(ahead, w.shape[1]), iterations, eps)
        keep, rate = 1.0 - lr[0] * weight_decay, lr[0] * scale
        write(w, [keep * p - rate * x for row, move in zip(rows(w), moves) for p, x in zip(row, move)])

    def cost(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, m: Shape,
        *, momentum: float, nesterov: bool, weight_decay: float, scale: float, iterations: int, eps: float,
    ) -> Cost:  # fmt: skip
        """For an n x m matrix with n <= m, 4 n^2 m + 2 n^3 a round, and 14 per parameter."""
        short, long = sorted(w)
        return {"forward": iterations * (4 * short * short * long + 2 * short**3) + 14 * prod(w)}


def orthogonal(d: Matrix, iterations: int, eps: float) -> Matrix:
    """The matrix with its singular values taken to about 1."""
    x = d if len(d) <= len(d[0]) else columns(d)
    norm = sqrt(sum(dot(row, row) for row in x))
    norm = eps if norm < eps else norm
    x = [[v / norm for v in row] for row in x]
    for _ in range(iterations):
        gram = in_rows(products(x, x), len(x))
        square = products(gram, gram)  # a gram matrix is symmetric: its rows are its columns
        mix = [CUBIC * a + QUINTIC * b for a, b in zip((a for row in gram for a in row), square)]
        moved = in_rows(products(in_rows(mix, len(x)), columns(x)), len(x[0]))
        x = [[LINEAR * v + y for v, y in zip(row, move)] for row, move in zip(x, moved)]
    return x if len(d) <= len(d[0]) else [list(row) for row in columns(x)]


def in_rows(numbers: list[float], width: int) -> Matrix:
    return [numbers[i : i + width] for i in range(0, len(numbers), width)]
