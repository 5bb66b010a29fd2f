"""Passes: what rewrites the calls of a plan, in which order, and where it doesn't."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

import microgpt_core as mg
from microgpt_core import Pass, ops
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.capture import Captured, plan_of
from microgpt_core.engine.context import context, use_kernels
from microgpt_core.engine.value import Trace, Value
from microgpt_core.errors import CaptureError
from microgpt_core.ops.linear import Linear
from microgpt_core.ops.relu2 import ReLU2


class Own(ReLU2):
    """relu2 by other names."""

    name = "own"


class Other(ReLU2):
    name = "other"


class OwnLinear(Linear):
    name = "own-linear"


class Exchange(Pass):
    """One op becomes another."""

    def __init__(self, old: type, new: type) -> None:
        self.name, self.old, self.new = f"{new.name}s", old, new
        self.seen: list[str] = []
        self.kept: Sequence[Value] = ()

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        self.seen, self.kept = [call.op.name for call in trace.calls], kept
        return replace(trace, calls=[replace(c, op=self.new()) if type(c.op) is self.old else c for c in trace.calls])


class Losing(Pass):
    """The calls of one op are gone."""

    name = "losing"

    def __init__(self, op: str) -> None:
        self.op = op

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        return replace(trace, calls=[call for call in trace.calls if call.op.name != self.op])


W = mg.tensor([[0.5, -1.0], [2.0, 0.25]], requires_grad=True)
X = mg.tensor([[1.0, 2.0], [-3.0, 4.0]])


def step(x: mg.Tensor) -> mg.Tensor:
    with mg.scope("layer"):
        h = ops.relu2(ops.linear(x, W))
        context.label("layer", h.value)
    loss = ops.mean(h)
    loss.backward()
    return loss


def names(passes: Sequence[Pass], **options: object) -> list[str]:
    plan = plan_of(step, X, kernels=Kernels(passes=passes), **options)
    return [call.op.name for call in plan.calls if call.op.name not in ("zero", "ones_like", "mean")]


BOTH = [Exchange(ReLU2, Own), Exchange(Own, Other)]


@pytest.mark.parametrize(
    ("passes", "expected"),
    [
        ([], "relu2"),
        (BOTH[:1], "own"),
        (BOTH, "other"),
        (BOTH[::-1], "own"),  # the second finds nothing of its own yet
    ],
)
def test_passes_rewrite_forward_and_backward_one_after_the_other(passes: list[Pass], expected: str) -> None:
    assert names(passes) == ["linear", expected, expected, "linear"]


def test_the_numbers_are_those_of_the_rewritten_calls() -> None:
    plain, rewritten = Captured(step), Captured(step, Kernels(passes=BOTH))
    W.zero_grad()
    loss, gradient = plain(X).item(), W.grad.tolist()
    W.zero_grad()
    assert (rewritten(X).item(), W.grad.tolist()) == (loss, gradient)


def test_recompute_sees_what_passes_have_made() -> None:
    """What is made again is the rewritten call."""
    made_again = ["linear", "relu2", "linear", "relu2", "linear"]
    assert names([], recompute=[["layer"]]) == made_again
    own = [op.replace("linear", "own-linear") for op in made_again]
    assert names([Exchange(Linear, OwnLinear)], recompute=[["layer"]]) == own


def test_eager_code_runs_what_it_says() -> None:
    own = Exchange(ReLU2, Own)
    with use_kernels(Kernels(passes=[own])):
        loss = step(X)
    assert own.seen == []
    assert loss.item() == Captured(step)(X).item()


def test_a_pass_is_told_what_is_read_at_the_end() -> None:
    own = Exchange(ReLU2, Own)
    plan_of(step, X, kernels=Kernels(passes=[own]))
    assert len(own.kept) == 1
    plan_of(step, X, kernels=Kernels(passes=[own]), watch=["layer", "grad layer"])
    assert len(own.kept) == 3


@pytest.mark.parametrize(
    ("op", "said"),
    [
        ("relu2", "mean.forward reads x, which nothing in this capture has computed; or pass 'losing' lost it"),
        ("mean", "returned a tensor that nothing in this capture has computed; or pass 'losing' lost it"),
    ],
)
def test_a_pass_that_loses_a_value_is_named(op: str, said: str) -> None:
    with pytest.raises(CaptureError, match=said):
        plan_of(step, X, kernels=Kernels(passes=[Losing(op)]))


def test_without_passes_nobody_is_named() -> None:
    lost = []

    def leaking(x: mg.Tensor) -> mg.Tensor:
        lost.append(ops.relu2(x))
        return lost[0]

    plan_of(leaking, X)
    with pytest.raises(CaptureError) as error:
        plan_of(lambda x: ops.relu2(lost[0]), X)
    assert "pass" not in str(error.value)
