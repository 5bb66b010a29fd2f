"""Matrix products on every size up to a few tiles and vectors, and over the edges of packing, against three loops."""

from random import Random

import pytest

from microgpt_core import ops
from microgpt_core.components import flat
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.context import use_kernels
from microgpt_core.engine.tensor import Tensor, tensor

SMALL = [(m, k, n) for m in (1, 2, 5, 7, 13, 17) for k in (1, 3, 16, 33) for n in (1, 5, 15, 16, 17, 31, 64, 67)]
# Over a stretch of k, over the columns and rows packed at a time, and where A is read packed.
LARGE = [(3, 600, 20), (40, 257, 33), (7, 40, 530), (100, 20, 65), (33, 513, 17), (97, 260, 70)]


def drawn(rng: Random, *shape: int) -> Tensor:
    rows = [[rng.gauss(0, 1) for _ in range(shape[1])] for _ in range(shape[0])]
    return tensor(rows, requires_grad=True)


def close(mine: list[float], true: list[float], sizes: list[float]) -> bool:
    return all(abs(a - b) <= 1e-6 * size for a, b, size in zip(mine, true, sizes))


def loops(a: list[list[float]], b: list[list[float]]) -> tuple[list[float], list[float]]:
    """Every sum a . b of rows, and the sum of the products' sizes."""
    pairs = [[x * y for x, y in zip(p, q)] for p in a for q in b]
    return [sum(p) for p in pairs], [sum(map(abs, p)) for p in pairs]


@pytest.mark.parametrize(("m", "k", "n"), [*SMALL[::3], *LARGE])
def test_linear_is_three_loops(m: int, k: int, n: int, level: str, kernels: Kernels) -> None:
    rng = Random(m * 10007 + k * 101 + n)
    x, w, d = drawn(rng, m, k), drawn(rng, n, k), drawn(rng, m, n)
    with use_kernels(kernels):
        out = ops.linear(x, w)
        ops.sum(out * d.detach()).backward()
    x_rows, w_rows, d_rows = x.tolist(), w.tolist(), d.tolist()
    assert close(flat(out.data).tolist(), *loops(x_rows, w_rows))
    assert x.grad is not None
    assert w.grad is not None
    assert close(flat(x.grad.data).tolist(), *loops(d_rows, list(zip(*w_rows))))
    assert close(flat(w.grad.data).tolist(), *loops(list(zip(*d_rows)), list(zip(*x_rows))))


@pytest.mark.parametrize(("k", "n"), [(5, 3), (64, 64), (300, 70), (513, 33), (40, 600)])
def test_a_row_alone_has_the_bits_that_it_has_in_a_batch(k: int, n: int, level: str, kernels: Kernels) -> None:
    rng = Random(k + n)
    x, w = drawn(rng, 50, k), drawn(rng, n, k)
    with use_kernels(kernels):
        whole = ops.linear(x, w).tolist()
        for count in (1, 2, 7, 16, 33):
            assert ops.linear(tensor(x.tolist()[:count]), w).tolist() == whole[:count]


@pytest.mark.parametrize("k", [5, 64, 300, 513])
@pytest.mark.parametrize("m", [8, 33])
def test_columns_alone_have_the_bits_that_they_have_in_a_wide_product(
    m: int, k: int, level: str, kernels: Kernels
) -> None:
    """Where there is a single panel and a single stretch, nothing is cut: the sums are the same."""
    rng = Random(m + k)
    x, w = drawn(rng, m, k), drawn(rng, 130, k)
    with use_kernels(kernels):
        whole = ops.linear(x, w).tolist()
        for count in (1, 5, 16, 31, 64):
            assert ops.linear(x, tensor(w.tolist()[:count])).tolist() == [row[:count] for row in whole]


def test_gradients_add_up_to_the_bit_however_rows_are_shared(level: str, kernels: Kernels, threads: object) -> None:
    rng = Random(1)
    x, w = drawn(rng, 130, 200), drawn(rng, 150, 200)
    found = []
    for n in (1, 2, 3, 5, 8):
        threads(n)  # type: ignore[operator]
        x.zero_grad(), w.zero_grad()
        with use_kernels(kernels):
            out = ops.linear(x, w)
            ops.sum(out * out).backward()
        assert x.grad is not None
        assert w.grad is not None
        found.append((out.tolist(), x.grad.tolist(), w.grad.tolist()))
    assert all(other == found[0] for other in found)
