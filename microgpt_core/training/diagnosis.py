"""Where did the NaN come from? The first tensor, in the order of computation, that isn't finite."""

from collections.abc import Sequence
from math import isfinite

from microgpt_core.components import Buffer, flat
from microgpt_core.engine.capture import Captured
from microgpt_core.text.batch import Batch
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update


def is_finite(buffer: Buffer) -> bool:
    return all(map(isfinite, flat(buffer).tolist()))


def first_non_finite(loss: BatchLoss, update: Update, window: Sequence[Batch]) -> str:
    """Look at the weights and the optimizer's state, then compute the step again and look at every value."""
    stored = {**loss.model.state(), **{f"optimizer state {n}": b for n, b in update.buffers().items()}}
    for name, buffer in stored.items():
        if not is_finite(buffer):
            return name
    again = Captured(loss.step, loss.training.kernels, watch=["*"], quiet=True)
    scale = 1.0 / sum(batch.n_targets for batch in window)
    for batch in window:
        result = again(*loss.inputs(batch, scale))
        replay = again.replay_for(*loss.inputs(batch, scale))
        for name, buffer in replay.watched().items():
            if not is_finite(buffer):
                return name
        if not isfinite(result.item()):
            return "the loss"
    for p in update.trained:
        if p.grad is not None and not is_finite(p.grad.data):
            return f"the gradient of {p.name}"
    return "the norm of all gradients"
