"""Buffers and their views, and arithmetic that never raises."""

import math
from array import array

import pytest

from microgpt_core.components import (
    accumulate,
    columns,
    divide,
    dot,
    exp,
    flat,
    log,
    new_buffer,
    products,
    rows,
    sqrt,
    stretches,
    write,
)  # fmt: skip
from microgpt_core.components.arithmetic import Vectors
from microgpt_core.components.buffer import STRETCH

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (exp(0.0), 1.0), (exp(1000.0), INF), (exp(-1000.0), 0.0), (exp(-INF), 0.0), (exp(NAN), NAN),
        (log(1.0), 0.0), (log(0.0), -INF), (log(-0.0), -INF), (log(-1.0), NAN), (log(INF), INF), (log(NAN), NAN),
        (sqrt(4.0), 2.0), (sqrt(-1.0), NAN), (sqrt(NAN), NAN), (sqrt(INF), INF),
        (divide(1.0, 4.0), 0.25), (divide(1.0, 0.0), INF), (divide(-1.0, 0.0), -INF), (divide(1.0, -0.0), -INF),
        (divide(0.0, 0.0), NAN), (divide(NAN, 0.0), NAN), (divide(INF, 0.0), INF), (divide(INF, INF), NAN),
    ],
)  # fmt: skip
def test_arithmetic_is_ieee(found: float, expected: float) -> None:
    assert found == expected or (found != found and expected != expected)


def test_products_is_a_matrix_times_a_transpose() -> None:
    a: Vectors = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    b: Vectors = [[7.0, 8.0], [9.0, 10.0]]
    assert products(a, b) == [23.0, 29.0, 53.0, 67.0, 83.0, 105.0]
    assert dot(a[0], b[0]) == 23.0
    assert columns(a) == [(1.0, 3.0, 5.0), (2.0, 4.0, 6.0)]


def test_views_share_the_memory() -> None:
    x = new_buffer((2, 3), "d")
    flat(x)[4] = 5.0
    rows(x)[0][:] = array("d", [1.0, 2.0, 3.0])
    assert x.tolist() == [[1.0, 2.0, 3.0], [0.0, 5.0, 0.0]]
    assert [row.tolist() for row in rows(x)] == rows(x).tolist() == x.tolist()
    assert rows(x).columns() == [[1.0, 0.0], [2.0, 5.0], [3.0, 0.0]]
    assert rows(x)[-1].tolist() == [0.0, 5.0, 0.0]
    assert [row.tolist() for row in rows(x)[1:]] == [[0.0, 5.0, 0.0]]
    assert len(rows(x)) == 2
    with pytest.raises(IndexError):
        rows(x)[2]


def test_rows_run_along_the_last_axis_of_any_number() -> None:
    x = new_buffer((2, 2, 3), "f")
    write(x, [float(i) for i in range(12)])
    assert rows(x).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert rows(new_buffer((4,), "f")).tolist() == [[0, 0, 0, 0]]


def test_write_overwrites_and_accumulate_adds_over_many_stretches() -> None:
    n = 2 * STRETCH + 3
    x = new_buffer((n,), "d")
    write(x, [1.0] * n)
    accumulate(x, [float(i) for i in range(n)])
    assert x.tolist() == [1.0 + i for i in range(n)]
    assert [len(range(n)[part]) for part in stretches(n)] == [STRETCH, STRETCH, 3]


def test_an_empty_axis_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 0\).*empty axis"):
        new_buffer((2, 0))


def test_too_large_for_float32_is_infinity() -> None:
    x = new_buffer((2,), "f")
    write(x, [1e39, -1e39])
    assert x.tolist() == [INF, -INF]
