"""Attention: who sees whom, and that a cache changes no bit."""

import math
import tracemalloc
from collections.abc import Callable
from importlib import import_module
from random import Random
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.components import flat
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.errors import DataError
from microgpt_core.ops.attention import TILE, tile_pairs


def drawn(rng: Random, *shape: int, grad: bool = False) -> Tensor:
    def nested(shape: tuple[int, ...]) -> Any:
        return [nested(shape[1:]) for _ in range(shape[0])] if shape else rng.gauss(0, 1)

    return tensor(nested(shape), "float64", requires_grad=grad)


def textbook(q: Any, k: Any, v: Any, n_head: int) -> list[list[float]]:
    """One sequence by the formula alone: softmax over what came before, head by head."""
    width = len(q[0]) // n_head
    result: list[list[float]] = [[] for _ in q]
    for low in range(0, n_head * width, width):
        for t in range(len(q)):
            scores = [sum(q[t][low + i] * k[s][low + i] for i in range(width)) / math.sqrt(width) for s in range(t + 1)]
            powers = [math.exp(s) for s in scores]
            for i in range(width):
                result[t].append(sum(p * v[s][low + i] for s, p in enumerate(powers)) / sum(powers))
    return result


def test_equals_the_textbook() -> None:
    rng = Random(1)
    q, k, v = (drawn(rng, 2, 7, 6) for _ in range(3))
    found = ops.attention(q, k, v, n_head=3).tolist()
    for b in range(2):
        expected = textbook(q.tolist()[b], k.tolist()[b], v.tolist()[b], 3)
        assert [x for row in found[b] for x in row] == pytest.approx([x for row in expected for x in row], abs=1e-12)


LONG = 2 * TILE + 5


@pytest.mark.parametrize("length", [1, TILE - 1, TILE, TILE + 1, 512])
def test_tiles_equal_the_textbook(length: int) -> None:
    rng = Random(4)
    q, k, v = (drawn(rng, 1, length, 2) for _ in range(3))
    found, expected = (
        ops.attention(q, k, v, n_head=2).tolist()[0],
        textbook(q.tolist()[0], k.tolist()[0], v.tolist()[0], 2),
    )
    assert [x for row in found for x in row] == pytest.approx([x for row in expected for x in row], abs=1e-12)


def standard(q: Tensor, k: Tensor, v: Tensor, window: int | None = None) -> Tensor:
    """One head by other ops: a table of all scores, those out of sight at -infinity, softmax, a product. No batch."""
    places, seen = range(q.shape[0]), window or q.shape[0]
    sight = [[0.0 if t - seen < s <= t else -math.inf for s in places] for t in places]
    scores = ops.linear(q, k) * q.shape[1] ** -0.5 + tensor(sight, "float64")
    return ops.matmul(ops.softmax(scores), v)


def tiled(q: Tensor, k: Tensor, v: Tensor, window: int | None = None) -> Tensor:
    return ops.attention(q, k, v, n_head=1, window=window)


def gradients(attend: Callable[..., Tensor], numbers: list[Any], window: int | None = None) -> list[float]:
    """Of q, k and v along the sum of squares of what comes out, all in a row."""
    given = [tensor(x, "float64", requires_grad=True) for x in numbers]
    out = attend(*given, window=window)
    ops.sum(out * out).backward()
    return [x for t in given for x in flat(t.grad.data)]


@pytest.mark.parametrize(("length", "window"), [(TILE + 1, None), (LONG, None), (LONG, TILE + 7), (512, None)])
def test_tiles_have_the_gradients_of_the_standard_way(length: int, window: int | None) -> None:
    rows = [drawn(Random(length + i), length, 2).tolist() for i in range(3)]
    expected = gradients(standard, rows, window)
    found = gradients(tiled, [[x] for x in rows], window)
    assert found == pytest.approx(expected, abs=1e-9)
    if window is None:
        assert gradients(tiled, [[x] for x in rows], length) == found  # a window that sees all changes no bit


def test_a_pair_of_tiles_that_is_left_out_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [drawn(Random(i), TILE + 1, 2).tolist() for i in range(3)]
    expected = gradients(tiled, [[x] for x in rows])
    module = import_module("microgpt_core.ops.attention")  # as an attribute of the package, it is the op
    monkeypatch.setattr(module, "tile_pairs", lambda *given: list(tile_pairs(*given))[:-1])
    assert gradients(tiled, [[x] for x in rows]) != pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
def test_memory_grows_with_the_length_not_with_its_square() -> None:
    """What a backward pass needs beside its arguments, at 128 tokens and at twice as many. The control has a table."""
    for attend, window, few, many in ((tiled, None, 0.0, 2.2), (tiled, TILE, 0.0, 2.2), (standard, None, 3.0, 5.0)):
        peaks = []
        for length in (128, 256):
            shape = (length, 1) if attend is standard else (1, length, 1)
            loss = ops.sum(attend(*(drawn(Random(i), *shape, grad=True) for i in range(3)), window=window))
            tracemalloc.start()
            loss.backward()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert few * peaks[0] <= peaks[1] <= many * peaks[0], (attend, window)


@pytest.mark.parametrize("n_kv_head", [1, 2])
@pytest.mark.parametrize("length", [7, LONG])
def test_grouped_heads_equal_repeated_ones(n_kv_head: int, length: int) -> None:
    rng, width, n_head = Random(6), 2, 4
    q, k, v = drawn(rng, 1, length, 8, grad=True), *(drawn(rng, 1, length, 2 * n_kv_head, grad=True) for _ in "kv")

    def repeated(x: Tensor) -> Tensor:
        places = [h * width + i for h in range(n_kv_head) for _ in range(n_head // n_kv_head) for i in range(width)]
        every = [[row[place] for place in places] for row in x.tolist()[0]]
        return tensor([every], "float64", requires_grad=True)

    wide_q, wide_k, wide_v = tensor(q.tolist(), "float64", requires_grad=True), repeated(k), repeated(v)
    weights = drawn(rng, 1, length, 8)
    for x in ((q, k, v), (wide_q, wide_k, wide_v)):
        ops.sum(ops.attention(*x, n_head=n_head) * weights).backward()
    assert ops.attention(q, k, v, n_head=4).tolist() == ops.attention(wide_q, wide_k, wide_v, n_head=4).tolist()
    assert q.grad.tolist() == wide_q.grad.tolist()
    for narrow, wide in ((k, wide_k), (v, wide_v)):
        group = n_head // n_kv_head
        summed = [
            [
                math.fsum(row[(h * group + g) * width + i] for g in range(group))
                for h in range(n_kv_head)
                for i in range(width)
            ]
            for row in wide.grad.tolist()[0]
        ]
        flat_found = [x for row in narrow.grad.tolist()[0] for x in row]
        assert flat_found == pytest.approx([x for row in summed for x in row], abs=1e-12)


@pytest.mark.parametrize("window", [1, 3, TILE, TILE + 7])
def test_a_window_sees_the_last_rows_alone(window: int) -> None:
    """Numbers beyond the window may be anything; with the numbers in it alone the result is the same."""
    rng = Random(7)
    q, k, v = (drawn(rng, 1, LONG, 2) for _ in range(3))
    found = ops.attention(q, k, v, n_head=1, window=window).tolist()[0]
    for t in (0, 1, window - 1, window, LONG - 1):
        first = max(0, t + 1 - window)
        rows = slice(first, t + 1)
        alone = textbook(q.tolist()[0][rows], k.tolist()[0][rows], v.tolist()[0][rows], 1)[-1]
        assert found[t] == pytest.approx(alone, abs=1e-12)
    assert ops.attention(q, k, v, n_head=1, window=LONG).tolist() == ops.attention(q, k, v, n_head=1).tolist()


@pytest.mark.parametrize("window", [None, 5])
def test_a_cached_row_equals_a_batched_one_to_the_bit(window: int | None) -> None:
    rng = Random(8)
    q, k, v = (drawn(rng, 1, LONG, 4) for _ in range(3))
    whole = ops.attention(q, k, v, n_head=2, window=window).tolist()[0]
    for t in (0, 5, TILE - 1, TILE, LONG - 1):
        row, start = tensor([[q.tolist()[0][t]]], "float64"), tensor([t], "int32")
        assert ops.attention(row, k, v, start=start, n_head=2, window=window).tolist()[0][0] == whole[t]


def test_the_future_changes_nothing() -> None:
    rng = Random(2)
    q, k, v = (drawn(rng, 1, 5, 4) for _ in range(3))
    before = ops.attention(q, k, v, n_head=2).tolist()[0]
    for x in (q, k, v):
        for at in range(3 * 4, 5 * 4):
            x.data.cast("B").cast("d")[at] = math.nan
    after = ops.attention(q, k, v, n_head=2).tolist()[0]
    assert after[:3] == before[:3]
    assert all(x != x for row in after[3:] for x in row)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_packed_documents_equal_separate_calls_to_the_bit(dtype: str) -> None:
    rng = Random(3)
    lengths = [3, 1, 4]
    positions = tensor([[i for n in lengths for i in range(n)]], "int32")
    q, k, v = (tensor(drawn(rng, 1, 8, 6).tolist(), dtype, requires_grad=True) for _ in range(3))
    out = ops.attention(q, k, v, positions, n_head=2)
    ops.sum(ops.mul(out, out)).backward()
    start = 0
    for n in lengths:
        parts = [tensor([x.tolist()[0][start : start + n]], dtype, requires_grad=True) for x in (q, k, v)]
        alone = ops.attention(*parts, n_head=2)
        ops.sum(ops.mul(alone, alone)).backward()
        assert alone.tolist()[0] == out.tolist()[0][start : start + n]
        for whole, part in zip((q, k, v), parts):
            assert whole.grad is not None
            assert part.grad is not None
            assert part.grad.tolist()[0] == whole.grad.tolist()[0][start : start + n]
        start += n


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_cache_changes_no_bit(dtype: str) -> None:
    rng = Random(4)
    q, k, v = (tensor(drawn(rng, 1, 7, 6).tolist(), dtype) for _ in range(3))
    whole = ops.attention(q, k, v, n_head=2).tolist()[0]
    keys, values = tensor([[[9.0] * 6] * 9], dtype), tensor([[[9.0] * 6] * 9], dtype)
    read = 0
    for n in (3, 1, 2, 1):
        rows = [tensor([x.tolist()[0][read : read + n]], dtype) for x in (q, k, v)]
        start, positions = tensor([read], "int32"), tensor([list(range(read, read + n))], "int32")
        ops.cache_write(keys, rows[1], start)
        ops.cache_write(values, rows[2], start)
        assert ops.attention(rows[0], keys, values, positions, start, n_head=2).tolist()[0] == whole[read : read + n]
        read += n


@pytest.mark.parametrize(
    ("positions", "start", "said"),
    [
        ([[0, 2, 0]], None, "position 2 at index 1"),
        ([[0, -1, 0]], None, "position -1 at index 1"),
        (None, [3], r"starts at row 3 \(allowed: 0 to 2\)"),
        (None, [-1], "starts at row -1"),
    ],
)
def test_positions_that_reach_before_the_row_are_refused(positions: Any, start: Any, said: str) -> None:
    rng = Random(5)
    q, k = drawn(rng, 1, 3, 4), drawn(rng, 1, 5 if start else 3, 4)
    given = {"positions": positions, "start": start}
    inputs = {n: tensor(x, "int32") for n, x in given.items() if x is not None}
    with pytest.raises(DataError, match=said):
        ops.attention(q, k, k, **inputs, n_head=2)


def test_rows_that_do_not_fit_the_cache_are_refused() -> None:
    with pytest.raises(DataError, match="cache_write: .*5"):
        ops.cache_write(drawn(Random(6), 1, 5, 2), drawn(Random(6), 1, 2, 2), tensor([4], "int32"))
