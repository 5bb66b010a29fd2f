"""Where did the NaN come from? The first tensor, in the order of computation, that isn't finite."""

from collections.abc import Sequence
from math import isfinite

from microgpt_core import ops
from microgpt_core.components import Buffer, flat
from microgpt_core.engine.capture import Captured
from microgpt_core.text.batch import Batch
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update


def is_finite(buffer: Buffer) -> bool:
    return all(map(isfinite, flat(buffer)))


def first_stored(update: Update) -> str | None:
    """The first of the optimizer's state and the model's weights that isn't finite; None where all are."""
    stored = {f"optimizer state {name}": buffer for name, buffer in update.buffers().items()}
    return next((name for name, x in {**stored, **update.model.state()}.items() if not is_finite(x)), None)


def first_computed(loss: BatchLoss, update: Update, window: Sequence[Batch], step: int) -> str:
    """The first value that isn't finite when the gradients of a step are computed again. Leaves them zero."""
    ops.zero(update.model.gradients)
    name = first_value(loss, window, step) or first_gradient(update) or "the norm of all gradients"
    ops.zero(update.model.gradients)
    return name


def first_value(loss: BatchLoss, window: Sequence[Batch], step: int) -> str | None:
    again = Captured(loss.step, loss.training.kernels, watch=["*"], quiet=True)
    for inputs in loss.window_inputs(window, step):
        result = again(*inputs)
        for name, buffer in again.replay_for(*inputs).watched().items():
            if not is_finite(buffer):
                return f"the gradient of {name[5:]}" if name.startswith("grad ") else f"the output of {name}"
        if not isfinite(result.item()):
            return "the loss"
    return None


def first_gradient(update: Update) -> str | None:
    gradients = {p.name: p.grad.data for p in update.trained if p.grad is not None}
    return next((f"the gradient of {name}" for name, x in gradients.items() if not is_finite(x)), None)
