"""`mg.check`: what it prints for an author, and what it asks for when it can't guess."""

import math
import re
from typing import Any

import pytest

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.errors import SignatureError
from microgpt_core.testing.diagnosis import diagnose, in_words


class Mish(mg.Unary):
    """x tanh(softplus(x)), its derivative changed by a factor, an offset, or left out below zero."""

    factor, offset, below = 1.0, 0.0, 1.0

    def f(self, x: float) -> float:
        return x * math.tanh(math.log1p(mg.exp(x)))

    def df(self, x: float) -> float:
        t = math.tanh(math.log1p(mg.exp(x)))
        slope = t + x * (1.0 - t * t) / (1.0 + mg.exp(-x))
        return self.factor * slope * (self.below if x < 0 else 1.0) + self.offset


class Leaky(mg.Unary):
    def f(self, x: float, *, slope: float = 0.1) -> float:
        return x if x > 0 else slope * x

    def df(self, x: float, *, slope: float = 0.1) -> float:
        return 1.0 if x > 0 else slope


def test_a_right_op_is_ok() -> None:
    report = mg.check(Mish())
    assert report
    assert repr(report) == "mish: ok, 45 derivatives measured"  # 1 + 7 + 15 + 22


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"factor": 1.1}, "d_x is 1.10 times too large everywhere"),
        ({"factor": 0.25}, "d_x is 4.00 times too small everywhere"),
        ({"factor": -1.0}, "d_x has the wrong sign everywhere"),
        ({"factor": -3.0}, "d_x has the wrong sign and is 3.00 times too large everywhere"),
        ({"factor": 0.0}, "d_x is missing: all zeros"),
        ({"below": 0.0}, r"d_x is wrong in \d of 7 numbers|d_x is missing"),
        ({"factor": math.nan}, "d_x is wrong in 7 of 7 numbers"),
    ],
    ids=str,
)
def test_a_wrong_derivative_is_described_once(changed: dict[str, float], said: str) -> None:
    mish = Mish()
    vars(mish).update(changed)
    report = mg.check(mish)
    assert not report
    assert len(report.problems) == 1
    (problem,) = report.problems
    line = Mish.df.__code__.co_firstlineno
    assert repr(report).startswith("mish: 1 problem\n  d_x ")
    assert mg.check(Mish())  # the change was the instance's
    match = re.search(rf"^({said}) \(x = \S+: yours \S+, measured \S+\) test_check.py:{line}$", problem)
    assert match, problem


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        ([1.0, 2.0, -3.0], None),
        ([1.5, 2.5, -2.5], "is +0.5 off everywhere"),
        ([1.0, 2.0, 3.0], "is wrong in 1 of 3 numbers"),
        ([math.nan, 2.0, -3.0], "is wrong in 1 of 3 numbers"),
        ([1e-9, 0.0, 0.0], "is missing: all zeros"),
        ([2.0, 4.0, -6.0], "is 2.00 times too large everywhere"),
    ],
)
def test_diagnosis(mine: list[float], said: str | None) -> None:
    assert diagnose(mine, [1.0, 2.0, -3.0], lambda a, b: abs(a - b) < 1e-6) == said


def test_what_should_be_zero_has_no_factor() -> None:
    assert diagnose([1.0, 2.0], [0.0, 0.0], lambda a, b: abs(a - b) < 1e-6) == "is wrong in 2 of 2 numbers"
    assert in_words(2.0) == "is 2.00 times too large"


def test_attributes_are_passed_on() -> None:
    assert mg.check(Leaky())
    assert mg.check(Leaky(), attributes={"slope": -3.0})


def test_an_index_says_where() -> None:
    class OneOff(type(ops.mul)):  # type: ignore[misc]
        def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
            super().backward(d_a, d_b, d_out, a, b)
            if d_b is not None:
                mg.flat(d_b)[7] += 1.0

    (problem,) = mg.check(OneOff(), shapes={"a": (2, 5), "b": (2, 5)}).problems
    assert problem.startswith("d_b is wrong in 1 of 10 numbers (b[1, 2] = ")


def test_integers_come_as_numbers_or_from_a_range() -> None:
    assert mg.check(ops.embedding, shapes={"ids": [[0, 2], [2, 1]], "weight": (3, 5)})
    assert mg.check(ops.embedding, shapes={"ids": ((2, 3), range(7)), "weight": (7, 5)})


@pytest.mark.parametrize(
    ("op", "given", "said"),
    [
        (ops.linear, {}, "say how large x and weight should be: shapes={'x': (3, 5), 'weight': (3, 5)}"),
        (ops.scale, {}, "say what factor should be: attributes={'factor': ...}"),
        (ops.scale, {"attributes": {"facto": 1.0}}, "has no attribute 'facto' (did you mean 'factor'?)"),
        (ops.linear, {"shapes": {"x": (1,), "wieght": (1, 1)}}, "has no input 'wieght' (did you mean 'weight'?)"),
        (ops.embedding, {"shapes": {"ids": (3,), "weight": (3, 5)}}, "ids holds integers; give a list of them, or"),
    ],
)
def test_what_it_can_not_guess_it_asks_for(op: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(SignatureError) as error:
        mg.check(op, **given)
    assert said in str(error.value)


class Hot(mg.Unary):
    """Python's own exp raises where floats have infinity."""

    def f(self, x: float) -> float:
        return math.exp(x)

    def df(self, x: float) -> float:
        return math.exp(x)


def test_the_op_s_other_promises_are_tried_too() -> None:
    (problem,) = mg.check(Hot()).problems
    line = Hot.f.__code__.co_firstlineno
    assert problem == f"forward fails where x is 3e+38: OverflowError: math range error test_check.py:{line}"
