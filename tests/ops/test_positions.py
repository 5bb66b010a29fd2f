"""Ops that tell tokens their place: what rope and sinusoidal promise beyond their derivatives."""

import math
from random import Random

import pytest

from microgpt_core import ops
from microgpt_core.engine.tensor import Tensor, tensor


def rows(rng: Random, n: int, width: int) -> Tensor:
    return tensor([[[rng.gauss(0, 1) for _ in range(width)] for _ in range(n)]], "float64")


def turned(x: Tensor, positions: list[int], n_head: int = 1, theta: float = 10000.0) -> list[list[float]]:
    return ops.rope(x, tensor([positions], "int32"), n_head=n_head, theta=theta).tolist()[0]


def scores(q: Tensor, k: Tensor, first: int) -> list[float]:
    """Every query's product with every key, the tokens standing at first, first + 1, ..."""
    places = list(range(first, first + q.shape[1]))
    return [math.sumprod(a, b) if hasattr(math, "sumprod") else sum(map(lambda x, y: x * y, a, b))
            for a in turned(q, places) for b in turned(k, places)]  # fmt: skip


def test_scores_depend_on_the_distance_alone() -> None:
    rng = Random(1)
    q, k = rows(rng, 5, 8), rows(rng, 5, 8)
    assert scores(q, k, 1000) == pytest.approx(scores(q, k, 0), abs=1e-9)
    other = tensor([k.tolist()[0][::-1]], "float64")
    assert scores(q, other, 0) != pytest.approx(scores(q, k, 0), abs=1e-3)  # the check can fail


def test_position_0_is_left_as_it_is_and_lengths_stay() -> None:
    x = rows(Random(2), 3, 6)
    assert turned(x, [0, 0, 0]) == x.tolist()[0]
    lengths = [math.hypot(*row) for row in turned(x, [7, 100, 8191])]
    assert lengths == pytest.approx([math.hypot(*row) for row in x.tolist()[0]])


def test_rope_by_hand() -> None:
    """Two heads of four numbers: number i is paired with i + 2, the second pair turns theta^(1/2) times slower."""
    x = tensor([[[1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, 4.0]]], "float64")
    c, s, c2, s2 = math.cos(3), math.sin(3), math.cos(0.3), math.sin(0.3)
    expected = [c, 2 * c2, s, 2 * s2, -3 * s, -4 * s2, 3 * c, 4 * c2]
    assert turned(x, [3], n_head=2, theta=100.0)[0] == pytest.approx(expected)


def test_sinusoids_by_hand() -> None:
    x = tensor([[[0.0] * 5]], "float64")
    slow, slower = 10000 ** (-2 / 5), 10000 ** (-4 / 5)
    expected = [math.sin(7), math.cos(7), math.sin(7 * slow), math.cos(7 * slow), math.sin(7 * slower)]
    assert ops.sinusoidal(x, tensor([[7]], "int32")).tolist()[0][0] == pytest.approx(expected)
