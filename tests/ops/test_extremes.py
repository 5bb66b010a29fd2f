"""Softmax and cross-entropy where floats end; updates that must not happen."""

import math
from typing import Any

import pytest

from microgpt_core import ops
from microgpt_core.engine.tensor import Tensor, tensor

ROWS = [
    [0.0, 0.0, 0.0],
    [1e4, -1e4, 9999.0],
    [3e38, -3e38, 0.0],
    [-1e4, -1e4 + 1, -1e4 - 1],
    [-math.inf, 0.0, 1.0],
    [5.0],
    [88.0, 89.0, -104.0],
]


def exact(row: list[float]) -> list[float]:
    """Softmax in float64, summed exactly."""
    top = max(row)
    powers = [math.exp(z - top) for z in row]
    total = math.fsum(powers)
    return [p / total for p in powers]


@pytest.mark.parametrize("logits", ROWS, ids=str)
def test_softmax_is_within_a_millionth_of_its_largest(logits: list[float]) -> None:
    x = tensor([logits])
    found, expected = ops.softmax(x).tolist()[0], exact(x.tolist()[0])
    assert all(abs(a - b) <= 1e-6 * max(expected) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("logits", ROWS, ids=str)
def test_cross_entropy_and_its_gradient_are_too(logits: list[float]) -> None:
    x = tensor([logits], requires_grad=True)
    target = logits.index(max(logits))
    loss = ops.cross_entropy(x, tensor([target], "int32"))
    loss.backward()
    expected = exact(x.tolist()[0])
    assert loss.item() == pytest.approx(-math.log(expected[target]), abs=1e-6)
    expected[target] -= 1.0
    assert x.grad is not None
    assert all(abs(a - b) <= 1e-6 for a, b in zip(x.grad.tolist()[0], expected, strict=True))


def test_a_target_of_probability_zero_costs_infinity() -> None:
    x = tensor([[-math.inf, 0.0]], requires_grad=True)
    loss = ops.cross_entropy(x, tensor([0], "int32"))
    assert loss.item() == math.inf


def test_where_all_targets_are_ignored_there_is_a_warning_and_nothing_to_learn() -> None:
    x = tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    with pytest.warns(UserWarning, match="every target is ignored") as seen:
        loss = ops.cross_entropy(x, tensor([-1, -1], "int32"))
    loss.backward()
    assert len(seen) == 1
    assert loss.item() == 0.0
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_scale_is_the_windows_and_the_mean_is_the_default() -> None:
    logits, targets = tensor([[1.0, 2.0], [0.5, -1.0], [3.0, 1.0]], "float64"), tensor([0, -1, 1], "int32")
    mean = ops.cross_entropy(logits, targets).item()
    assert ops.cross_entropy(logits, targets, tensor([0.25], "float64")).item() == pytest.approx(mean * 2 / 4)


SHAPED = {"w": [[1.0, -2.0]], "grad": [[0.5, 0.25]], "m": [[0.1, 0.2]], "v": [[0.3, 0.4]]}


def updated(op: Any, factor: float, step: float = 2.0, **attributes: Any) -> dict[str, list[float]]:
    held = {n: tensor(x, "float64") for n, x in SHAPED.items()}
    taken = [n for n in op.signature.inputs if n in SHAPED]
    given = {n: held[n] for n in taken}
    op(**given, factor=one(factor), lr=one(0.1), step=one(step), **attributes)
    return {n: held[n].tolist()[0] for n in taken}


def one(number: float) -> Tensor:
    return tensor([number], "float64")


@pytest.mark.parametrize("factor", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("op", [ops.sgd_update, ops.adam_update, ops.adamw_update], ids=lambda op: op.name)
def test_an_update_does_nothing_where_the_factor_is_not_finite(op: Any, factor: float) -> None:
    after = updated(op, factor)
    assert after == {n: SHAPED[n][0] for n in after}
    assert updated(op, 1.0)["w"] != SHAPED["w"][0]  # the control


def test_adam_is_its_formula() -> None:
    b1, b2, eps, t = 0.9, 0.95, 1e-8, 3
    for decay in (0.0, 0.1):
        op = ops.adamw_update if decay else ops.adam_update
        extra = {"weight_decay": decay} if decay else {}
        found = updated(op, 0.5, beta1=b1, beta2=b2, eps=eps, **extra)
        for i in range(2):
            g = 0.5 * SHAPED["grad"][0][i]
            m = b1 * SHAPED["m"][0][i] + (1 - b1) * g
            v = b2 * SHAPED["v"][0][i] + (1 - b2) * g * g
            w = SHAPED["w"][0][i] * (1 - 0.1 * decay)
            w -= 0.1 * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + eps)
            assert (found["w"][i], found["m"][i], found["v"][i]) == pytest.approx((w, m, v), rel=1e-13)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [({}, lambda g, m: g), ({"momentum": 0.9}, lambda g, m: 0.9 * m + g),
     ({"momentum": 0.9, "nesterov": True}, lambda g, m: g + 0.9 * (0.9 * m + g))],
    ids=["plain", "momentum", "nesterov"],
)  # fmt: skip
def test_sgd_is_its_formula(attributes: dict[str, Any], expected: Any) -> None:
    held = {n: tensor(x, "float64") for n, x in SHAPED.items()}
    state = {"m": held["m"]} if attributes else {}
    ops.sgd_update(held["w"], held["grad"], one(0.5), one(0.1), one(0.0), **state, **attributes)
    for i, (w, g, m) in enumerate(zip(SHAPED["w"][0], SHAPED["grad"][0], SHAPED["m"][0])):
        assert held["w"].tolist()[0][i] == pytest.approx(w - 0.1 * expected(0.5 * g, m), rel=1e-13)


@pytest.mark.parametrize(
    ("norm", "max_norm", "factor"),
    [(2.0, 1.0, 0.5), (0.5, 1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 1.0, 1.0), (1e30, math.inf, 1.0)],
)
def test_clip_factor(norm: float, max_norm: float, factor: float) -> None:
    assert ops.clip_factor(one(norm), max_norm=max_norm).item() == factor


@pytest.mark.parametrize("norm", [math.nan, math.inf])
def test_clip_factor_of_what_is_not_finite_is_not_finite(norm: float) -> None:
    assert not math.isfinite(ops.clip_factor(one(norm), max_norm=1.0).item())
