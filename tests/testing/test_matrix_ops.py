"""Bugs of ops x checks: each is found by the check that is for it, and each check has a bug that it finds."""

import math
from typing import Any

import pytest

from microgpt_core.components import Op, accumulate, flat, write
from microgpt_core.ops.layernorm import LayerNorm
from microgpt_core.ops.mul import Mul
from microgpt_core.testing.ops import op_checks


class Right(Mul):
    """mul itself: the control."""

    examples = ({"a": (3, 5), "b": (3, 5)},)


class HalfWritten(Right):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        view = flat(out)
        for i in range(len(view) - 1):
            view[i] = flat(a)[i] * flat(b)[i]


class Overwriting(Right):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        for d, other in ((d_a, b), (d_b, a)):
            if d is not None:
                write(d, [x * y for x, y in zip(flat(d_out), flat(other))])


class Steep(Right):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        super().backward(d_a, d_b, d_out, a, b)
        if d_a is not None:
            accumulate(d_a, [0.1 * x * y for x, y in zip(flat(d_out), flat(b))])


class Negative(Right):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        super().backward(d_a, None, d_out, a, b)
        if d_b is not None:
            accumulate(d_b, [-x * y for x, y in zip(flat(d_out), flat(a))])


class OneOff(Right):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        super().backward(d_a, d_b, d_out, a, b)
        if d_a is not None:
            flat(d_a)[7] += 1.0


class OneOfMany(OneOff):
    examples = ({"a": (33, 67), "b": (33, 67)},)


class SteepMany(Steep):
    examples = ({"a": (33, 67), "b": (33, 67)},)


class Forgetful(Right):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        super().backward(None, d_b, d_out, a, b)


class Meddling(Right):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        super().forward(out, a, b)
        flat(b)[0] = 1.0


class MeddlingBackward(Right):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        super().backward(d_a, d_b, d_out, a, b)
        flat(d_out)[0] = 0.0


def beside(buffer: Any) -> tuple[Any, int]:
    """The memory that a buffer is in, and where the buffer ends there."""
    memory = memoryview(buffer.obj)
    return memory, memory.tobytes().find(bytes(buffer)) + buffer.nbytes


class Spilling(Right):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        super().forward(out, a, b)
        memory, end = beside(out)
        memory[end] = 0


class Peeping(Right):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        super().forward(out, a, b)
        memory, end = beside(b)
        flat(out)[0] += memory[end]


class Remembering(Right):
    calls = 0

    def forward(self, out: Any, a: Any, b: Any) -> None:
        type(self).calls += 1
        super().forward(out, a, b)
        flat(out)[0] += self.calls


class Keeping(Right):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        super().forward(out, a, b)
        self.b = flat(b).tolist()

    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any) -> None:
        if d_a is not None:
            accumulate(d_a, [x * y for x, y in zip(flat(d_out), self.b)])
        if d_b is not None:
            accumulate(d_b, [x * y for x, y in zip(flat(d_out), flat(a))])


class Entangled(Right):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        if d_a is not None and d_b is not None:
            super().backward(d_a, d_b, d_out, a, b)


class Insisting(Right):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        accumulate(d_a, [x * y for x, y in zip(flat(d_out), flat(b))])
        accumulate(d_b, [x * y for x, y in zip(flat(d_out), flat(a))])


class LastWins(Right):
    def backward(self, d_a: Any, d_b: Any, d_out: Any, a: Any, b: Any) -> None:
        before = None if d_a is None else flat(d_a).tolist()
        super().backward(d_a, None, d_out, a, b)
        if d_b is d_a and d_b is not None:
            write(d_b, before or [])
        super().backward(None, d_b, d_out, a, b)


class Exploding(Right):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        super().forward(out, a, b)
        accumulate(out, [0.0 * math.exp(x) for x in flat(a)])


class Hiding(Right):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        write(out, [x * y if x == x else 0.0 for x, y in zip(flat(a), flat(b))])


class Careless(Right):
    def shapes(self, a: Any, b: Any) -> Any:
        return {"out": a}


class Stumbling(Right):
    def shapes(self, a: Any, b: Any) -> Any:
        if a != b:
            raise IndexError("axis 1")
        return {"out": a}


class Cancelling(Right):
    def forward(self, out: Any, a: Any, b: Any) -> None:
        write(out, [1e4 + x * y for x, y in zip(flat(a), flat(b))])
        accumulate(out, [-1e4] * len(flat(out)))


class Unguessable(Mul):
    def shapes(self, a: Any, b: Any) -> Any:
        self.expect("b", b, (*a, 2))
        return {"out": a}


BUGS = [
    (HalfWritten, "overwrites", "forward doesn't overwrite all of out: what it held before shows"),
    (HalfWritten, "replays", "out differs between eager code and a plan"),
    (Overwriting, "accumulates", "backward doesn't add to d_a: what it held before is lost"),
    (Steep, "derivative", "d_a is 1.10 times too large everywhere (a["),
    (SteepMany, "derivative", "d_a is 1.10 times too large everywhere (a["),
    (Negative, "derivative", "d_b has the wrong sign everywhere"),
    (OneOff, "derivative", "d_a is wrong in 1 of 15 numbers (a[1, 2] = "),
    (OneOfMany, "derivative", "d_a is wrong in a few of 2211 numbers (along a direction: yours "),
    (Forgetful, "derivative", "d_a is missing: all zeros"),
    (Meddling, "touches_nothing_else", "forward changes b, which isn't in mutates"),
    (MeddlingBackward, "touches_nothing_else", "backward changes d_out, which isn't a gradient of an input"),
    (Spilling, "stays_inside", "forward writes outside of its buffers, after out"),
    (Peeping, "stays_inside", "forward reads outside of its buffers: what lies there shows in out"),
    (Remembering, "repeats", "two runs of forward on equal inputs differ in out"),
    (Keeping, "keeps_no_state", "d_a changes when forward runs on other buffers before backward"),
    (Entangled, "spares_unwanted_gradients", "d_a depends on which other gradients are wanted"),
    (Insisting, "spares_unwanted_gradients", "backward fails where d_a and d_b are None: "),
    (LastWins, "takes_one_tensor_twice", "the gradient is wrong where a and b are one tensor"),
    (Exploding, "lets_special_numbers_through", "forward fails where a is 3e+38: OverflowError: math range error"),
    (Hiding, "lets_special_numbers_through", "out hides that a is nan"),
    (Careless, "refuses_wrong_shapes", "shapes lets pass where a is (3, 5, 2), but forward fails: "),
    (Stumbling, "refuses_wrong_shapes", "shapes raises IndexError where a is (3, 5, 2), expected ShapeError: axis 1"),
    (
        Cancelling,
        "agrees_with_reference",
        "of the largest of its row, allowed 1e-06 (out[",
    ),
]


@pytest.mark.parametrize(("broken", "check", "said"), BUGS, ids=[f"{bug.__name__}-{name}" for bug, name, _ in BUGS])
def test_a_bug_is_found_by_the_check_that_is_for_it(failures, broken: type[Op], check: str, said: str) -> None:
    notes = [note for note in failures(op_checks(broken()))[check] if said in note]
    assert notes
    assert "test_matrix_ops.py:" in notes[0]


class HidingNorm(LayerNorm):
    """Of numbers that are all alike a norm makes the same, whichever they are: they can't tell what it depends on."""

    examples = ({"x": (3, 5)},)

    def forward(self, out: Any, mean: Any, rstd: Any, x: Any, weight: Any, bias: Any, *, eps: float) -> None:
        super().forward(out, mean, rstd, x, weight, bias, eps=eps)
        write(out, [v if v == v else 0.0 for v in flat(out)])


class Two(Op):
    """Of two outputs each reads an input of its own."""

    examples = ({"a": (3, 5), "b": (3, 5)},)

    def shapes(self, a: Any, b: Any) -> Any:
        return {"double": a, "triple": b}

    def forward(self, double: Any, triple: Any, a: Any, b: Any) -> None:
        write(double, [2.0 * v for v in flat(a)])
        write(triple, [3.0 * v for v in flat(b)])

    def backward(self, d_a: Any, d_b: Any, d_double: Any, d_triple: Any) -> None:
        for d, given, factor in ((d_a, d_double, 2.0), (d_b, d_triple, 3.0)):
            if d is not None:
                accumulate(d, [factor * v for v in flat(given)])


def test_an_output_hides_only_what_it_depends_on(failures) -> None:
    assert "out hides that x is nan" in failures(op_checks(HidingNorm()))["lets_special_numbers_through"][0]
    assert failures(op_checks(Two())) == {}


def test_every_check_has_its_bug_and_lets_what_is_right_pass(failures) -> None:
    checks = op_checks(Right())
    assert {check for _, check, _ in BUGS} == {check.name for check in checks}
    assert failures(checks) == {}


def test_what_can_not_be_guessed_is_asked_for(failures) -> None:
    found = failures(op_checks(Unguessable()))
    (said,) = {notes[0] for notes in found.values()}
    assert said.startswith("SignatureError: unguessable: b has shape (3, 5), expected (3, 5, 2); say it in the class: ")
    assert "examples = [{'a': (3, 5), 'b': (3, 5)}]" in said
    assert failures(op_checks(Unguessable(), examples=[{"a": (3,), "b": (3, 2)}])) != found
