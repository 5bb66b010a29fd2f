"""Attention whose queries see few keys: packed documents and short windows, which have a kernel of their own."""

from array import array
from collections.abc import Callable
from dataclasses import replace
from math import inf, isfinite, nan
from typing import Any

import pytest

from microgpt_core.components import Buffer, flat
from microgpt_core.engine.backends import Kernels
from microgpt_core.testing.agreement import compare
from microgpt_core.testing.case import Case, make_case
from microgpt_simd.ops import KERNELS

SHORT = [3, 16, 1, 7, 2, 9, 16, 1, 1, 5]  # tokens of documents that follow one another
CASES: dict[str, tuple[list[int], int, int, int | None]] = {  # documents, heads, width of a head, window
    "narrow heads": (SHORT, 4, 4, None),
    "a head of one channel": (SHORT, 3, 1, None),
    "an odd width": (SHORT, 2, 5, None),
    "a vector wide": (SHORT, 2, 16, None),
    "wider than a vector": (SHORT, 1, 37, None),
    "many heads": ([5, 4, 8, 16], 19, 3, None),
    "one token each": ([1] * 21, 2, 4, None),
    "as long as can be": ([16, 16], 2, 8, None),
    "one document": ([8], 4, 4, None),
    "one token": ([1], 1, 1, None),
    "heads side by side": ([3, 2], 7, 3, None),
    "heads side by side, one left over": ([2], 9, 8, None),
    "a window of rows side by side": ([7], 6, 4, 2),
    "a window": ([70], 2, 6, 3),
    "a window in documents": ([20, 3, 40], 2, 6, 11),
}


def attention(documents: list[int], n_head: int, width: int, window: int | None, kernels: Kernels) -> Case:
    """Two sequences of the same documents with other numbers."""
    length = sum(documents)
    shape = (2, length, n_head * width)
    made = make_case(
        KERNELS["attention"].op, {"q": shape, "k": shape, "v": shape}, {"n_head": n_head, "window": window}, "f", 1
    )
    places = [t for document in documents for t in range(document)] * 2
    positions = Buffer(array("i", places)).cast("B").cast("i", (2, length))
    return Case(made.op, {**made.inputs, "positions": positions}, made.attributes, kernels)


def outcome(case: Case, method: str = "forward") -> dict[str, bytes]:
    after = case.bind(method).once().after
    return {name: after[name].tobytes() for name in case.written(method)}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_the_references(name: str, level: str, kernels: Kernels) -> None:
    case = attention(*CASES[name], kernels)
    assert list(compare(case, case.exact())) == []


def test_planted_a_neighbours_key_is_found(kernels: Kernels) -> None:
    """The control: the second document is taken for a part of the first."""
    case = attention(*CASES["narrow heads"], kernels)
    joined = attention([SHORT[0] + SHORT[1], *SHORT[2:]], 4, 4, None, kernels)
    assert list(compare(replace(case, inputs=joined.inputs), case.exact())) != []


@pytest.mark.parametrize(("n_head", "width"), [(4, 4), (2, 5), (2, 16), (1, 37)])
def test_the_output_has_the_bits_that_tiles_give(n_head: int, width: int, level: str, kernels: Kernels) -> None:
    """One more document, of more tokens than this kernel takes, has all of them go by tiles of 64 keys: the fifth and
    the last but one lie in two of them.
    """
    documents = [3, 16, 16, 16, 16, 7, 2, 9, 16, 16, 1, 1, 13, 5]
    near = attention(documents, n_head, width, None, kernels)
    far = attention([*documents, 17], n_head, width, None, kernels)
    n = sum(documents) * n_head * width  # numbers of the first sequence
    for name in ("q", "k", "v"):
        flat(far.inputs[name])[:n] = flat(near.inputs[name])[:n]  # type: ignore[arg-type]
    assert outcome(near)["out"][: 4 * n] == outcome(far)["out"][: 4 * n]


@pytest.mark.parametrize("method", ["forward", "backward"])
@pytest.mark.parametrize("short", [True, False])
def test_a_sequence_has_the_same_bits_whatever_lies_beside_it(
    short: bool, method: str, level: str, kernels: Kernels
) -> None:
    """Beside one of longer documents, too, which goes by tiles: with gradients that are added to, and that are set."""
    first = [5, 16, 11] * 3 if short else [5, 30, 61]
    beside = [attention(first, 3, 5, None, kernels), attention([40, 56], 3, 5, None, kernels)]
    n = 96 * 15
    for name, buffer in beside[0].inputs.items():
        if buffer is not None:
            flat(beside[1].inputs[name])[: len(flat(buffer)) // 2] = flat(buffer)[: len(flat(buffer)) // 2]  # type: ignore[arg-type]
    for sets in (frozenset(), frozenset({"d_q", "d_k", "d_v"})):
        found = []
        for case in beside:
            run = case.forward() if method == "forward" else case.backward(("q", "k", "v"), held=9.0, sets=sets)
            outputs = ("out",) if method == "forward" else ("d_q", "d_k", "d_v")
            found.append([run.after[name].tobytes()[: 4 * n] for name in outputs])  # type: ignore[union-attr]
        assert found[0] == found[1]


@pytest.mark.parametrize("window", [2**31 - 1, 2**31, 2**32, 2**32 + 5])
def test_a_window_of_any_size_hides_nothing_more(window: int, level: str, kernels: Kernels) -> None:
    whole = attention([40, 30], 2, 3, None, kernels)
    assert outcome(replace(whole, attributes={**whole.attributes, "window": window})) == outcome(whole)


def test_what_a_query_does_not_see_stays_hidden(level: str, kernels: Kernels) -> None:
    case = attention(*CASES["narrow heads"], kernels)
    without = outcome(case)["out"]
    v = flat(case.inputs["v"])  # type: ignore[arg-type]
    first, row = SHORT[0], 4 * 4
    v[first * row - 1] = nan  # of the first document's last token
    with_nan = outcome(case)["out"]
    assert with_nan[4 * first * row :] == without[4 * first * row :]
    assert with_nan[: 4 * first * row] != without[: 4 * first * row]


@pytest.mark.parametrize("name", ["q", "k", "v"])
@pytest.mark.parametrize("bad", [nan, inf])
def test_what_is_not_finite_in_a_head_stays_there(bad: float, name: str, level: str, kernels: Kernels) -> None:
    """In rows so short that heads lie side by side in a vector."""
    case = attention([5], 4, 3, None, kernels)
    without = {**numbers(case, "forward"), **numbers(case, "backward")}
    for row in range(2 * 5):
        flat(case.inputs[name])[row * 12 + 4] = bad  # type: ignore[arg-type]  # of the second head
    after = {**numbers(case, "forward"), **numbers(case, "backward")}
    assert not all(isfinite(x) for found in after.values() for row in found for x in row)
    for of, found in after.items():
        heads = [[row[i : i + 3] for row in found] for i in range(0, 12, 3)]
        expected = [[row[i : i + 3] for row in without[of]] for i in range(0, 12, 3)]
        for i in (0, 2, 3):
            assert sum(heads[i], []) == pytest.approx(sum(expected[i], []), rel=1e-4, abs=1e-5)


def numbers(case: Case, method: str) -> dict[str, list[list[float]]]:
    """What a call writes, as rows of 12."""
    run = case.bind(method).once().after
    found = {name: flat(run[name]).tolist() for name in case.written(method) if name != "lse"}  # type: ignore[arg-type]
    return {name: [x[i : i + 12] for i in range(0, len(x), 12)] for name, x in found.items()}


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_any_number_of_threads_gives_the_same_bits(
    method: str, level: str, kernels: Kernels, threads: Callable[[int], None]
) -> None:
    case = attention([7, 16, 3] * 30, 10, 5, None, kernels)
    found: list[Any] = []
    for n in (1, 2, 3, 8):
        threads(n)
        found.append(outcome(case, method))
    assert found[1:] == found[:-1]
