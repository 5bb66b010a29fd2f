"""What the `train:` section of a pipeline says: how long, in what portions, and what is kept."""

from dataclasses import dataclass
from math import ceil, isfinite
from typing import Literal

from microgpt_core.errors import require


@dataclass
class TrainSettings:
    """How long to train, in what portions, and what is kept. A step is one update of the parameters.

    Fields:
        max_steps: steps to make; null: as many as `minutes` and `epochs` allow, or 1000 where they are null too
        minutes: stop after this time, however few steps were made; null: it may take any
        epochs: stop after going through the text so often; with random windows, after as many tokens; null: any
        batch_size: rows of a batch; with `packed`, blocks of tokens
        batching: what a batch is made of; null: documents, or windows where the dataset is one long text
        shuffle: a new order for each epoch, or the first one's again
        accumulation: batches that one step averages over
        grad_clip: largest norm of all gradients together; null: any
        label_smoothing: the part of each target that is spread evenly over all tokens
        eval_interval: steps between evaluations; 0: never
        eval_batches: batches of an evaluation; null: all of the validation split
        patience: stop after this many evaluations without improvement; null: never
        restore_best: end with the parameters of the best evaluation, not with the last ones
        checkpoint_interval: steps between checkpoints; 0: only at the end
        keep_checkpoints: how many of the newest checkpoints stay, besides the best
        on_non_finite: what happens where a loss or a gradient isn't finite: stop; skip the step; or rollback, back to
            the newest checkpoint and past the batches since then
        recompute: blocks whose values backward computes again, this many at a time, instead of keeping them: less
            memory, the same numbers, up to a third more FLOPs; 0: none. As many as there are save next to nothing
    """

    max_steps: int | None = None
    minutes: float | None = None
    epochs: float | None = None
    batch_size: int = 8
    batching: Literal["documents", "packed", "random_window"] | None = None
    shuffle: Literal["epoch", "once"] = "epoch"
    accumulation: int = 1
    grad_clip: float | None = 1.0
    label_smoothing: float = 0.0
    eval_interval: int = 100
    eval_batches: int | None = None
    patience: int | None = None
    restore_best: bool = True
    checkpoint_interval: int = 200
    keep_checkpoints: int = 2
    on_non_finite: Literal["stop", "skip", "rollback"] = "stop"
    recompute: int = 0

    def most_steps(self, batches_per_epoch: float) -> int | None:
        """How many steps there will be at most; None where only the clock ends it."""
        by_text = None if self.epochs is None else max(1, ceil(self.epochs * batches_per_epoch / self.accumulation))
        known = [steps for steps in (self.max_steps, by_text) if steps is not None]
        return min(known, default=None)

    def __post_init__(self) -> None:
        for field in ("max_steps", "batch_size", "accumulation", "eval_batches", "patience", "keep_checkpoints"):
            value = getattr(self, field)
            require(value is None or value >= 1, field, value, "1 or more")
        if self.max_steps is None and self.minutes is None and self.epochs is None:
            self.max_steps = 1000
        for field in ("eval_interval", "checkpoint_interval"):
            value = getattr(self, field)
            require(value >= 0, field, value, "1 or more, or 0 for never")
        for field in ("minutes", "epochs", "grad_clip"):
            value = getattr(self, field)
            require(value is None or (isfinite(value) and value > 0), field, value, "more than 0, or null")
        require(self.recompute >= 0, "recompute", self.recompute, "1 or more blocks, or 0 for none")
        require(0 <= self.label_smoothing < 1, "label_smoothing", self.label_smoothing, "0 to 1, without 1")
