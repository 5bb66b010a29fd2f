"""How far a training is: what its last step was, what a checkpoint has to say of it, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any, Self


@dataclass
class Step:
    """One step. Losses are in nats per target."""

    step: int  # from 1
    tokens: int  # targets trained on so far
    train_loss: float  # not finite, as grad_norm, where the step was skipped
    lr: float
    grad_norm: float
    val_loss: float | None = None  # of the average of the weights, where the optimizer keeps one
    raw_loss: float | None = None  # of the weights themselves then
    max_steps: int = 0  # how many there will be; with `minutes`, probably
    seconds: float = 0.0  # of this step, evaluation and checkpoint left out
    seconds_left: float = 0.0
    step_tokens: int = 0
    flops: int = 0
    recomputed: int = 0  # of these, what a plan with more memory would do without
    peak: float | None = None  # FLOP/s of this machine, where they are known

    def metrics(self) -> dict[str, Any]:
        """The same at every run of the same configuration. What isn't finite, JSON doesn't know."""
        values = {
            "step": self.step, "tokens": self.tokens, "train/loss": self.train_loss, "val/loss": self.val_loss,
            "val/raw_loss": self.raw_loss, "lr": self.lr, "grad_norm": self.grad_norm,
        }  # fmt: skip
        return {name: value for name, value in values.items() if value is not None and isfinite(value)}

    @classmethod
    def of(cls, metrics: Mapping[str, Any]) -> Self:
        """The step that has these metrics."""
        return cls(
            step=metrics["step"], tokens=metrics["tokens"], train_loss=metrics.get("train/loss", nan),
            lr=metrics["lr"], grad_norm=metrics.get("grad_norm", nan), val_loss=metrics.get("val/loss"),
            raw_loss=metrics.get("val/raw_loss"),
        )  # fmt: skip

    @property
    def tokens_per_second(self) -> float:
        """0 where the clock saw no time pass, as in a step that a checkpoint was made in the middle of."""
        return self.step_tokens / self.seconds if self.seconds else 0.0

    @property
    def mfu(self) -> float | None:
        """Model FLOPs utilisation: which share of the peak the step reached, without what it computed twice to save
        memory (Chowdhery et al., PaLM, 2022, appendix B). None where the peak isn't known.
        """
        return (self.flops - self.recomputed) / self.seconds / self.peak if self.peak and self.seconds else None

    def timings(self) -> dict[str, Any]:
        """Never the same. `mfu` is there where the machine's peak is known."""
        return {
            "step": self.step, "step_ms": round(self.seconds * 1e3, 3),
            "tokens_per_s": round(self.tokens_per_second, 1),
            "gflops_per_s": round(self.flops / self.seconds / 1e9, 6),
            **({} if self.mfu is None else {"mfu": round(self.mfu, 7)}),
        }  # fmt: skip


@dataclass
class Progress:
    """Where a training stands: what a checkpoint needs to go on from besides tensors. It goes into `trainer.json`."""

    step: int = 0
    tokens: int = 0
    left_out: int = 0  # batches that rollbacks went past: the next one is that of step + left_out
    best_loss: float | None = None
    best_step: int = 0
    evaluations_since_best: int = 0
    evaluations: list[tuple[int, float]] = field(default_factory=list)  # (step, validation loss), for the schedule
    last: Mapping[str, Any] | None = None  # the metrics of the step made last
    logged: bool = True  # whether it has been evaluated, where that is due, and written down


@dataclass
class Result:
    """How training ended. `step` and `val_loss` are those of the weights that the model now has.

    With `restore_best` they are the best evaluation's, otherwise the last step's. `steps` is how many were
    made, `train_loss` the last one's.
    """

    step: int
    train_loss: float
    val_loss: float | None
    stopped_by: str  # "max_steps", "minutes", "patience", a callback's name, or "signal": there is a checkpoint then
    seconds: float
    steps: int
