"""The trainer: what happens at which step, when it ends, and which weights the model has then."""

from dataclasses import asdict

import pytest

from microgpt_core import ops
from microgpt_core.components import flat
from microgpt_core.errors import ConfigurationError
from microgpt_core.text.batches import Batches
from microgpt_core.training import budget
from microgpt_core.training.budget import Budget
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.optimizers import SGD, AdamW
from microgpt_core.training.schedules import Cosine, Linear
from microgpt_core.training.settings import TrainSettings


class Clock:
    """A clock that stands still, but for what a test or a step makes it wait."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wait(self) -> None:
        self.now += 4.0

    def slow_down(self, trainer) -> None:
        """Let each step take a while."""
        compute = trainer.loss.train
        trainer.loss.train = lambda window, step: (self.wait(), compute(window, step))[1]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(budget, "time", made)
    return made


def trained(tiny, **options):
    """The steps that were made, the result, the trainer."""
    steps = []
    trainer = tiny.trainer(on_step=steps.append, **options)
    return steps, trainer.train(), trainer


def overfitting(tiny, **settings):
    """Two names to learn by heart, and others to be judged by: the validation loss falls, then rises."""
    tiny.names, tiny.held_out = ("anna", "bob"), ("ann", "bab", "nab")
    chosen = {"max_steps": 60, "eval_interval": 3, "batch_size": 2, **settings}
    return trained(tiny, settings=chosen, validation=tiny.validation(), optimizer=AdamW(lr=0.01))


def test_training_learns(tiny) -> None:
    steps, result, _ = trained(tiny(), settings={"max_steps": 80})
    assert steps[0].train_loss > 2.0
    assert result.train_loss == steps[-1].train_loss < 1.0
    assert (result.step, result.steps, result.stopped_by, result.val_loss) == (80, 80, "max_steps", None)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_same_seed_gives_the_same_bits(tiny, precision: str) -> None:
    settings = {"max_steps": 8, "eval_interval": 3, "accumulation": 2, "label_smoothing": 0.1}
    runs = []
    for seed in (5, 5, 6):
        made = tiny(precision=precision, seed=seed)
        steps, _, trainer = trained(made, settings=settings, validation=made.validation(), schedule=Cosine(3))
        state = b"".join(x.tobytes() for x in trainer.model.state().values())
        runs.append(([s.metrics() for s in steps], state))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_the_learning_rate_follows_the_schedule(tiny) -> None:
    steps, _, _ = trained(tiny(), settings={"max_steps": 5}, schedule=Linear(warmup_steps=2), optimizer=SGD(lr=0.4))
    assert [s.lr for s in steps] == pytest.approx([0.2, 0.4, 0.4, 0.4 * 2 / 3, 0.4 / 3])


@pytest.mark.parametrize("accumulation", [1, 3])
def test_a_step_sees_the_next_batches(tiny, accumulation: int) -> None:
    """Step s averages over the batches from s * accumulation on, none twice, none left out."""
    asked = []

    class Noted(Batches):
        def batch(self, step: int):
            asked.append(step)
            return super().batch(step)

    trainer = tiny().trainer(settings={"max_steps": 4, "accumulation": accumulation})
    trainer.batches.__class__ = Noted
    tokens = trainer.train() and trainer.at.tokens
    assert asked == list(range(4 * accumulation))
    assert tokens == sum(trainer.batches.batch(i).n_targets for i in range(4 * accumulation))


def test_accumulated_batches_are_one_batch(tiny, weights) -> None:
    """8 batches of 1 move the weights as one of 8: batches are consecutive documents."""
    found = []
    for batch_size, accumulation in ((8, 1), (2, 4), (1, 8)):
        settings = {"batch_size": batch_size, "accumulation": accumulation, "max_steps": 5, "grad_clip": 0.5}
        steps, _, trainer = trained(tiny(), settings=settings, optimizer=SGD(lr=0.5, momentum=0.5))
        found.append(([s.train_loss for s in steps], weights(trainer.model)))
    for losses, other in found[1:]:
        assert losses == pytest.approx(found[0][0], rel=1e-11)
        for name, w in other.items():
            assert w == pytest.approx(found[0][1][name], rel=1e-9, abs=1e-11), name


@pytest.mark.parametrize(
    ("interval", "max_steps", "expected"),
    [(3, 8, [3, 6, 8]), (4, 8, [4, 8]), (1, 2, [1, 2]), (100, 5, [5]), (0, 5, [])],
)
def test_it_evaluates_at_intervals_and_at_the_end(tiny, interval: int, max_steps: int, expected: list[int]) -> None:
    made = tiny()
    settings = {"eval_interval": interval, "max_steps": max_steps}
    steps, result, trainer = trained(made, settings=settings, validation=made.validation())
    assert [s.step for s in steps if s.val_loss is not None] == expected
    if expected:
        assert result.val_loss == BatchLoss(trainer.model).evaluate(made.validation())
    else:
        assert result.val_loss is None


def test_without_a_validation_text_nothing_is_evaluated(tiny) -> None:
    steps, result, _ = trained(tiny(), settings={"eval_interval": 2, "patience": 1})
    assert {s.val_loss for s in steps} == {None}
    assert (result.step, result.val_loss) == (6, None)


@pytest.mark.parametrize("n", [1, 2, None])
def test_eval_batches_limits_an_evaluation(tiny, n: int | None) -> None:
    made = tiny()
    settings = {"eval_interval": 6, "eval_batches": n, "restore_best": False}
    _, result, trainer = trained(made, settings=settings, validation=made.validation(1))
    assert len(made.validation(1)) == 3
    assert result.val_loss == BatchLoss(trainer.model).evaluate(made.validation(1)[:n])


def test_patience_stops_and_the_best_weights_come_back(tiny) -> None:
    made = tiny()
    steps, result, trainer = overfitting(made, patience=2)
    losses = {s.step: s.val_loss for s in steps if s.val_loss is not None}
    best = min(losses, key=losses.get)
    assert 3 < best < steps[-1].step < 60
    assert steps[-1].step == best + 2 * 3
    assert asdict(result) | {"seconds": 0} == {
        "step": best, "train_loss": steps[-1].train_loss, "val_loss": losses[best], "stopped_by": "patience",
        "seconds": 0, "steps": steps[-1].step,
    }  # fmt: skip
    assert BatchLoss(trainer.model).evaluate(made.validation()) == losses[best]


def test_the_best_weights_come_back_without_patience_too(tiny) -> None:
    _, result, trainer = overfitting(made := tiny())
    assert (result.stopped_by, result.steps) == ("max_steps", 60)
    assert result.step < 60
    assert BatchLoss(trainer.model).evaluate(made.validation()) == result.val_loss


def test_the_last_weights_stay_where_that_is_asked(tiny) -> None:
    steps, result, trainer = overfitting(made := tiny(), restore_best=False)
    assert (result.step, result.val_loss) == (60, steps[-1].val_loss)
    assert result.val_loss > min(s.val_loss for s in steps if s.val_loss)
    assert BatchLoss(trainer.model).evaluate(made.validation()) == result.val_loss


def test_of_equal_evaluations_the_first_is_the_best(tiny) -> None:
    """A rate so small that nothing moves."""
    made = tiny()
    settings = {"eval_interval": 1, "patience": 3, "max_steps": 9}
    steps, result, _ = trained(made, settings=settings, validation=made.validation(), optimizer=SGD(lr=1e-300))
    assert len({s.val_loss for s in steps}) == 1
    assert (result.step, result.steps, result.stopped_by) == (1, 4, "patience")


def test_frozen_parameters_stay(tiny, weights) -> None:
    made = tiny()
    model = made.model()
    model.wpe.weight.requires_grad = False
    before = weights(model)
    trained(made, model=model)
    changed = {name for name, w in weights(model).items() if w != before[name]}
    assert changed == before.keys() - {"wpe.weight"}


def test_max_steps_is_1000_unless_minutes_are_given() -> None:
    assert TrainSettings().max_steps == 1000
    assert TrainSettings(minutes=2).max_steps is None
    assert TrainSettings(minutes=2, max_steps=7).max_steps == 7
    with pytest.raises(ConfigurationError, match="max_steps: found 0"):
        TrainSettings(max_steps=0)
    with pytest.raises(ConfigurationError, match="minutes: found 0"):
        TrainSettings(minutes=0)


@pytest.mark.parametrize(
    ("max_steps", "expected"),
    [(None, (15, "minutes")), (20, (15, "minutes")), (15, (15, "max_steps")), (7, (7, "max_steps"))],
)
def test_minutes_end_it(tiny, clock: Clock, max_steps: int | None, expected: tuple[int, str]) -> None:
    """At four seconds a step, a minute is fifteen steps."""
    trainer = tiny().trainer(settings={"minutes": 1.0, "max_steps": max_steps})
    clock.slow_down(trainer)
    result = trainer.train()
    assert (result.steps, result.stopped_by) == expected
    assert result.seconds == 4.0 * result.steps


@pytest.mark.parametrize(
    ("batching", "epochs", "more", "steps"),
    [
        ("documents", 1.0, {}, 3),  # ten documents, four a batch
        ("documents", 2.0, {}, 5),
        ("documents", 0.1, {}, 1),
        ("documents", 2.0, {"accumulation": 2}, 3),
        ("documents", 2.0, {"max_steps": 4}, 4),
        ("packed", 1.0, {}, 2),  # 47 targets, 24 places
        ("random_window", 1.0, {}, 2),
    ],
)
def test_epochs_end_it(tiny, batching: str, epochs: float, more: dict[str, int], steps: int) -> None:
    made = tiny()
    trainer = made.trainer(settings={"max_steps": None, "epochs": epochs, **more})
    trainer.batches = made.batches(4, batching)
    result = trainer.train()
    assert (result.steps, result.stopped_by) == (steps, "max_steps")


def test_with_minutes_the_schedule_follows_the_clock(tiny, clock: Clock) -> None:
    """The rate is down when the time is over, although nobody said how many steps there would be."""
    steps = []
    settings = {"minutes": 1.0, "max_steps": None}
    trainer = tiny().trainer(settings=settings, schedule=Linear(), optimizer=SGD(lr=0.3), on_step=steps.append)
    clock.slow_down(trainer)
    trainer.train()
    assert [s.lr for s in steps] == pytest.approx([0.3 * (1 - i / 15) for i in range(15)])
    assert {s.max_steps for s in steps} == {15}
    assert [s.seconds_left for s in steps] == pytest.approx([60.0 - 4.0 * s.step for s in steps])


def test_a_clock_too_coarse_to_see_a_step_does_no_harm(tiny, clock: Clock) -> None:
    steps = []
    trainer = tiny().trainer(settings={"minutes": 1.0, "max_steps": 3}, on_step=steps.append)
    trainer.train()
    assert [(s.max_steps, s.seconds_left) for s in steps] == [(3, 0.0)] * 3


def test_a_budget_of_steps(clock: Clock) -> None:
    spent = Budget(10, None)
    assert (spent.steps(0), spent.spent(9), spent.spent(10)) == (10, None, "max_steps")
    clock.wait()
    assert spent.seconds_left(2) == 16.0  # eight more at two seconds


def test_a_budget_of_minutes(clock: Clock) -> None:
    spent = Budget(None, 0.5)
    assert spent.steps(0) == 1  # nothing is known yet
    clock.wait()
    assert (spent.steps(2), spent.seconds_left(2), spent.spent(2)) == (15, 26.0, None)
    clock.now += 27.0
    assert (spent.steps(20), spent.seconds_left(20), spent.spent(20)) == (21, 0.0, "minutes")


def test_a_budget_of_both(clock: Clock) -> None:
    spent = Budget(10, 0.5)
    clock.wait()
    assert (spent.steps(2), spent.seconds_left(2)) == (10, 16.0)
    assert (spent.steps(1), spent.seconds_left(1)) == (7, 26.0)


def test_the_last_step_says_so(tiny) -> None:
    steps, _, _ = overfitting(tiny(), patience=1)
    assert steps[-1].max_steps == steps[-1].step < 60
    assert steps[-1].seconds_left == 0.0
    assert {s.max_steps for s in steps[:-1]} == {60}


def test_replays_and_eager_training_are_the_same_bits(tiny) -> None:
    """The trainer's plans against the same step computed op by op."""
    made = tiny()
    trainer = made.trainer(settings={"max_steps": 3}, optimizer=AdamW(lr=0.05))
    eager = made.trainer(settings={"max_steps": 3}, optimizer=AdamW(lr=0.05))
    trainer.train()
    for step in range(3):
        batch = eager.batches.batch(step)
        ops.zero(eager.model.gradients)  # which the plans compute anew
        eager.loss.step(*eager.loss.inputs(batch, 1.0 / batch.n_targets))
        eager.update.step(*eager.update.inputs(0.05, step))
    for (name, a), b in zip(trainer.model.state().items(), eager.model.state().values()):
        assert flat(a).tolist() == flat(b).tolist(), name
