"""Cross-entropy: how surprised the model is by the next token, in nats.

    lse_t  = log sum_j exp(z_tj)                                   loss_t = lse_t - sum_j y_tj z_tj
    loss   = scale * sum_t loss_t                                  over the targets that aren't ignored (-1)
    d_z_tj += scale * d_loss * (softmax(z_t)_j - y_tj)

y_t is 1 at the target and 0 elsewhere; label smoothing s makes it (1 - s) of that plus s / V everywhere.
Without `scale` it is 1 / number of targets that count: the mean. A trainer that adds up several small
batches passes 1 / targets of the whole window instead, so that the window is averaged as one batch.
Nothing is saved: a log-sum-exp rounded to float32 would cost digits that taking it again does not.
"""

import warnings
from collections.abc import Sequence
from math import exp, log, prod

from microgpt_core.components import IGNORED, Buffer, Cost, Op, Shape, Shapes, accumulate, flat, rows, write
from microgpt_core.errors import DataError


class CrossEntropy(Op):
    integers = ("targets",)

    def shapes(
        self, logits: Shape, targets: Shape, scale: Shape | None = None, *, label_smoothing: float = 0.0
    ) -> Shapes:
        self.expect("targets", targets, logits[:-1])
        self.expect("scale", scale, (1,))
        return {"loss": (1,)}

    def forward(
        self, loss: Buffer, logits: Buffer, targets: Buffer, scale: Buffer | None, *, label_smoothing: float
    ) -> None:  # logits (..., V), targets (...), loss and scale (1,)
        ids = checked_targets(targets, logits.shape[-1])
        total = 0.0
        for row, target in zip(rows(logits).tolist(), ids):
            if target != IGNORED:
                top = max(row)
                lse = top + log(sum([exp(z - top) for z in row]))
                smooth = label_smoothing * (lse - sum(row) / len(row)) if label_smoothing else 0.0
                total += (1.0 - label_smoothing) * (lse - row[target]) + smooth
        write(loss, [total * window_scale(ids, scale)])

    def backward(
        self, d_logits: Buffer | None, d_loss: Buffer, logits: Buffer, targets: Buffer, scale: Buffer | None,
        *, label_smoothing: float,
    ) -> None:  # fmt: skip
        if d_logits is None:
            return
        ids, width = flat(targets).tolist(), logits.shape[-1]
        factor, values = d_loss[0] * window_scale(ids, scale), []
        for row, target in zip(rows(logits).tolist(), ids):
            if target == IGNORED:
                values += [0.0] * width
                continue
            top = max(row)
            powers = [exp(z - top) for z in row]
            share, rest = factor / sum(powers), factor * label_smoothing / width
            d = [share * p - rest for p in powers]
            d[target] -= factor * (1.0 - label_smoothing)
            values += d
        accumulate(d_logits, values)

    def cost(self, logits: Shape, targets: Shape, scale: Shape | None, *, label_smoothing: float) -> Cost:
        """Forward 3 per logit (subtract, exp, add); backward 5 (the same, scale, add)."""
        return {"forward": 3 * prod(logits), "backward": 5 * prod(logits)}


def checked_targets(targets: Buffer, vocab_size: int) -> list[int]:
    """The targets as a list. Raises DataError for one that is neither a token nor ignored."""
    ids = flat(targets).tolist()
    if min(ids) < IGNORED or max(ids) >= vocab_size:
        at, bad = next((at, i) for at, i in enumerate(ids) if not IGNORED <= i < vocab_size)
        raise DataError(
            f"cross_entropy: target {bad} at index {at} is outside the vocabulary "
            f"(allowed: 0 to {vocab_size - 1}, or {IGNORED} to ignore the position)"
        )
    if max(ids) == IGNORED:
        warnings.warn("cross_entropy: every target is ignored, so the loss is 0 and nothing is learned", stacklevel=2)
    return ids


def window_scale(ids: Sequence[int], scale: Buffer | None) -> float:
    """What the sum of losses is multiplied by."""
    return float(scale[0]) if scale is not None else 1.0 / max(1, len(ids) - ids.count(IGNORED))
