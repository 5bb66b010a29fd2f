"""Attention of one query has a kernel of its own, with the bits that the query has among others."""

from array import array
from collections.abc import Callable
from dataclasses import replace
from math import inf, nan

import pytest

from microgpt_core.components import Buffer, flat
from microgpt_core.engine.backends import Kernels
from microgpt_core.testing.agreement import compare
from microgpt_core.testing.case import Case, make_case
from microgpt_simd.ops import KERNELS

ROOM, BATCH = 150, 2  # rows of k and v: two tiles of 64 and a part of one
CASES: dict[str, tuple[int, int, int, int | None]] = {  # heads of q, of k, width of a head, window
    "as in gpt2": (3, 3, 64, None),
    "narrow heads": (4, 4, 4, None),
    "one channel": (1, 1, 1, None),
    "an odd width": (2, 2, 37, None),
    "wider than four vectors": (1, 1, 81, None),
    "shared heads": (6, 2, 16, None),
    "a window": (2, 2, 16, 70),
    "a window within a tile": (2, 1, 5, 3),
}
PLACES = (0, 1, 15, 16, 63, 64, 65, 100, 127, 128, 149)


def of_all(name: str, kernels: Kernels) -> Case:
    """Every row a query: documents of 90 and 60 rows in one sequence, of 11 and 139 in the other."""
    n_head, n_kv_head, width, window = CASES[name]
    q, k = (BATCH, ROOM, n_head * width), (BATCH, ROOM, n_kv_head * width)
    made = make_case(KERNELS["attention"].op, {"q": q, "k": k, "v": k}, {"n_head": n_head, "window": window}, "f", 1)
    places = [*range(90), *range(60), *range(11), *range(139)]
    return Case(made.op, {**made.inputs, "positions": integers(places, (BATCH, ROOM))}, made.attributes, kernels)


def of_one(case: Case, row: int) -> Case:
    """That row alone, beside the same keys: those behind it are infinite, since it must not look at them."""
    q, positions = (flat(case.inputs[name]) for name in ("q", "positions"))  # type: ignore[arg-type]
    channels = len(q) // (BATCH * ROOM)
    some = [x for b in range(BATCH) for x in q[(b * ROOM + row) * channels : (b * ROOM + row + 1) * channels]]
    changed = {
        "q": Buffer(array("f", some)).cast("B").cast("f", (BATCH, 1, channels)),
        "positions": integers([positions[b * ROOM + row] for b in range(BATCH)], (BATCH, 1)),
        "start": integers([row] * BATCH, (BATCH,)),
    }
    for name in ("k", "v"):
        buffer = case.inputs[name]
        numbers = array("f", flat(buffer))  # type: ignore[arg-type]
        width = len(numbers) // (BATCH * ROOM)
        for b in range(BATCH):
            for i in range((b * ROOM + row + 1) * width, (b + 1) * ROOM * width):
                numbers[i] = inf if i % 2 else nan
        changed[name] = Buffer(numbers).cast("B").cast("f", buffer.shape)  # type: ignore[union-attr]
    return replace(case, inputs={**case.inputs, **changed})


def integers(numbers: list[int], shape: tuple[int, ...]) -> Buffer:
    return Buffer(array("i", numbers)).cast("B").cast("i", shape)


def output(case: Case, name: str) -> list[bytes]:
    """By row, of all sequences."""
    after = case.forward().after[name]
    rows = after.shape[0] * after.shape[1]  # type: ignore[union-attr]
    whole = after.tobytes()  # type: ignore[union-attr]
    return [whole[i * len(whole) // rows : (i + 1) * len(whole) // rows] for i in range(rows)]


@pytest.mark.parametrize("name", CASES)
def test_a_query_alone_has_the_bits_that_it_has_among_others(name: str, level: str, kernels: Kernels) -> None:
    case = of_all(name, kernels)
    for buffer in ("out", "lse"):
        among = output(case, buffer)
        for row in PLACES:
            assert output(of_one(case, row), buffer) == [among[b * ROOM + row] for b in range(BATCH)], row


def test_planted_another_query_has_other_bits(kernels: Kernels) -> None:
    case = of_all("as in gpt2", kernels)
    assert output(of_one(case, 65), "out")[0] != output(case, "out")[64]


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_the_references(name: str, level: str, kernels: Kernels) -> None:
    case = of_all(name, kernels)
    whole = of_one(case, ROOM - 1)
    assert list(compare(whole, whole.exact())) == []


def test_any_number_of_threads_gives_the_same_bits(kernels: Kernels, threads: Callable[[int], None]) -> None:
    found = []
    for n in (1, 2, 3, 8):
        threads(n)
        found.append(output(of_one(of_all("shared heads", kernels), 149), "out"))
    assert found[1:] == found[:-1]
