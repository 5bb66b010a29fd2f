"""Attention with products of bfloat16: rounded where it says so, and nowhere else."""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf, isfinite, nan
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.components import Buffer, flat
from microgpt_core.engine.backends import Kernels
from microgpt_core.errors import DataError
from microgpt_core.testing.agreement import compare
from microgpt_core.testing.case import Case, make_case
from microgpt_simd.attention_bfloat16 import AttentionBFloat16

# Sequences, queries, keys, heads, heads of k, their width; the window, and where queries begin among the keys.
SIZES: dict[str, tuple[int, int, int, int, int, int, int | None, int | None]] = {
    "over tiles of keys and of queries": (2, 150, 150, 3, 3, 20, None, None),
    "an even number of keys": (1, 64, 64, 1, 1, 64, None, None),
    "one key more": (1, 65, 65, 2, 2, 16, None, None),
    "shared heads of k": (2, 71, 71, 6, 2, 33, None, None),
    "one channel": (1, 67, 67, 2, 2, 1, None, None),
    "wide": (1, 35, 35, 1, 1, 130, None, None),
    "a window that begins within a pair": (1, 131, 131, 2, 1, 7, 66, None),
    "a narrow window": (1, 90, 90, 2, 2, 8, 18, None),
    "a cache": (2, 5, 140, 2, 2, 12, None, 128),
    "a cache with room behind": (1, 5, 140, 2, 2, 12, 70, 100),
    "one query": (1, 1, 99, 2, 2, 12, None, 98),
}
TIGHT = 1e-6


def attention(name: str, kernels: Kernels, **given: Any) -> Case:
    batch, length, room, n_head, n_kv_head, width, window, start = SIZES[name]
    k = (batch, room, n_kv_head * width)
    inputs: dict[str, Any] = {"q": (batch, length, n_head * width), "k": k, "v": k} | given
    if start is not None:
        inputs.setdefault("start", [start] * batch)
    made = make_case(AttentionBFloat16(), inputs, {"n_head": n_head, "window": window}, "f", 1)
    return replace(made, kernels=kernels)


def after(case: Case, method: str = "forward") -> Mapping[str, Buffer]:
    return {n: b for n, b in case.bind(method).once().after.items() if b is not None}


def off(mine: Buffer, true: Buffer) -> float:
    """The largest difference, as a share of the largest number."""
    return max(abs(m - t) for m, t in zip(flat(mine), flat(true))) / max(map(abs, flat(true)))


@pytest.mark.parametrize("name", SIZES)
def test_numbers_are_the_references(name: str, level: str, kernels: Kernels) -> None:
    case = attention(name, kernels)
    assert list(compare(case, case.exact())) == []


@pytest.mark.parametrize("name", SIZES)
def test_scores_are_of_rounded_rows_and_summed_in_float32(name: str, level: str, kernels: Kernels) -> None:
    """The logarithm of a sum of exp(score): nothing in it is rounded but q and k."""
    case = attention(name, kernels)
    assert off(after(case)["lse"], after(case.exact())["lse"]) < TIGHT


@pytest.mark.parametrize("name", SIZES)
def test_equal_weights_give_the_mean_of_rounded_rows(name: str, level: str, kernels: Kernels) -> None:
    """Where q is zero each weight is 1, which is a bfloat16."""
    batch, length, _, n_head, _, width, _, _ = SIZES[name]
    case = attention(name, kernels, q=[[[0.0] * (n_head * width)] * length] * batch)
    assert off(after(case)["out"], after(case.exact())["out"]) < TIGHT


def packed(*sequences: list[int], kernels: Kernels, op: Any = None) -> Case:
    """Sequences of documents that follow one another."""
    shape = (len(sequences), sum(sequences[0]), 12)
    given: dict[str, Any] = {"q": shape, "k": shape, "v": shape}
    given["positions"] = [[t for document in documents for t in range(document)] for documents in sequences]
    return replace(make_case(op or AttentionBFloat16(), given, {"n_head": 3}, "f", 1), kernels=kernels)


def outcome(case: Case) -> list[list[bytes]]:
    """What is made of each sequence."""
    made = [after(case, m)[n] for m in case.methods for n in case.written(m)]
    parts = [flat(b).cast("B").cast("B", (b.shape[0], b.nbytes // b.shape[0])).tolist() for b in made]
    return [list(map(bytes, sequence)) for sequence in zip(*parts)]


SHORT, MIXED = [5, 16, 3, 9, 16, 1, 20 - 4], [5, 16, 3, 9, 16, 17]


@pytest.mark.parametrize("sequences", [[SHORT, SHORT], [SHORT, MIXED], [MIXED, SHORT], [MIXED, MIXED]], ids=str)
def test_short_documents_have_the_bits_of_float32(
    sequences: list[list[int]], level: str, kernels: Kernels, threads: Callable[[int], None]
) -> None:
    """Whatever the other sequence does, and with more threads than sequences."""
    threads(3)
    found, exact = (outcome(packed(*sequences, kernels=kernels, op=op)) for op in (None, ops.attention))
    assert [f == e for f, e in zip(found, exact)] == [documents is SHORT for documents in sequences]


@pytest.mark.parametrize("documents", [[40, 31, 17, 1, 60], [17] * 9, [65, 66]], ids=str)
def test_documents_that_begin_within_a_pair(documents: list[int], level: str, kernels: Kernels) -> None:
    case = packed(documents, kernels=kernels)
    assert list(compare(case, case.exact())) == []


@pytest.mark.parametrize("strange", [nan, inf, 3.4e38])
@pytest.mark.parametrize("name", ["k", "v"])
@pytest.mark.parametrize(
    ("documents", "row"),
    [([40, 33], 39), ([40, 33], 38), ([70, 30], 69), ([70, 30], 63), ([63, 37], 62), ([65, 18], 64)],
    ids=str,
)
def test_a_row_that_isnt_seen_may_hold_anything(
    documents: list[int], row: int, name: str, strange: float, level: str, kernels: Kernels
) -> None:
    """A row of the first document: its own queries show it, no others. The largest numbers are rounded to infinity."""
    ordinary = packed(documents, kernels=kernels)
    special = replace(ordinary, inputs={**ordinary.inputs, name: copied(ordinary.inputs[name])})
    flat(special.inputs[name])[row * 12 : (row + 1) * 12] = array("f", [strange] * 12)  # type: ignore[arg-type]
    mine, true = flat(after(special)["out"]), flat(after(ordinary)["out"])
    seen = range(row * 12, documents[0] * 12)
    assert all(abs(mine[i] - true[i]) < 0.01 for i in range(len(true)) if i not in seen)
    assert name == "k" or not any(isfinite(mine[i]) for i in seen)


@pytest.mark.parametrize("name", ["one key more", "a window that begins within a pair"])
def test_nothing_is_read_that_nobody_wrote(name: str, level: str, kernels: Kernels) -> None:
    """The room of a key that isn't there holds NaN at first."""
    case = replace(attention(name, kernels), fill=0xFF)
    assert list(compare(case, case.exact())) == []


def test_a_sequence_that_begins_nowhere_is_refused(kernels: Kernels) -> None:
    case = attention("a cache", kernels, start=[128, 136])
    with pytest.raises(DataError, match=r"start has 136 at index 1 \(allowed: 0 to 135\)"):
        case.forward()


@pytest.mark.parametrize("sets", [True, False], ids=["set", "added"])
def test_gradients_are_set_or_added_to(sets: bool, level: str, kernels: Kernels) -> None:
    case = attention("shared heads of k", kernels)
    names = case.written("backward")
    zero = after(case, "backward")
    found = case.bind("backward", 0.5, names if sets else ()).once().after
    for name in names:
        given, made = flat(zero[name]), flat(found[name])  # type: ignore[arg-type]
        assert all(abs(m - g - (0.0 if sets else 0.5)) <= (0.0 if sets else 1e-5) for m, g in zip(made, given))


def copied(buffer: Buffer | None) -> Buffer:
    assert buffer is not None
    return Buffer(bytearray(buffer.tobytes())).cast(buffer.format, buffer.shape)


@pytest.mark.parametrize("wanted", ["d_q", "d_k", "d_v"])
def test_only_the_gradient_that_is_wanted(wanted: str, level: str, kernels: Kernels) -> None:
    case = attention("shared heads of k", kernels)
    whole = after(case, "backward")
    alone = case.backward([wanted[2:]]).after
    assert alone[wanted].tobytes() == whole[wanted].tobytes()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "planted",
    [{"op": ops.attention}, {"attributes": {"n_head": 2, "window": 67}}],
    ids=["not rounded", "the other half of a pair is seen"],
)
def test_planted_another_score_is_found(planted: dict[str, Any], kernels: Kernels) -> None:
    case = attention("a window that begins within a pair", kernels)
    assert off(after(replace(case, **planted))["lse"], after(case.exact())["lse"]) > 10 * TIGHT
