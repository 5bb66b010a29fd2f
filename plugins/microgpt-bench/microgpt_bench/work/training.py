"""A training of microgpt, as a peer's: forward, backward and AdamW on prepared batches."""

from array import array
from collections.abc import Mapping, Sequence
from math import ceil

from microgpt_bench.golden import Golden
from microgpt_bench.work.block import Block, most_steps
from microgpt_bench.work.timed_steps import TimedSteps
from microgpt_core.components import Buffer, Optimizer, flat
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.plan import Plan
from microgpt_core.errors import ConfigurationError
from microgpt_core.models.model import Model
from microgpt_core.pipeline.preview.timing import seconds_per_flop
from microgpt_core.saving.model_folder import copy
from microgpt_core.text.batch import Batch
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update

ROWS = 64  # of the product by which a step's time is guessed
PER_WEIGHT = 6  # FLOPs for each token: a multiply-add forward, two backward


class OwnTraining:
    """The two plans that the trainer replays, and nothing else of the trainer."""

    def __init__(
        self, model: Model, batches: Sequence[Batch], optimizer: Optimizer, kernels: Kernels, recompute: int = 0
    ) -> None:
        self.model, self.batches, self.lr = model, batches, optimizer.lr
        self.loss = BatchLoss(model, kernels=kernels, recompute=recompute, accumulates=False)
        self.update = Update(model, optimizer, kernels=kernels, accumulates=False)
        self.update.allocate()
        self.timed = TimedSteps(self.loss, self.update)
        self.steps, self.most = 0, most_steps(self.loss, batches)  # in one go
        self.block: Block | None = None

    def plans(self) -> tuple[Plan, Plan]:
        """Of forward and backward, and of the update."""
        (inputs,) = self.loss.window_inputs(self.batches[:1])
        return self.loss.training.replay_for(*inputs).plan, self.update.plan.replay_for(*self.update.inputs()).plan

    def gradients(self) -> tuple[float, Mapping[str, Buffer]]:
        loss = self.loss.train(self.batches[:1])
        trained = [(p, p.grad) for p in self.model.parameters() if p.grad is not None]
        found = {p.name: copied(gradient.data) for p, gradient in trained}
        for p, _ in trained:
            p.zero_grad()
        return loss, found

    def load(self, model: Model) -> None:
        copy(model.state(), self.model.state())

    def timed_step(self) -> tuple[list[float], list[float]]:
        """Make a step: the nanoseconds of each call of the two plans."""
        batch, step = self.batches[self.steps % len(self.batches)], self.steps
        self.steps += 1
        return self.timed.step(batch, self.lr, step)

    def run(self, n: int) -> float:
        """Make n steps; where they are many and batches of one shape, in one go. The last one's loss."""
        if n > 1 and self.most > 1:
            self.block = self.block or Block(self.loss, self.update, self.batches, self.lr, self.most)
            self.steps += n
            return self.block.run(n, self.steps - n)
        loss = 0.0
        for _ in range(n):
            loss = self.loss.train([self.batches[self.steps % len(self.batches)]])
            self.update(self.lr, self.steps)
            self.steps += 1
        return loss


def own_training(
    golden: Golden, kernels: Kernels, precision: str, batches: Sequence[Batch], longest: float
) -> OwnTraining:
    """A golden model's training. Raises ConfigurationError where a step takes longer than `longest`, in seconds: found
    out by a guess, since the weights alone may take minutes.
    """
    flops = PER_WEIGHT * golden.shape().n_parameters * golden.tokens
    seconds = flops * seconds_per_flop(kernels, "float32", ROWS, golden.fields["n_embd"])
    if seconds > longest:
        raise ConfigurationError(
            f"a step of {golden.name} would take about {seconds:,.0f} s; to measure it all the same: --longest "
            f"{ceil(1.5 * seconds)}"
        )
    return OwnTraining(golden.build(precision), batches, golden.optimizer(), kernels, golden.recompute)


def copied(buffer: Buffer) -> Buffer:
    """The same numbers in memory of their own, in a row."""
    return Buffer(array(buffer.format, flat(buffer)))
