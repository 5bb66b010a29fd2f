"""The trainer: loss, gradients, update, over and over, with a look at the validation text now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf, isfinite
from pathlib import Path
from typing import Any

from microgpt_core.components import Op, Optimizer, Schedule, Tokenizer
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.errors import NonFiniteError
from microgpt_core.models.model import Model
from microgpt_core.text.batch import Batch
from microgpt_core.text.batches import Batches
from microgpt_core.training.checkpoint import checkpoint_path, rotate, save_checkpoint, save_model
from microgpt_core.training.diagnosis import first_non_finite
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.metrics import MetricsLog
from microgpt_core.training.settings import TrainSettings
from microgpt_core.training.update import Update


@dataclass
class Step:
    """What happened in one step. Losses are in nats per target."""

    step: int  # from 1
    max_steps: int  # with `minutes`, as many as they will probably allow
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
    """How training ended. `val_loss` and `step` are those of the weights that the model now has."""

    step: int
    train_loss: float
    val_loss: float | None
    stopped_by: str  # "max_steps", "minutes" or "patience"
    seconds: float


class Trainer:
    """Trains a model in place. With a `folder` it keeps metrics and checkpoints there.

    `on_step` is called after every step. `saved` (the run's random state, say) goes into each checkpoint,
    `about` (versions, the run's name) into each model's config. Raises NonFiniteError, naming the first tensor
    that isn't finite, before any weight has taken such a value.
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
    ) -> None:
        self.model, self.tokenizer, self.batches, self.schedule = model, tokenizer, batches, schedule
        self.optimizer, self.settings, self.validation, self.folder = optimizer, settings, validation, folder
        self.on_step, self.saved, self.about = on_step, saved or {}, about or {}
        self.loss = BatchLoss(model, settings.label_smoothing, kernels)
        self.update = Update(model, optimizer, settings.grad_clip, kernels, update_op)
        self.update.allocate()
        self.step = self.tokens = self.evaluations_since_best = self.best_step = 0
        self.best_loss = inf
        self._best_weights: list[bytes] = []

    def train(self) -> Result:
        """Train until `max_steps`, `minutes` or `patience` ends it, and put the best weights back."""
        log = MetricsLog(self.folder) if self.folder else None
        began, stopped_by, last = time.monotonic(), None, None
        try:
            while stopped_by is None:
                last = self.one_step(began)
                stopped_by = self.reason_to_stop(last, began)
                if self.evaluation_due(stopped_by):
                    last.val_loss = self.evaluate()
                    if self.settings.patience and self.evaluations_since_best >= self.settings.patience:
                        stopped_by = "patience"
                if log:
                    log.write(last.metrics(), last.timings())
                if self.on_step:
                    self.on_step(last)
                if self.folder and (stopped_by or self.step % self.settings.checkpoint_interval == 0):
                    self.save()
        finally:
            if log:
                log.close()
        assert last is not None
        step, val_loss = self.step, last.val_loss
        if self.settings.restore_best and self._best_weights:
            self.restore_best()
            step, val_loss = self.best_step, self.best_loss
        if self.folder:
            save_model(self.folder / "model", self.model, self.tokenizer, {**self.about, "step": str(step)})
        return Result(step, last.train_loss, val_loss, stopped_by, time.monotonic() - began)

    def one_step(self, began: float) -> Step:
        """Forward and backward over the window's batches, then the update."""
        window = [
            self.batches.batch(self.step * self.settings.accumulation + i) for i in range(self.settings.accumulation)
        ]
        max_steps = self.expected_steps(began)
        start = time.perf_counter()
        loss = self.loss.train(window)
        lr = self.optimizer.lr * self.schedule.factor(self.step, max_steps)
        grad_norm = self.update(lr, self.step)
        seconds = time.perf_counter() - start
        if not (isfinite(loss) and isfinite(grad_norm)):
            self.stop_for_non_finite(window, loss)
        step_tokens = sum(batch.n_targets for batch in window)
        self.step += 1
        self.tokens += step_tokens
        flops = self.loss.training.plan.flops * len(window) + self.update.plan.plan.flops
        left = (time.monotonic() - began) / self.step * max(0, max_steps - self.step)
        return Step(
            self.step, max_steps, self.tokens, loss, None, lr, grad_norm, seconds, step_tokens, flops, left
        )  # fmt: skip

    def expected_steps(self, began: float) -> int:
        """How many steps there will be: `max_steps`, or fewer where `minutes` will be over before."""
        limit, minutes = self.settings.max_steps or 10**12, self.settings.minutes
        if minutes is None:
            return limit
        elapsed = time.monotonic() - began
        share = elapsed / (60.0 * minutes)
        return min(limit, max(self.step + 1, round(self.step / share))) if self.step else limit

    def reason_to_stop(self, last: Step, began: float) -> str | None:
        if self.settings.minutes is not None and time.monotonic() - began >= 60.0 * self.settings.minutes:
            return "minutes"
        return "max_steps" if self.settings.max_steps is not None and self.step >= self.settings.max_steps else None

    def evaluation_due(self, stopped_by: str | None) -> bool:
        interval = self.settings.eval_interval
        return bool(self.validation) and bool(interval) and (stopped_by is not None or self.step % interval == 0)

    def evaluate(self) -> float:
        """The loss on the validation text; where it is the best so far, the weights are remembered."""
        batches: Iterable[Batch] = islice(self.validation, self.settings.eval_batches)
        loss = self.loss.evaluate(batches)
        self.evaluations_since_best += 1
        if loss < self.best_loss:
            self.best_loss, self.best_step, self.evaluations_since_best = loss, self.step, 0
            if self.settings.restore_best:
                self._best_weights = [bytes(p.data) for p in self.model.parameters()]
            if self.folder:
                about = {**self.about, "step": str(self.step)}
                save_model(self.folder / "checkpoints" / "best", self.model, self.tokenizer, about)
        return loss

    def restore_best(self) -> None:
        """Put the weights with the lowest validation loss back."""
        for p, weights in zip(self.model.parameters(), self._best_weights, strict=True):
            p.data.cast("B")[:] = weights

    def save(self) -> None:
        """A checkpoint of the whole state; the oldest beyond `keep_checkpoints` goes."""
        assert self.folder is not None
        best = {"loss": self.best_loss, "step": self.best_step} if self.best_step else None
        state = {
            "step": self.step, "tokens": self.tokens, "best": best,
            "evaluations_since_best": self.evaluations_since_best, **self.saved,
        }  # fmt: skip
        about = {**self.about, "step": str(self.step)}
        save_checkpoint(checkpoint_path(self.folder, self.step), self.model, self.tokenizer, self.update, state, about)
        rotate(self.folder, self.settings.keep_checkpoints)

    def stop_for_non_finite(self, window: Sequence[Batch], loss: float) -> None:
        """Raise NonFiniteError with the place where infinity or NaN came up first."""
        name = first_non_finite(self.loss, self.update, window)
        kept = f"the last checkpoint is in {self.folder / 'checkpoints'}" if self.folder else "the weights are as before"
        raise NonFiniteError(
            f"step {self.step + 1}: {name} isn't finite (loss {loss}); no weight was changed in this step, and {kept}. "
            f"Try a smaller optimizer.lr (now {self.optimizer.lr:g}), longer schedule.warmup_steps, or train.grad_clip: 1.0"
        )
