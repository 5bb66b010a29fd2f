"""The trainer: loss, gradients, update, over and over, with a look at the validation text now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

from microgpt_core.components import Analyzer, Op, Optimizer, Schedule, Tokenizer
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.errors import NonFiniteError
from microgpt_core.models.model import Model
from microgpt_core.text.batch import Batch
from microgpt_core.text.batches import Batches
from microgpt_core.training.budget import Budget
from microgpt_core.training.checkpoint import checkpoint_path, checkpoints, rotate, save_checkpoint, save_model
from microgpt_core.training.diagnosis import first_computed, first_stored
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.metrics import MetricsLog
from microgpt_core.training.observers import Observers
from microgpt_core.training.settings import TrainSettings
from microgpt_core.training.update import Update


@dataclass
class Step:
    """What happened in one step. Losses are in nats per target."""

    step: int  # from 1
    max_steps: int  # how many there will be; with `minutes`, probably
    tokens: int  # targets trained on so far
    train_loss: float
    val_loss: float | None
    lr: float
    grad_norm: float
    seconds: float  # of this step, evaluation and checkpoint left out
    step_tokens: int
    flops: int
    seconds_left: float

    def metrics(self) -> dict[str, Any]:
        """The same at every run of the same configuration."""
        return {
            "step": self.step, "tokens": self.tokens, "train/loss": self.train_loss, "val/loss": self.val_loss,
            "lr": self.lr, "grad_norm": self.grad_norm,
        }  # fmt: skip

    def timings(self) -> dict[str, Any]:
        return {
            "step": self.step, "step_ms": round(self.seconds * 1e3, 3),
            "tokens_per_s": round(self.step_tokens / self.seconds, 1),
            "gflops_per_s": round(self.flops / self.seconds / 1e9, 6),
        }  # fmt: skip


@dataclass
class Result:
    """How training ended. `step` and `val_loss` are those of the weights that the model now has.

    With `restore_best` they are the best evaluation's, otherwise the last step's. `steps` is how many were
    made, `train_loss` the last one's.
    """

    step: int
    train_loss: float
    val_loss: float | None
    stopped_by: str  # "max_steps", "minutes" or "patience"
    seconds: float
    steps: int


class Trainer:
    """Trains a model in place. With a `folder` it keeps metrics and checkpoints there.

    `on_step` is called after every step. `saved` (the run's random state, say) goes into each checkpoint,
    `about` (versions, the run's name) into each model's config. `analyzers`, by name, look on; `origins` says where
    they come from.

    Raises NonFiniteError, naming the first tensor that isn't finite: a step whose loss or gradients aren't
    changes no weight, and no checkpoint ever holds infinity or NaN.
    """

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        batches: Batches,
        optimizer: Optimizer,
        schedule: Schedule,
        settings: TrainSettings,
        *,
        validation: Sequence[Batch] = (),
        kernels: Kernels = REFERENCE,
        update_op: Op | None = None,
        folder: Path | None = None,
        on_step: Callable[[Step], None] | None = None,
        saved: dict[str, Any] | None = None,
        about: dict[str, str] | None = None,
        analyzers: Mapping[str, Analyzer] | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self.model, self.tokenizer, self.batches, self.schedule = model, tokenizer, batches, schedule
        self.optimizer, self.settings, self.validation, self.folder = optimizer, settings, validation, folder
        self.on_step, self.saved, self.about = on_step, saved or {}, about or {}
        self.observers = Observers(analyzers or {}, origins)
        self.loss = BatchLoss(
            model,
            settings.label_smoothing,
            kernels,
            recompute=settings.recompute,
            seed=batches.seed,
            watch=self.observers.watch,
        )
        self.update = Update(model, optimizer, settings.grad_clip, kernels, update_op)
        self.update.allocate()
        self.step = self.tokens = self.evaluations_since_best = self.best_step = 0
        self.best_loss = inf
        self._best_weights: list[bytearray] = []

    def train(self) -> Result:
        """Train until `max_steps`, `minutes` or `patience` ends it, and put the best weights back."""
        self.require_finite()
        budget = Budget(self.settings.max_steps, self.settings.minutes)
        with MetricsLog(self.folder) as log:
            last, stopped_by = self.take_steps(budget, log)
        step, val_loss = last.step, last.val_loss
        if self._best_weights:
            self.restore_best()
            step, val_loss = self.best_step, self.best_loss
        if self.folder:
            save_model(self.folder / "model", self.model, self.tokenizer, self.about_step(step))
        return Result(step, last.train_loss, val_loss, stopped_by, budget.seconds, last.step)

    def take_steps(self, budget: Budget, log: MetricsLog) -> tuple[Step, str]:
        """Step after step, with what is due after each. Returns the last one and what ended it."""
        while True:
            last = self.one_step(budget)
            stopped_by = budget.spent(self.step)
            if self.validation and self.is_due(self.settings.eval_interval, stopped_by):
                last.val_loss = self.evaluate()
                if self.evaluations_since_best >= (self.settings.patience or inf):
                    stopped_by = stopped_by or "patience"
            if stopped_by:
                last.max_steps, last.seconds_left = self.step, 0.0
            log.write(last.metrics(), last.timings())
            if self.on_step:
                self.on_step(last)
            if stopped_by or self.is_due(self.settings.checkpoint_interval):
                self.save()
            if stopped_by:
                return last, stopped_by

    def is_due(self, interval: int, stopped_by: str | None = None) -> bool:
        """Whether now is the time for what is done every `interval` steps (0: never) and at the end."""
        return interval > 0 and (stopped_by is not None or self.step % interval == 0)

    def one_step(self, budget: Budget) -> Step:
        """Forward and backward over the window's batches, then the update."""
        n = self.settings.accumulation
        window = [self.batches.batch(self.step * n + i) for i in range(n)]
        lr = self.optimizer.lr * self.schedule.factor(self.step, budget.steps(self.step))
        start = time.perf_counter()
        loss = self.loss.train(window, self.step)
        grad_norm = self.update(lr, self.step) if isfinite(loss) else nan  # where this isn't finite, nothing moved
        seconds = time.perf_counter() - start
        if not isfinite(grad_norm):
            name = first_stored(self.update) or first_computed(self.loss, self.update, window, self.step)
            raise self.non_finite(self.step + 1, f"{name} isn't finite (loss {loss:g}), so this step changed no weight")
        step_tokens = sum(batch.n_targets for batch in window)
        self.step += 1
        self.tokens += step_tokens
        self.observers.observe(self.step, self.loss.watched)
        return Step(
            step=self.step,
            max_steps=budget.steps(self.step),
            tokens=self.tokens,
            train_loss=loss,
            val_loss=None,
            lr=lr,
            grad_norm=grad_norm,
            seconds=seconds,
            step_tokens=step_tokens,
            flops=self.loss.flops + self.update.plan.plan.flops,
            seconds_left=budget.seconds_left(self.step),
        )

    def evaluate(self) -> float:
        """The loss on the validation text; where it is the best so far, the weights are remembered."""
        loss = self.loss.evaluate(islice(self.validation, self.settings.eval_batches))
        if not isfinite(loss):
            self.require_finite()
            raise self.non_finite(self.step, f"the validation loss is {loss:g}, though every weight is finite")
        self.evaluations_since_best += 1
        if loss < self.best_loss:
            self.best_loss, self.best_step, self.evaluations_since_best = loss, self.step, 0
            self.remember_best()
        return loss

    def remember_best(self) -> None:
        """Keep the weights as they are now, in memory for `restore_best`, and in the folder."""
        if self.settings.restore_best:
            if not self._best_weights:
                self._best_weights = [bytearray(p.data.nbytes) for p in self.model.parameters()]
            for weights, p in zip(self._best_weights, self.model.parameters(), strict=True):
                weights[:] = p.data
        if self.folder:
            self.require_finite()
            save_model(self.folder / "checkpoints" / "best", self.model, self.tokenizer, self.about_step(self.step))

    def restore_best(self) -> None:
        """Put the weights with the lowest validation loss back."""
        for p, weights in zip(self.model.parameters(), self._best_weights, strict=True):
            p.data.cast("B")[:] = weights

    def save(self) -> None:
        """Check the state, and save it where there is a folder; the oldest beyond `keep_checkpoints` goes."""
        self.require_finite()
        if self.folder is None:
            return
        state = {
            "step": self.step,
            "tokens": self.tokens,
            "best": {"loss": self.best_loss, "step": self.best_step} if self.best_step else None,
            "evaluations_since_best": self.evaluations_since_best,
            **self.saved,
        }
        path = checkpoint_path(self.folder, self.step)
        save_checkpoint(path, self.model, self.tokenizer, self.update, state, self.about_step(self.step))
        rotate(self.folder, self.settings.keep_checkpoints)

    def about_step(self, step: int) -> dict[str, str]:
        return {**self.about, "step": str(step)}

    def require_finite(self) -> None:
        """Raise NonFiniteError where a weight or the optimizer's state isn't finite."""
        if name := first_stored(self.update):
            raise self.non_finite(self.step, f"{name} isn't finite")

    def non_finite(self, step: int, what: str) -> NonFiniteError:
        """The error that says what happened, what is still good, and what to try."""
        saved = checkpoints(self.folder) if self.folder else []
        good = f" The last good checkpoint is {saved[-1]}." if saved else ""
        return NonFiniteError(
            f"step {step}: {what}.{good} Try a smaller optimizer.lr (now {self.optimizer.lr:g}), "
            "a longer schedule.warmup_steps, or train.grad_clip: 1.0"
        )
