"""Every op keeps every rule, on odd sizes, and every rule catches an op that breaks it."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from microgpt_core.components import Op, accumulate, flat, write
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.ops import OPS
from microgpt_core.ops.mul import Mul
from microgpt_core.testing.case import Case, bits, copies, make_case, numbers
from microgpt_core.testing.contract import (
    RULES,
    accumulates,
    overwrites,
    repeats,
    spares_unwanted_gradients,
    takes_one_tensor_twice,
    touches_nothing_else,
)
from microgpt_core.testing.gradients import check, derivative


def test_every_op_has_a_row(request: pytest.FixtureRequest) -> None:
    table = request.config.pluginmanager.get_plugins()
    rows = next(plugin.TABLE for plugin in table if hasattr(plugin, "TABLE"))
    assert {row.op for row in rows} == set(OPS)


def test_backward_is_the_derivative(row: Any) -> None:
    assert list(derivative(row.case(), eps=1e-6, atol=1e-5, rtol=1e-3)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[Case], Iterator[str]], row: Any) -> None:
    assert list(rule(row.case())) == []


def test_float32_is_float64_rounded(row: Any) -> None:
    """The same numbers in both formats: within float32's resolution of each buffer's largest number."""
    single = row.case("f")
    exact = {n: None if b is None else b.tolist() for n, b in single.inputs.items()}
    double = make_case(single.op, {n: listed(x) for n, x in exact.items() if x is not None}, row.attributes)
    runs = [(single.forward().after, double.forward().after)]
    if single.differentiable:
        runs.append((single.backward(single.differentiable).after, double.backward(double.differentiable).after))
    for found, expected in runs:
        for name in found:
            largest = max([1.0, *map(abs, numbers(expected[name]))])
            for a, b in zip(numbers(found[name]), numbers(expected[name]), strict=True):
                assert abs(a - b) <= 2e-6 * largest, name


def listed(x: Any) -> Any:
    return x if isinstance(x, list) else [x]


def test_eager_computes_what_forward_does(row: Any) -> None:
    case = row.case()
    tensors = {n: None if b is None else Tensor(Value(b.shape, b.format, b)) for n, b in copies(case.inputs).items()}
    made = case.op(**tensors, **case.attributes)
    after = case.forward().after
    outputs = () if made is None else made if isinstance(made, tuple) else (made,)
    for name, found in zip(case.op.signature.outputs, outputs, strict=True):
        assert bits(found.data) == bits(after[name])
    for name in case.op.mutates:
        if tensors[name] is not None:
            assert bits(tensors[name].data) == bits(after[name])


SPECIAL = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e-45, 3e38, -3e38, 1e4]


def run_on_special_numbers(case: Case) -> int:
    """Forward and backward with each float input full of each special number; how many cases that were."""
    counted = {*case.op.integers, "step", "v"}  # a step is a whole number, 0 or more; v a mean of squares
    floats = [n for n, b in case.inputs.items() if b is not None and n not in counted]
    for value in SPECIAL:
        for name in floats:
            special = Case(case.op, {**case.inputs, name: filled_like(case.inputs[name], value)}, case.attributes)
            special.forward()
            if special.differentiable:
                special.backward(special.differentiable)
    return len(SPECIAL) * len(floats)


def test_special_numbers_go_through_without_an_exception(row: Any) -> None:
    assert run_on_special_numbers(row.case()) >= len(SPECIAL)


class Exploding(Mul):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        write(out, [math.exp(x) for x in flat(a)])


def test_an_op_that_raises_for_a_special_number_is_caught() -> None:
    with pytest.raises(OverflowError):
        run_on_special_numbers(make_case(Exploding(), {"a": (3,), "b": (3,)}))


def filled_like(buffer: Any, value: float) -> Any:
    return make_case(OPS["ones_like"], {"x": buffer.shape}, format=buffer.format).forward(held=value).before["out"]


NAN_STAYS_OUT = {"ones_like", "zero", "sgd_update", "adam_update", "adamw_update", "cache_write", "embedding"}


def test_nan_reaches_the_output(row: Any) -> None:
    case = row.case()
    if row.op in NAN_STAYS_OUT:
        pytest.skip("it doesn't compute with all of its inputs")
    name = next(n for n, b in case.inputs.items() if b is not None and n not in case.op.integers)
    inputs = {**case.inputs, name: filled_like(case.inputs[name], math.nan)}
    after = Case(case.op, inputs, case.attributes).forward().after
    assert all(x != x for out in case.op.signature.outputs for x in numbers(after[out]))


class Correct(Mul):
    """mul itself: the control for the planted bugs below."""


class HalfWritten(Mul):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        view = flat(out)
        for i in range(len(view) - 1):
            view[i] = flat(a)[i] * flat(b)[i]


class Overwriting(Mul):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        for d, other in ((d_a, b), (d_b, a)):
            if d is not None:
                write(d, [x * y for x, y in zip(flat(d_out), flat(other))])


class Steep(Mul):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        super().backward(d_a, d_b, d_out, a, b)
        if d_a is not None:
            accumulate(d_a, [0.1 * x * y for x, y in zip(flat(d_out), flat(b))])


class Negative(Mul):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        super().backward(d_a, None, d_out, a, b)
        if d_b is not None:
            accumulate(d_b, [-x * y for x, y in zip(flat(d_out), flat(a))])


class OneOff(Mul):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        super().backward(d_a, d_b, d_out, a, b)
        if d_a is not None:
            flat(d_a)[7] += 1.0


class Forgetful(Mul):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        super().backward(None, d_b, d_out, a, b)


class Meddling(Mul):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        super().forward(out, a, b)
        flat(b)[0] = 1.0


class MeddlingBackward(Mul):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        super().backward(d_a, d_b, d_out, a, b)
        flat(d_out)[0] = 0.0


class Remembering(Mul):
    calls = 0

    def forward(self, out: Any, a: Any, b: Any) -> None:
        type(self).calls += 1
        super().forward(out, a, b)
        flat(out)[0] += self.calls


class Entangled(Mul):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        if d_a is not None and d_b is not None:
            super().backward(d_a, d_b, d_out, a, b)


class LastWins(Mul):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        before = None if d_a is None else flat(d_a).tolist()
        super().backward(d_a, None, d_out, a, b)
        if d_b is d_a and d_b is not None:
            write(d_b, before or [])
        super().backward(None, d_b, d_out, a, b)


BUGS = [
    (HalfWritten, overwrites, "forward doesn't overwrite all of out"),
    (Overwriting, accumulates, "backward doesn't add to d_a"),
    (Steep, derivative, "d_a is 1.10 times too large everywhere"),
    (Negative, derivative, "d_b has the wrong sign everywhere"),
    (OneOff, derivative, "d_a is wrong in 1 of 15 numbers"),
    (Forgetful, derivative, "d_a is missing"),
    (Meddling, touches_nothing_else, "forward changes b"),
    (MeddlingBackward, touches_nothing_else, "backward changes d_out"),
    (Remembering, repeats, "two runs of forward on equal inputs differ in out"),
    (Entangled, spares_unwanted_gradients, "depends on which other gradients are wanted"),
    (LastWins, takes_one_tensor_twice, "the gradient is wrong where a and b are one tensor"),
]
SHAPES = {"a": (3, 5), "b": (3, 5)}


@pytest.mark.parametrize(("broken", "rule", "said"), BUGS, ids=[bug.__name__ for bug, _, _ in BUGS])
def test_each_rule_catches_its_planted_bug(broken: type[Op], rule: Callable[[Case], Iterator[str]], said: str) -> None:
    problem = next(rule(make_case(broken(), SHAPES)))
    assert said in problem
    assert "test_contract.py:" in problem
    report = check(broken(), shapes=SHAPES)
    assert not report
    assert said in repr(report)
    assert list(rule(make_case(Correct(), SHAPES))) == []


def test_forward_gives_what_shapes_says(row: Any) -> None:
    case = row.case()
    shapes = case.op.shapes(*(None if b is None else b.shape for b in case.inputs.values()), **case.attributes)
    assert set(shapes) == set(case.op.signature.produced)
    assert all(bits(case.forward().after[n]) is not None for n in shapes)
