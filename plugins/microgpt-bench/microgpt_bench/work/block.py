"""Many steps of a training in one go: the two plans take turns on batches that lie ready, without a word in between."""

from collections.abc import Sequence
from math import prod

from microgpt_core.components import flat
from microgpt_core.components.buffer import ITEM_BYTES
from microgpt_core.engine.loop import Loop
from microgpt_core.text.batch import Batch
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update

MOST_STEPS = 1024
MOST_BYTES = 1 << 20  # of batches laid out one behind the other: what the second cache holds


def most_steps(loss: BatchLoss, batches: Sequence[Batch]) -> int:
    """How many steps one go may have: as many as there is room for their batches; 1 where these differ in shape."""
    if len({batch.shape for batch in batches}) > 1:
        return 1
    inputs = next(loss.window_inputs(batches[:1]))
    turn = sum(prod(x.shape) * ITEM_BYTES[x.value.format] for x in inputs)
    return max(1, min(MOST_STEPS, MOST_BYTES // turn))


class Block:
    """Steps on batches of one shape, gone through again and again, at most so many in one go."""

    def __init__(self, loss: BatchLoss, update: Update, batches: Sequence[Batch], lr: float, most: int) -> None:
        inputs = [next(loss.window_inputs([batch])) for batch in batches]
        self.period, self.most = len(batches), most
        of_update = update.inputs(lr)
        replays = [loss.training.replay_for(*inputs[0]), update.plan.replay_for(*of_update)]
        self.loop = Loop(replays, self.most + self.period)
        for feed, *given in zip(self.loop.feeds[0], *inputs):
            for i in range(self.most + self.period):
                x = flat(given[i % self.period].data)
                flat(feed)[i * len(x) : (i + 1) * len(x)] = x
        rates, self.steps = map(flat, self.loop.feeds[1])
        for i in range(len(rates)):
            rates[i] = lr

    def run(self, n: int, steps: int) -> float:
        """Make n steps after so many have been made; the last one's loss."""
        while n:
            first, turns = steps % self.period, min(n, self.most)
            for i in range(turns):
                self.steps[first + i] = float(steps + i)
            self.loop.run(turns, first)
            steps, n = steps + turns, n - turns
        return float(flat(self.loop.results[0][0])[first + turns - 1])
