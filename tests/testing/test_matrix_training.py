"""Bugs of optimizers, schedules and analyzers x checks: each is found by its check, and each check has its bug."""

import sys
from dataclasses import dataclass
from math import inf, isfinite, sqrt

import pytest

from microgpt_core.components import Analyzer, Op, Optimizer, Rule, Schedule, flat, rows, write
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


class FirstSeen(HeavyBall):
    """It measures gradients by the largest that it saw at first, which a resumed training doesn't know."""

    def move(self, w, grad, lr, m):
        self.scale = getattr(self, "scale", None) or max(map(abs, flat(w)))
        super().move(w, grad, lr / self.scale, m)


class Unclipped(HeavyBall):
    def forward(self, w, grad, factor, lr, step, m):
        self.move(w, [factor[0] * g for g in flat(grad)], lr[0], m)


class MatrixOnly(HeavyBall):
    """What is no matrix it leaves alone."""

    def forward(self, w, grad, factor, lr, step, m):
        if len(w.shape) > 1:
            super().forward(w, grad, factor, lr, step, m)


class OffByOne(HeavyBall):
    """Bias correction that counts steps from 1."""

    def move(self, w, grad, lr, m):
        super().move(w, grad, lr / (1.0 - 0.9**self.at) if self.at else inf, m)

    def forward(self, w, grad, factor, lr, step, m):
        self.at = step[0]
        super().forward(w, grad, factor, lr, step, m)


class OwnRate(HeavyBall):
    """Weight decay that isn't multiplied by the learning rate."""

    def move(self, w, grad, lr, m):
        super().move(w, grad, lr, m)
        write(w, [0.999 * p for p in flat(w)])


class Overlooking(HeavyBall):
    """It reads factor to know when to stop, and multiplies nothing by it."""

    def forward(self, w, grad, factor, lr, step, m):
        if isfinite(factor[0]):
            self.move(w, flat(grad), lr[0], m)


class Shrinking(HeavyBall):
    """It decays also what attributes(decay=False) says not to."""

    def move(self, w, grad, lr, m):
        super().move(w, grad, lr, m)
        write(w, [p - lr * 0.1 * p for p in flat(w)])


OPTIMIZERS = [
    (MatrixOnly, "moves_every_parameter", "matrix_only doesn't move a vector of shape (5,)"),
    (OffByOne, "moves_every_parameter", "off_by_one makes numbers of a matrix of shape (3, 5) infinite or NaN"),
    (OwnRate, "follows_its_inputs", "own_rate moves w where lr is 0"),
    (Overlooking, "follows_its_inputs", "overlooking makes another w by factor 0.5 than by half the gradient"),
    (Shrinking, "follows_its_inputs", "shrinking moves w without a gradient"),
    (Uphill, "twenty_steps_are_right", "after 20 steps by the model a parameter is "),
    (Coarse, "twenty_steps_are_right", "after 20 steps in float32 a parameter is "),
    (Idle, "twenty_steps_are_right", "20 steps of idle move nothing"),
    (Counting, "state_is_all_there_is", "w goes on differently from a checkpoint: counting keeps something outside"),
    (FirstSeen, "state_is_all_there_is", "w goes on differently from a checkpoint: first_seen keeps something outside"),
    (Unclipped, "nothing_moves_by_nan", "unclipped changes w and m where factor is nan; it must do nothing"),
]


@pytest.mark.parametrize(("broken", "check", "said"), OPTIMIZERS, ids=[bug.__name__ for bug, _, _ in OPTIMIZERS])
def test_an_optimizer_s_bug_is_found(failures, broken, check, said) -> None:
    assert said in failures(optimizer_checks(Momentum(), broken(), by_hand))[check][0]


def test_every_check_of_optimizers_has_its_bug_and_lets_what_is_right_pass(failures) -> None:
    checks = optimizer_checks(Momentum(), HeavyBall(), by_hand)
    assert {check for _, check, _ in OPTIMIZERS} | {"keeps_its_average"} == {check.name for check in checks}
    assert failures(checks) == {}


@dataclass
class Factored(Optimizer):
    """Adafactor's mean squares: one for each row, one for each column."""

    name = "factored"
    update = "factored"
    state = {"r": "rows of w", "c": "columns of w"}


class Adafactor(Op):
    """v[i][j] = r[i] c[j] / mean(r), w <- w - lr g / sqrt(v): the control."""

    mutates = ("w", "r", "c")

    def shapes(self, w, grad, factor, lr, step, r, c):
        self.expect("grad", grad, w)
        self.expect("r", r, w[:-1] or (1,))
        self.expect("c", c, w[-1:])
        return {}

    def forward(self, w, grad, factor, lr, step, r, c):
        if not isfinite(factor[0]):
            return
        g = [[factor[0] * x for x in row] for row in rows(grad).tolist()]
        squares = [[x * x for x in row] for row in g]
        write(r, [0.9 * a + 0.1 * sum(row) / len(row) for a, row in zip(flat(r), squares)])
        write(c, [0.9 * a + 0.1 * sum(column) / len(column) for a, column in zip(flat(c), zip(*squares))])
        write(w, [p - lr[0] * move for p, move in zip(flat(w), self.moves(g, flat(r).tolist(), flat(c).tolist()))])

    def moves(self, g, r, c):
        mean = sum(r) / len(r) + 1e-30
        return [x / sqrt(a * b / mean + 1e-30) for row, a in zip(g, r) for x, b in zip(row, c)]


class Transposed(Adafactor):
    """Rows for columns, which is seen where there are more of one than of the other."""

    def shapes(self, w, grad, factor, lr, step, r, c):
        self.expect("r", r, w[-1:])
        self.expect("c", c, w[:-1] or (1,))
        return {}


class Unfactored(Adafactor):
    """It keeps the column means where nobody saves them."""

    def moves(self, g, r, c):
        self.kept = getattr(self, "kept", None) or c
        return super().moves(g, r, self.kept)


@pytest.mark.parametrize(
    ("op", "check"),
    [(Adafactor, None), (Transposed, "moves_every_parameter"), (Unfactored, "state_is_all_there_is")],
)
def test_a_state_of_rows_and_columns(failures, op, check) -> None:
    found = failures(optimizer_checks(Factored(), op()))
    assert check in found if check else found == {}


@dataclass
class TwoRules(Momentum):
    """One op after the other, the second at half the rate, with state of its own."""

    def rules(self, name, shape, decay):
        return [Rule("heavy_ball", self.state), Rule("light_ball", {"n": "like w"}, {}, 0.5)]

    @property
    def updates(self):
        return ["heavy_ball", "light_ball"]


class Counter(Op):
    """It counts a parameter's steps, in one number."""

    mutates = ("seen",)

    def shapes(self, w, grad, factor, lr, step, seen):
        self.expect("seen", seen, (1,))
        return {}

    def forward(self, w, grad, factor, lr, step, seen):
        seen[0] += isfinite(factor[0])


@dataclass
class Counted(Momentum):
    def rules(self, name, shape, decay):
        return [Rule("heavy_ball", self.state), Rule("counter", {"seen": "one number"})]


def test_several_rules_are_one_optimizer(failures) -> None:
    """And where one of their ops is broken, or isn't given, that is found."""
    assert failures(optimizer_checks(TwoRules(), {"heavy_ball": HeavyBall(), "light_ball": HeavyBall()})) == {}
    assert failures(optimizer_checks(Counted(), {"heavy_ball": HeavyBall(), "counter": Counter()})) == {}
    broken = optimizer_checks(TwoRules(), {"heavy_ball": HeavyBall(), "light_ball": Unclipped()})
    assert list(failures(broken)) == ["nothing_moves_by_nan"]
    missing = failures(optimizer_checks(TwoRules(), HeavyBall()))
    assert "unknown update op 'light_ball'" in missing["moves_every_parameter"][0]


@dataclass
class Promising(Momentum):
    average = "a"


@dataclass
class OfRows(Factored):
    average = "r"


AVERAGES = [
    (Promising, "keeps_its_average", "average is 'a', but wte.weight has no state of that name like w"),
    (OfRows, "keeps_its_average", "average is 'r', but wte.weight has no state of that name like w"),
]


@pytest.mark.parametrize(("broken", "check", "said"), AVERAGES)
def test_an_average_that_is_none_is_found(failures, broken, check, said) -> None:
    op = HeavyBall() if broken is Promising else Adafactor()
    assert said in failures(optimizer_checks(broken(), op))[check][0]


@dataclass
class Diagonal(Momentum):
    state = {"m": "diagonal of w"}


def test_a_state_that_training_would_refuse_is_refused(failures) -> None:
    found = failures(optimizer_checks(Diagonal(), HeavyBall()))
    assert {notes[0].split(" optimizer state")[0] for notes in found.values()} == {"ConfigurationError:"}


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


class Foreseeing(Half):
    """It goes by the last evaluation that there is, whichever step is asked for."""

    def factor(self, step, max_steps):
        return 1.0 / self.evaluations[-1][1] if self.evaluations else 1.0


SCHEDULES = [
    (Foreseeing, "factors_know_no_future", "factor(0, 100) is 1.0, and 0.333"),
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


class Spelled(Largest):
    watch = "block.*"  # no comma: a text, not a tuple


class Writing(Largest):
    def observe(self, step, values):
        flat(values["block.0"])[0] = 1.0


class Reaching(Largest):
    """It finds the weights on its own, in the trainer that calls it, and writes there."""

    def observe(self, step, values):
        frame = sys._getframe()
        while not hasattr(caller := frame.f_locals.get("self"), "update"):
            frame = frame.f_back
        for p in caller.model.parameters():
            flat(p.data)[0] += 1e-3


class Keeping(Largest):
    """It computes when it reports; the buffers hold the last step's numbers then."""

    def observe(self, step, values):
        self.seen.append(values)

    def report(self):
        return {"largest": [{scope: max(flat(x)) for scope, x in values.items()} for values in self.seen]}


class Counting(Keeping):
    """The same, and NaN makes it fail."""

    def report(self):
        return {"largest": [{scope: int(max(flat(x))) for scope, x in values.items()} for values in self.seen]}


class Rambling(Largest):
    def report(self):
        return "the largest was large"


class Tupled(Largest):
    def report(self):
        return {"largest": {("block", 0): 1.0}}


class Handing(Keeping):
    def report(self):
        return {"largest": self.seen}


ANALYZERS = [
    (Blind, "observes", "it sees nothing: no scope of a GPT matches watch = ()"),
    (Misspelt, "observes", "unknown scope to watch 'blok.*'"),
    (Spelled, "observes", "watch is the text 'block.*'; expected a tuple: watch = ('block.*',)"),
    (
        Writing,
        "observes",
        "observe fails at step 1: TypeError: cannot modify read-only memory test_matrix_",
    ),
    (Reaching, "changes_no_bit", "training changes: the loss of step 2 is "),
    (Keeping, "keeps_no_buffer", "it keeps a buffer after observe has returned"),
    (Counting, "keeps_no_buffer", "it keeps a buffer after observe has returned"),
    (Rambling, "reports", "report() returns 'the largest was large'; expected a mapping of titles to tables"),
    (Tupled, "reports", "TypeError: keys must be str"),
    (Handing, "reports", "TypeError: Object of type memoryview is not JSON serializable"),
]


@pytest.mark.parametrize(("broken", "check", "said"), ANALYZERS, ids=[bug.__name__ for bug, _, _ in ANALYZERS])
def test_an_analyzer_s_bug_is_found(failures, broken, check, said) -> None:
    assert said in failures(analyzer_checks(broken()))[check][0]


def test_every_check_of_analyzers_has_its_bug_and_lets_what_is_right_pass(failures) -> None:
    checks = analyzer_checks(Largest())
    assert {check for _, check, _ in ANALYZERS} == {check.name for check in checks}
    assert failures(checks) == {}
