"""Calling ops on tensors: what is refused, with what words; and what a call costs."""

from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.errors import DataError, MicrogptError, ShapeError, SignatureError


def zeros(*shape: int, dtype: str = "float64") -> Tensor:
    from microgpt_core.components import new_buffer

    return tensor(new_buffer(shape, {"float32": "f", "float64": "d", "int32": "i"}[dtype]))


X, IDS, ONES = zeros(3, 5), tensor([0, 1, 2], "int32"), (zeros(1),) * 3
PLACES = tensor([[0, 1]], "int32")
WRONG: list[tuple[Any, tuple[Any, ...], dict[str, Any], type[MicrogptError], str]] = [
    (ops.add, (X, zeros(3)), {}, ShapeError, r"add: b has shape \(3,\), expected \(3, 5\) or its last axes"),
    (ops.sub, (X, zeros(5)), {}, ShapeError, r"sub: b has shape \(5,\), expected \(3, 5\)"),
    (ops.mul, (X, zeros(5, 3)), {}, ShapeError, r"mul: b has shape \(5, 3\), expected \(3, 5\)"),
    (ops.linear, (X, zeros(7, 4)), {}, ShapeError, r"linear: weight has shape \(7, 4\), expected \(n_out, 5\)"),
    (ops.linear, (X, zeros(7, 5), zeros(5)), {}, ShapeError, r"linear: bias has shape \(5,\), expected \(7,\)"),
    (ops.matmul, (X, X), {}, ShapeError, r"matmul: b has shape \(3, 5\), expected \(5, n\)"),
    (ops.rmsnorm, (X, zeros(3)), {}, ShapeError, r"rmsnorm: weight has shape \(3,\), expected \(5,\)"),
    (ops.embedding, (IDS, zeros(5)), {}, ShapeError, "embedding: weight has shape"),
    (ops.embedding, (X, zeros(5, 2)), {}, ShapeError, "embedding: ids has dtype float64, expected int32"),
    (ops.linear, (X, zeros(7, 5, dtype="float32")), {}, ShapeError, "weight has dtype float32, expected float64"),
    (ops.cross_entropy, (X, X), {}, ShapeError, "targets has dtype float64, expected int32"),
    (ops.cross_entropy, (X, tensor([0, 1], "int32")), {}, ShapeError, r"targets has shape \(2,\), expected \(3,\)"),
    (ops.attention, (zeros(1, 2, 5),) * 3, {"n_head": 2}, ShapeError, "5 must be divisible by n_head = 2"),
    (ops.attention, (zeros(1, 2, 4), zeros(1, 3, 4), zeros(1, 3, 4)), {"n_head": 2}, ShapeError, "needs start"),
    (ops.attention, (X, X, X), {"n_head": 1}, ShapeError, r"q has shape \(3, 5\), expected \(B, T, C\)"),
    (ops.attention, (zeros(1, 2, 4),) * 3, {"n_head": 0}, ShapeError, "4 must be divisible by n_head = 0"),
    (ops.attention, (zeros(1, 2, 4), X, X), {"n_head": 2}, ShapeError, r"k .* expected \(1, S, C of k\)"),
    (ops.attention, (zeros(1, 2, 4), *(zeros(1, 2, 3),) * 2), {"n_head": 2}, ShapeError, "3 wide, .* of 2 in q: 2, 4"),
    (ops.attention, (zeros(1, 2, 9), *(zeros(1, 2, 6),) * 2), {"n_head": 3}, ShapeError, "6 wide, .* of 3 in q: 3, 9"),
    (ops.attention, (zeros(1, 2, 4),) * 3, {"n_head": 2, "window": 0}, ShapeError, "window is 0, allowed: 1 or more"),
    (ops.layernorm, (X, None, zeros(3)), {}, ShapeError, r"layernorm: bias has shape \(3,\), expected \(5,\)"),
    (ops.swiglu, (X, zeros(3)), {}, ShapeError, r"swiglu: gate has shape \(3,\), expected \(3, 5\)"),
    (ops.rope, (zeros(1, 2, 6), PLACES), {"n_head": 2}, ShapeError, "6 must be divisible by 2 n_head = 4"),
    (ops.rope, (zeros(1, 3, 4), PLACES), {"n_head": 2}, ShapeError, r"positions has .* expected \(1, 3\)"),
    (ops.sinusoidal, (zeros(1, 3, 4), PLACES), {}, ShapeError, r"positions has .* expected \(1, 3\)"),
    (ops.dropout, (X, PLACES), {"p": 0.1}, ShapeError, r"noise has shape \(1, 2\), expected \(3,\)"),
    (ops.dropout, (X, IDS), {"p": 1.0}, ShapeError, "p is 1.0, allowed: 0 to 1, without 1"),
    (ops.attention, (zeros(1, 2, 4), zeros(1, 2, 4), X), {"n_head": 2}, ShapeError, r"v .* expected \(1, 2, 4\)"),
    (ops.cache_write, (zeros(1, 9, 4), X, IDS), {}, ShapeError, r"x has shape \(3, 5\), expected \(B, T, C\)"),
    (ops.cache_write, (X, zeros(1, 2, 4), IDS), {}, ShapeError, r"cache has .* expected \(1, S, 4\)"),
    (ops.clip_factor, (X,), {"max_norm": 1.0}, ShapeError, r"norm has shape \(3, 5\), expected \(1,\)"),
    (ops.sgd_update, (X, zeros(5, 3), *ONES), {}, ShapeError, r"grad has shape \(5, 3\), expected \(3, 5\)"),
    (ops.sgd_update, (X, X, X, *ONES[1:]), {}, ShapeError, r"factor has shape \(3, 5\), expected \(1,\)"),
    (ops.adam_update, (X, X, *ONES, X, zeros(3)), {}, ShapeError, r"v has shape \(3,\), expected \(3, 5\)"),
    (ops.embedding, (tensor([0, 5], "int32"), X), {}, DataError, r"id 5 at index 1 .*\(allowed: 0 to 2\)"),
    (ops.embedding, (tensor([0, -1], "int32"), X), {}, DataError, "id -1 at index 1"),
    (ops.cross_entropy, (X, tensor([0, 5, 1], "int32")), {}, DataError, "target 5 at index 1 .* 0 to 4, or -1"),
    (ops.cross_entropy, (X, tensor([0, 1, -2], "int32")), {}, DataError, "target -2 at index 2"),
    (ops.rmsnorm, (X,), {"epsilon": 1.0}, SignatureError, "'epsilon' fits nothing.*did you mean 'eps'"),
    (ops.rmsnorm, (X, None, X), {}, SignatureError, "takes 2 tensors, found 3"),
    (ops.scale, (X,), {}, SignatureError, "factor"),
    (ops.linear, (X,), {}, SignatureError, "weight must be a Tensor, found nothing"),
    (ops.linear, (X, [[1.0]]), {}, SignatureError, "weight must be a Tensor"),
    (ops.relu, (2.0,), {}, SignatureError, "takes Tensors, found float"),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "error", "said"), WRONG)
def test_a_wrong_call_names_op_argument_expected_and_found(
    op: Any, inputs: tuple[Any, ...], attributes: dict[str, Any], error: type[MicrogptError], said: str
) -> None:
    with pytest.raises(error, match=said):
        op(*inputs, **attributes)


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "expected"),
    [
        # a multiply-add is two operations
        ("linear", ((2, 3, 5), (7, 5), None), {}, {"forward": 420, "d_x": 420, "d_weight": 420}),
        ("matmul", ((3, 5), (5, 7)), {}, {"forward": 210, "d_a": 210, "d_b": 210}),
        # six pairs of query and key: 2 * 4 for the score, as much for the mix, and per head 4 for the softmax
        (
            "attention",
            ((1, 3, 4), (1, 3, 4), (1, 3, 4), None, None),
            {"n_head": 2, "window": None},
            {"forward": 6 * (16 + 8)},
        ),
        # a window of two leaves five pairs
        (
            "attention",
            ((1, 3, 4), (1, 3, 4), (1, 3, 4), None, None),
            {"n_head": 2, "window": 2},
            {"forward": 5 * (16 + 8)},
        ),
        ("layernorm", ((3, 5), (5,), None), {"eps": 1e-5}, {"forward": 90}),
        ("swiglu", ((3, 5), (3, 5)), {}, {"forward": 90}),
        ("rope", ((1, 3, 4), (1, 3)), {"n_head": 2, "theta": 1e4}, {"forward": 36}),
        ("add", ((3, 5), (5,)), {}, {"forward": 15}),
        ("embedding", ((3,), (7, 5)), {}, {"forward": 0, "backward": 15, "touched": {"weight": 15}}),
        ("rmsnorm", ((3, 5), None), {"eps": 1e-5}, {"forward": 45}),
        ("global_norm", ((3, 5),), {}, {"forward": 30}),
        ("relu2", ((3, 5),), {}, {"forward": 30}),
        ("zero", ((3, 5),), {}, {"forward": 0}),
    ],
)
def test_costs_agree_with_a_count_by_hand(
    op: str, shapes: tuple[Any, ...], attributes: dict[str, Any], expected: dict[str, Any]
) -> None:
    found = ops.OPS[op].cost(*shapes, **attributes)
    assert {name: found[name] for name in expected} == expected


def test_buffers_are_used_in_place() -> None:
    from array import array

    numbers = array("d", [1.0, 2.0, 3.0])
    x = tensor(numbers)
    ops.zero(x)
    assert numbers.tolist() == [0.0, 0.0, 0.0]
