"""The trainer: loss, gradients, update, over and over, with a look at the validation text now and then."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import islice
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

from microgpt_core import ops
from microgpt_core.components import Analyzer, Buffer, Callback, Op, Optimizer, Schedule, Tokenizer
from microgpt_core.components.buffer import new_buffer
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.errors import NonFiniteError
from microgpt_core.models.model import Model
from microgpt_core.saving import checkpoint as saving
from microgpt_core.saving.metrics_log import METRICS, TIMINGS, MetricsLog
from microgpt_core.saving.model_folder import blaming, copy
from microgpt_core.text.batch import Batch, BatchSource
from microgpt_core.training.budget import Budget
from microgpt_core.training.diagnosis import first_computed, first_stored
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.observers import Observers
from microgpt_core.training.progress import Progress, Result, Step
from microgpt_core.training.settings import TrainSettings
from microgpt_core.training.update import Update


class Interruption(Exception):
    """A signal came in the middle of an evaluation."""


MOST_SKIPPED = 10  # steps in a row that weren't finite: more is no accident
MOST_ROLLBACKS = 3  # to the same checkpoint
logger = logging.getLogger(__name__)


class Trainer:
    """Trains a model in place. With a `folder` it keeps metrics and checkpoints there.

    `on_step` is called after every step. `saved` (the run's random state, say) goes into each checkpoint,
    `about` (versions, the run's name) into each model's config. `analyzers`, by name, look on, and `callbacks` may end
    it; `origins` says where both come from. Where `interrupted` says so, training ends after the step that is being
    made, with a checkpoint of it. `peak` is what the machine could do, in FLOP/s, for a step's `mfu`.

    Raises NonFiniteError, naming the first tensor that isn't finite: a step whose loss or gradients aren't
    changes no weight, and no checkpoint ever holds infinity or NaN.
    """

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        batches: BatchSource,
        optimizer: Optimizer,
        schedule: Schedule,
        settings: TrainSettings,
        *,
        validation: Sequence[Batch] = (),
        kernels: Kernels = REFERENCE,
        update_ops: Mapping[str, Op] = ops.OPS,
        folder: Path | None = None,
        on_step: Callable[[Step], None] | None = None,
        saved: dict[str, Any] | None = None,
        about: dict[str, str] | None = None,
        analyzers: Mapping[str, Analyzer] | None = None,
        callbacks: Mapping[str, Callback] | None = None,
        origins: Mapping[str, str] | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        peak: float | None = None,
    ) -> None:
        self.model, self.tokenizer, self.batches, self.schedule, self.peak = model, tokenizer, batches, schedule, peak
        self.optimizer, self.settings, self.validation, self.folder = optimizer, settings, validation, folder
        self.on_step, self.saved, self.about, self.interrupted = on_step, saved or {}, about or {}, interrupted
        self.observers = Observers(analyzers or {}, callbacks or {}, origins)
        self.loss = BatchLoss(
            model, settings.label_smoothing, kernels, recompute=settings.recompute,
            accumulates=settings.accumulation > 1, seed=batches.seed, watch=self.observers.watch,
        )  # fmt: skip
        self.update = Update(model, optimizer, settings.grad_clip, kernels, update_ops, settings.accumulation > 1)
        self.update.allocate()
        self.at = Progress()
        self.last: Step | None = None  # the step made last
        self.stopped_by: str | None = None
        self.skipped_in_a_row = self.rollbacks = 0  # since the last step that was finite, and the last save
        self.best: dict[str, Buffer] = {}  # the best weights so far, where they are to come back
        self.log = MetricsLog(None)

    def train(self) -> Result:
        """Train until `max_steps`, `minutes` or `patience` ends it, and put the best weights back."""
        self.require_finite()
        with MetricsLog(self.folder, self.at.step, self.at.logged) as self.log:
            most_steps = self.settings.most_steps(self.batches.per_epoch)
            budget = Budget(most_steps, self.settings.minutes, self.log.elapsed)
            if self.last:  # restored
                self.rotate()  # what it was killed in the middle of, perhaps
                if self.at.logged:  # and perhaps at its end
                    self.stopped_by = self.over(budget) or self.observers.ask(self.last.metrics()).get("stop")
            if self.settings.on_non_finite == "rollback" and not self.last:
                self.save()  # to go back to
            while not self.stopped_by:
                if not self.at.logged or self.make_step(budget):
                    self.finish_step(budget)
        last, step = self.last, self.at.step
        assert last is not None  # a step was made, or restored
        val_loss = last.val_loss
        if self.stopped_by != "signal":
            copy(self.best or self.model.state() | self.update.average(), self.model.state())
            if self.best:
                step, val_loss = self.at.best_step, self.at.best_loss
            if self.folder:
                saving.save_model(self.folder / "model", self.model, self.tokenizer, self.about_step(step))
        return Result(step, last.train_loss, val_loss, self.stopped_by, budget.seconds, self.at.step)

    def over(self, budget: Budget) -> str | None:
        """What has ended training, if anything has."""
        too_many = self.at.evaluations_since_best >= (self.settings.patience or inf)
        return budget.spent(self.at.step) or ("patience" if too_many else None)

    def is_due(self, interval: int, at_end: str | None) -> bool:
        """Whether now is the time for what is done every `interval` steps (0: never) and at the end."""
        return interval > 0 and (at_end is not None or self.at.step % interval == 0)

    def make_step(self, budget: Budget) -> bool:
        """The next step, as far as its update. False after a rollback, perhaps to a step that has to be finished."""
        made = self.one_step(budget)
        if made is None:
            return False
        self.last, self.at.logged = made, False
        self.log.write(TIMINGS, made.timings() | {"elapsed_s": round(budget.seconds, 3)})
        return True

    def finish_step(self, budget: Budget) -> None:
        """What is due after a step: evaluation, a line in the log, a checkpoint. After a signal, only that."""
        last, at_end = self.last, budget.spent(self.at.step)
        assert last is not None
        last.max_steps = last.max_steps or budget.steps(self.at.step)  # of a restored one they aren't known
        try:
            self.stop_if_interrupted()
            if self.validation and self.is_due(self.settings.eval_interval, at_end):
                last.val_loss = self.evaluate()
        except Interruption:
            self.stopped_by = "signal"
            self.save()
            return
        metrics = last.metrics()
        asked = self.observers.ask(metrics)
        self.stopped_by = at_end or self.over(budget) or asked.get("stop")
        if self.stopped_by:
            last.max_steps, last.seconds_left = self.at.step, 0.0
        self.log.write(METRICS, metrics)
        self.at.logged = True
        if self.on_step:
            self.on_step(last)
        if self.stopped_by or "save" in asked or self.is_due(self.settings.checkpoint_interval, None):
            self.save()

    def stop_if_interrupted(self) -> None:
        if self.interrupted():
            raise Interruption

    def one_step(self, budget: Budget) -> Step | None:
        """Forward and backward over the window's batches, then the update; None after a rollback."""
        n, step = self.settings.accumulation, self.at.step
        window = [self.batches.batch((step + self.at.left_out) * n + i) for i in range(n)]
        self.schedule.evaluations = self.at.evaluations
        lr = self.optimizer.lr * self.schedule.factor(step, budget.steps(step))
        start = time.perf_counter()
        loss = self.loss.train(window, step)
        grad_norm = self.update(lr, step) if isfinite(loss) else nan  # where this isn't finite, nothing moved
        seconds = time.perf_counter() - start
        if isfinite(grad_norm):
            self.skipped_in_a_row = 0
        elif not self.survives(loss, window):
            return None
        step_tokens = sum(batch.n_targets for batch in window)
        self.at.step += 1
        self.at.tokens += step_tokens
        self.observers.observe(self.at.step, self.loss.watched)
        return Step(
            step=self.at.step, tokens=self.at.tokens, train_loss=loss, lr=lr, grad_norm=grad_norm,
            max_steps=budget.steps(self.at.step), seconds=seconds, seconds_left=budget.seconds_left(self.at.step),
            step_tokens=step_tokens, flops=self.loss.flops + self.update.plan.plan.flops,
            recomputed=self.loss.recomputed, peak=self.peak,
        )  # fmt: skip

    def survives(self, loss: float, window: Sequence[Batch]) -> bool:
        """After a step that isn't finite: True where it is skipped, False after a rollback.

        Raises NonFiniteError where the settings want that, or neither has helped for too long.
        """
        stored, step = first_stored(self.update), self.at.step + 1
        name = stored or first_computed(self.loss, self.update, window, self.at.step)
        what = f"{name} isn't finite (loss {loss:g}), so this step changed no weight"
        policy = self.settings.on_non_finite
        checkpoint = saving.newest_checkpoint(self.folder) if self.folder and policy == "rollback" else None
        if policy == "skip" and not stored and self.skipped_in_a_row < MOST_SKIPPED:
            self.skipped_in_a_row += 1
            logger.warning("step %d: %s; it is skipped", step, what)
            return True
        if checkpoint and self.rollbacks < MOST_ROLLBACKS:
            logger.warning("step %d: %s; going back to %s, and past the batches since", step, what, checkpoint)
            past = self.at.left_out + step
            self.restore(checkpoint)
            self.at.left_out = past - self.at.step
            self.log.cut(self.at.step, self.at.logged)
            self.rollbacks += 1
            return False
        raise self.non_finite(step, what)

    def evaluate(self) -> float:
        """The loss on the validation text; where it is the best so far, the weights are remembered.

        Where the optimizer keeps an average of the weights, that is what is measured and remembered.
        """
        if self.optimizer.average and self.last:
            self.last.raw_loss = self.validation_loss()
        with self.update.averaged():
            loss = self.validation_loss()
            self.at.evaluations_since_best += 1
            if self.at.best_loss is None or loss < self.at.best_loss:
                self.at.best_loss, self.at.best_step, self.at.evaluations_since_best = loss, self.at.step, 0
                self.remember_best()
        self.at.evaluations.append((self.at.step, loss))
        return loss

    def validation_loss(self) -> float:
        loss = self.loss.evaluate(self.watching(islice(self.validation, self.settings.eval_batches)))
        if not isfinite(loss):
            self.require_finite()
            raise self.non_finite(self.at.step, f"the validation loss is {loss:g}, though every weight is finite")
        return loss

    def watching(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, unless a signal comes before the last is done."""
        for batch in batches:
            yield batch
            self.stop_if_interrupted()

    def remember_best(self) -> None:
        """Keep the weights as they are now, in memory for `restore_best`, and in the folder."""
        if self.settings.restore_best:
            self.best = self.best or {name: new_buffer(x.shape, x.format) for name, x in self.model.state().items()}
            copy(self.model.state(), self.best)
        if self.folder:
            self.require_finite()
            folder = self.folder / "checkpoints" / "best"
            saving.save_model(folder, self.model, self.tokenizer, self.about_step(self.at.step))

    def save(self) -> None:
        """Check the state, and save it where there is a folder; the oldest beyond `keep_checkpoints` goes."""
        self.require_finite()
        if self.folder is None:
            return
        self.log.sync()
        self.at.last = self.last.metrics() if self.last else None
        path = saving.checkpoint_path(self.folder, self.at.step)
        best = self.best if self.at.best_step < self.at.step else {}
        state, about = vars(self.at) | self.saved, self.about_step(self.at.step)
        saving.save_checkpoint(path, self.model, self.tokenizer, self.update.buffers(), state, about, best)
        self.rotate()
        self.rollbacks = 0

    def rotate(self) -> None:
        """Delete the oldest checkpoints, beyond `keep_checkpoints`."""
        if self.folder is not None and saving.checkpoints(self.folder):
            saving.rotate(self.folder, self.settings.keep_checkpoints, self.settings.checkpoint_interval)

    def restore(self, checkpoint: Path) -> None:
        """Go on from a checkpoint, with the same bits as if nothing had come between.

        Raises CheckpointError for a damaged one, and for one of another model, tokenizer or optimizer.
        """
        best = {name: new_buffer(x.shape, x.format) for name, x in self.model.state().items()}
        state = saving.read_checkpoint(checkpoint, self.model, self.tokenizer, self.update.buffers(), best)
        ops.zero(self.model.gradients)  # a step that failed may have left NaN there
        with blaming(checkpoint / saving.TRAINER):
            self.at = Progress(**{field.name: state[field.name] for field in fields(Progress)})
            self.at.evaluations = [(step, loss) for step, loss in self.at.evaluations]  # lists, as JSON has them
            self.last = Step.of(self.at.last) if self.at.last else None
        if self.at.best_step == self.at.step:
            with self.update.averaged():
                copy(self.model.state(), best)
        self.best = best if self.at.best_step and self.settings.restore_best else {}

    def about_step(self, step: int) -> dict[str, str]:
        return {**self.about, "step": str(step)}

    def require_finite(self) -> None:
        """Raise NonFiniteError where a weight or the optimizer's state isn't finite."""
        if name := first_stored(self.update):
            raise self.non_finite(self.at.step, f"{name} isn't finite")

    def non_finite(self, step: int, what: str) -> NonFiniteError:
        """The error that says what happened, what is still good, and what to try."""
        saved = saving.checkpoints(self.folder) if self.folder else []
        good = f" The last good checkpoint is {saved[-1]}." if saved else ""
        return NonFiniteError(
            f"step {step}: {what}.{good} Try a smaller optimizer.lr (now {self.optimizer.lr:g}), "
            "a longer schedule.warmup_steps, or train.grad_clip: 1.0"
        )
