"""The loss of a batch, as a plan: with its gradients for training, without for evaluation."""

from collections.abc import Iterable, Iterator, Sequence

from microgpt_core import ops
from microgpt_core.components import Buffer, Op
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.context import no_grad
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.errors import DataError, require
from microgpt_core.models.model import Model
from microgpt_core.text.batch import Batch

MAX_INT32 = 2**31 - 1


class BatchLoss:
    """A model's loss on batches. Plans are made when a batch of a new shape comes, all in one region.

    With `recompute`, backward computes the values of that many blocks at a time again instead of keeping them. Where
    nothing `accumulates`, a batch's gradients take the place of what was there, and their memory serves until then.
    `seed` is that of the model's dropout, if it has any; `watch` are the scopes whose values analyzers want.
    """

    def __init__(
        self, model: Model, label_smoothing: float = 0.0, kernels: Kernels = REFERENCE, loss: Op = ops.cross_entropy,
        recompute: int = 0, accumulates: bool = True, seed: int = 0, watch: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.model, self.label_smoothing, self.loss, self.seed = model, label_smoothing, loss, seed
        self.segments, fresh = segments(model, recompute), [] if accumulates else model.gradient_values
        self.training = Captured(self.step, kernels, watch, quiet=True, recompute=self.segments, fresh=fresh)
        self.evaluation = Captured(self.value, kernels, quiet=True, region=self.training.region)
        self.flops = self.recomputed = 0  # of the last window that was trained on; those that `recompute` added
        self.watched: dict[str, Buffer] = {}  # in its last batch, until the next replay

    def inputs(self, batch: Batch, scale: float) -> tuple[Tensor, ...]:
        """The batch as the tensors that the plans take; losses are summed and multiplied by `scale`."""
        rows = (memoryview(x).cast("B").cast("i", batch.shape) for x in (batch.tokens, batch.targets, batch.positions))
        return (*(tensor(x) for x in rows), tensor([scale], self.model.precision))

    def window_inputs(self, window: Sequence[Batch], step: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The inputs of each batch of a step, with a scale that averages over the targets of them all.

        Where the model wants noise, each batch has it for its own rows of the step's.
        """
        scale, row = 1.0 / sum(batch.n_targets for batch in window), 0
        for batch in window:
            noise = [tensor([self.seed & MAX_INT32, step & MAX_INT32, row], "int32")] if self.model.noisy else []
            yield (*self.inputs(batch, scale), *noise)
            row += batch.shape[0]

    def value(self, tokens: Tensor, targets: Tensor, positions: Tensor, scale: Tensor) -> Tensor:
        """The loss alone; without label smoothing, which isn't part of what a model is judged by."""
        with no_grad():
            loss: Tensor = self.loss(self.model(tokens, positions), targets, scale)
            return loss

    def step(self, tokens: Tensor, targets: Tensor, positions: Tensor, scale: Tensor, *noise: Tensor) -> Tensor:
        """The loss, its gradients added to the parameters'."""
        logits = self.model(tokens, positions, None, *noise) if noise else self.model(tokens, positions)
        loss: Tensor = self.loss(logits, targets, scale, label_smoothing=self.label_smoothing)
        loss.backward()
        return loss

    def train(self, window: Sequence[Batch], step: int = 0) -> float:
        """The mean loss over the targets of a step's batches, whose gradients add up to its gradient."""
        total, self.flops, self.recomputed = 0.0, 0, 0
        for inputs in self.window_inputs(window, step):
            total += self.training(*inputs).item()
            self.flops += self.training.plan.flops
            self.recomputed += self.training.plan.recomputed_flops
            if self.training.watch:
                self.watched = self.training.replay_for(*inputs).watched()
        return total

    def evaluate(self, batches: Iterable[Batch]) -> float:
        """The mean loss over the targets of all batches, token-weighted. Raises DataError where there is no target."""
        total, n_targets = 0.0, 0
        for batch in batches:
            total += self.evaluation(*self.inputs(batch, 1.0)).item()
            n_targets += batch.n_targets
        if not n_targets:
            raise DataError("there is no text to evaluate: the batches hold no target")
        return total / n_targets


def segments(model: Model, size: int) -> list[list[str]]:
    """The scopes of a model's blocks in groups of `size`. Raises ConfigurationError where it has no blocks."""
    if not size:
        return []
    names = [name for name, _ in model.parts() if "." in name]
    require(bool(names), "recompute", size, "0, for a model that has no list of parts such as `block`")
    return [names[i : i + size] for i in range(0, len(names), size)]
