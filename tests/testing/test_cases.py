"""What ops are tried on: a table for the core's, guesses for an author's."""

import pytest

from microgpt_core.components import Op
from microgpt_core.ops import OPS
from microgpt_core.testing.case import make_case
from microgpt_core.testing.cases import BIG, TABLE, case_of, cases_of, guess, large_example
from microgpt_core.testing.history import LIBRARY


def test_every_op_of_the_core_has_its_cases() -> None:
    assert set(TABLE) == set(OPS)


@pytest.mark.parametrize("name", sorted(set(OPS) - {"clip_factor"}))
def test_the_large_example_is_larger_than_what_a_library_may_take(name: str) -> None:
    assert case_of(OPS[name], large_example(OPS[name]), "f").nbytes > LIBRARY


def test_random_numbers_are_the_same_in_both_formats() -> None:
    single, double = (cases_of(OPS["linear"], format)[1] for format in "fd")
    assert {n: b.tolist() for n, b in single.inputs.items()} == {n: b.tolist() for n, b in double.inputs.items()}
    assert single.exact().inputs["x"].tolist() == double.inputs["x"].tolist()


class Mixing(Op):
    def shapes(self, q, k, v, *, n_head):
        return {"out": q}

    def forward(self, out, q, k, v, *, n_head):
        pass


class Loss(Op):
    integers = ("targets",)

    def shapes(self, logits, targets):
        self.expect("targets", targets, logits[:-1])
        return {"loss": (1,)}

    def forward(self, loss, logits, targets):
        pass


class Lion(Op):
    mutates = ("w", "m")

    def shapes(self, w, grad, factor, lr, step, m):
        self.expect("m", m, w)
        return {}

    def forward(self, w, grad, factor, lr, step, m):
        pass


class Norm(Op):
    def shapes(self, x, weight, bias=None):
        self.expect("weight", weight, x[-1:])
        self.expect("bias", bias, x[-1:])
        return {"out": x}

    def forward(self, out, x, weight, bias):
        pass


class Gated(Op):
    def shapes(self, x, gate=None, other=None):
        self.expect("gate", gate, x)
        return {"out": x}

    def forward(self, out, x, gate, other):
        pass


class Own(Gated):
    examples = ({"x": (4,)}, {"x": (4, 9), "gate": (4, 9)})


@pytest.mark.parametrize(
    ("op", "first", "count"),
    [
        (Mixing(), {"q": (2, 7, 6), "k": (2, 7, 6), "v": (2, 7, 6)}, 3),
        (Loss(), {"logits": (4, 7), "targets": (4,)}, 3),
        (Lion(), {"w": (3, 5), "grad": (3, 5), "factor": (1,), "lr": (1,), "step": (1,), "m": (3, 5)}, 2),
        (Norm(), {"x": (3, 5), "weight": (5,)}, 10),
        (Gated(), {"x": (3, 5)}, 10),
        (Own(), {"x": (4,)}, 2),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_inputs_are_guessed_by_their_names(op: Op, first: dict, count: int) -> None:
    cases = cases_of(op)
    assert {n: b.shape for n, b in cases[0].inputs.items() if b is not None} == first
    assert len(cases) == count
    assert case_of(op, large_example(op)).nbytes > LIBRARY or isinstance(op, Own)


def test_optional_inputs_with_a_known_name_come_in_the_second_half() -> None:
    assert guess(Gated(), large=True) == [{"x": BIG}, {"x": BIG, "gate": BIG}]


def test_one_tensor_twice_stays_one() -> None:
    case = make_case(OPS["mul"], {"a": (3,), "b": (3,)})
    case.inputs["b"] = case.inputs["a"]
    after = case.forward().after
    assert after["a"] is after["b"]
