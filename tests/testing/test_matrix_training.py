"""Bugs of optimizers, schedules and analyzers x checks: each is found by its check, and each check has its bug."""

import gc
from dataclasses import dataclass
from math import isfinite

import pytest

from microgpt_core.components import Analyzer, Op, Optimizer, Schedule, flat, write
from microgpt_core.models.parts.part import Parameter
from microgpt_core.ops import OPS
from microgpt_core.testing.analyzers import analyzer_checks
from microgpt_core.testing.optimizers import optimizer_checks
from microgpt_core.testing.schedules import schedule_checks


class HeavyBall(Op):
    """m <- 0.9 m + g, w <- w - lr m: the control."""

    name = "heavy_ball"
    mutates = ("w", "m")

    def shapes(self, w, grad, factor, lr, step, m):
        self.expect("grad", grad, w)
        self.expect("m", m, w)
        for name, shape in (("factor", factor), ("lr", lr), ("step", step)):
            self.expect(name, shape, (1,))
        return {}

    def forward(self, w, grad, factor, lr, step, m):
        if isfinite(factor[0]):
            self.move(w, [factor[0] * g for g in flat(grad)], lr[0], m)

    def move(self, w, grad, lr, m):
        write(m, [0.9 * v + g for v, g in zip(flat(m), grad)])
        write(w, [p - lr * v for p, v in zip(flat(w), flat(m))])


@dataclass
class Momentum(Optimizer):
    """The control."""

    name = "momentum"
    update = "heavy_ball"
    state = {"m": "like w"}


def by_hand(w, grads, lr):
    """What twenty steps of HeavyBall come to."""
    w, m = list(w), [0.0] * len(w)
    for grad in grads:
        m = [0.9 * v + g for v, g in zip(m, grad)]
        w = [p - lr * v for p, v in zip(w, m)]
    return w


class Uphill(HeavyBall):
    def move(self, w, grad, lr, m):
        super().move(w, [-g for g in grad], lr, m)


class Coarse(HeavyBall):
    """It subtracts through a large number, where float32 has no digits left."""

    def move(self, w, grad, lr, m):
        super().move(w, grad, lr, m)
        write(w, [p + 1e4 for p in flat(w)])
        write(w, [p - 1e4 for p in flat(w)])


class Idle(HeavyBall):
    def move(self, w, grad, lr, m):
        pass


class Counting(HeavyBall):
    """It counts steps in itself, where no checkpoint finds them."""

    def __init__(self):
        self.t = 0

    def move(self, w, grad, lr, m):
        self.t += 1
        super().move(w, grad, lr / self.t, m)


class Unclipped(HeavyBall):
    def forward(self, w, grad, factor, lr, step, m):
        self.move(w, [factor[0] * g for g in flat(grad)], lr[0], m)


OPTIMIZERS = [
    (Uphill, "twenty_steps_are_right", "after 20 steps by the model a parameter is "),
    (Coarse, "twenty_steps_are_right", "after 20 steps in float32 a parameter is "),
    (Idle, "twenty_steps_are_right", "20 steps of idle move nothing"),
    (Counting, "state_is_all_there_is", "w goes on differently from a checkpoint: counting keeps something outside"),
    (Unclipped, "nothing_moves_by_nan", "unclipped changes w and m where factor is nan; it must do nothing"),
]


@pytest.mark.parametrize(("broken", "check", "said"), OPTIMIZERS, ids=[bug.__name__ for bug, _, _ in OPTIMIZERS])
def test_an_optimizer_s_bug_is_found(failures, broken, check, said) -> None:
    assert said in failures(optimizer_checks(Momentum(), broken(), by_hand))[check][0]


def test_every_check_of_optimizers_has_its_bug_and_lets_what_is_right_pass(failures) -> None:
    checks = optimizer_checks(Momentum(), HeavyBall(), by_hand)
    assert {check for _, check, _ in OPTIMIZERS} == {check.name for check in checks}
    assert failures(checks) == {}


def test_an_op_that_is_no_update_is_said_so(failures) -> None:
    (said,) = failures(optimizer_checks(Momentum(), OPS["mul"]))["nothing_moves_by_nan"]
    assert "an update's inputs are (w, grad, factor, lr, step), then those of its state" in said


@dataclass
class Half(Schedule):
    """The control."""

    name = "half"

    def after_warmup(self, progress):
        return 0.5


class Rate(Half):
    def after_warmup(self, progress):
        return -1e-3


class Steps(Half):
    def factor(self, step, max_steps):
        return max_steps - step


class Never(Half):
    def factor(self, step, max_steps):
        return 0.0


class Restless(Half):
    def factor(self, step, max_steps):
        self.last = getattr(self, "last", 1.0) * 0.999
        return self.last


SCHEDULES = [
    (Rate, "factors_are_sensible", "factor(0, 1) is -0.001; allowed: 0 to 10, as a share of lr"),
    (Steps, "factors_are_sensible", "factor(0, 100) is 100; allowed: 0 to 10"),
    (Never, "factors_are_sensible", "factor is 0 at each of 1 steps: nothing would be learned"),
    (Restless, "factors_are_pure", " later; it must depend on its arguments alone"),
]


@pytest.mark.parametrize(("broken", "check", "said"), SCHEDULES, ids=[bug.__name__ for bug, _, _ in SCHEDULES])
def test_a_schedule_s_bug_is_found(failures, broken, check, said) -> None:
    assert said in failures(schedule_checks(broken()))[check][0]


def test_every_check_of_schedules_has_its_bug_and_lets_what_is_right_pass(failures) -> None:
    checks = schedule_checks(Half(warmup_steps=10))
    assert {check for _, check, _ in SCHEDULES} == {check.name for check in checks}
    assert failures(checks) == {}


class Largest(Analyzer):
    """The control."""

    name = "largest"
    watch = ("block.*", "grad block.0")

    def __init__(self):
        self.seen = []

    def observe(self, step, values):
        self.seen.append({scope: max(flat(x)) for scope, x in values.items()})

    def report(self):
        return {"largest": self.seen}


class Blind(Largest):
    watch = ()


class Misspelt(Largest):
    watch = ("blok.*",)


class Writing(Largest):
    def observe(self, step, values):
        flat(values["block.0"])[0] = 1.0


class Reaching(Largest):
    """It finds the weights on its own, and writes there."""

    def observe(self, step, values):
        for x in gc.get_objects():
            if isinstance(x, Parameter) and x.value.data is not None:
                flat(x.data)[0] += 1e-3


class Rambling(Largest):
    def report(self):
        return "the largest was large"


class Tupled(Largest):
    def report(self):
        return {"largest": {("block", 0): 1.0}}


ANALYZERS = [
    (Blind, "observes", "it sees nothing: no scope of a GPT matches watch = ()"),
    (Misspelt, "observes", "unknown scope to watch 'blok.*'"),
    (
        Writing,
        "observes",
        "observe fails at step 1: TypeError: cannot modify read-only memory test_matrix_",
    ),
    (Reaching, "changes_no_bit", "training changes: the loss of step 2 is "),
    (Rambling, "reports", "report() returns 'the largest was large'; expected a mapping of titles to tables"),
    (Tupled, "reports", "TypeError: keys must be str"),
]


@pytest.mark.parametrize(("broken", "check", "said"), ANALYZERS, ids=[bug.__name__ for bug, _, _ in ANALYZERS])
def test_an_analyzer_s_bug_is_found(failures, broken, check, said) -> None:
    assert said in failures(analyzer_checks(broken()))[check][0]


def test_every_check_of_analyzers_has_its_bug_and_lets_what_is_right_pass(failures) -> None:
    checks = analyzer_checks(Largest())
    assert {check for _, check, _ in ANALYZERS} == {check.name for check in checks}
    assert failures(checks) == {}
