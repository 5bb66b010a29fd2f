"""How long a training will take: a guess from a few batches, measured here and now in bounded time.

It grows from one token to a whole batch, and stops before what would take too long; the rest goes by FLOPs.
"""

from collections.abc import Callable
from math import ceil
from time import perf_counter

from microgpt_core import ops
from microgpt_core.components.text import IGNORED
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.capture import capture
from microgpt_core.engine.tensor import tensor
from microgpt_core.pipeline.preview.forecast import Forecast
from microgpt_core.pipeline.runs.backends import update_ops
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.text.batch import Batch
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update

LIMIT = 2.0  # seconds that measuring may take, more or less
MOST_BATCHES = 10
FORWARD = 1 / 3  # of a step's time: backward multiplies twice as often
SLOWER = 4  # how much longer a FLOP may take in an update, which multiplies no matrices


def training_seconds(run: Run, found: Forecast) -> float:
    """The whole training: its steps, and the evaluations between them. Takes the memory of a training."""
    settings = found.settings
    per_batch, per_update = measure(run, found)
    n_steps, n_evaluations = settings.most_steps(run.batches.per_epoch) or 0, 0
    per_step = settings.accumulation * per_batch + per_update
    if settings.minutes and (not n_steps or n_steps * per_step > 60 * settings.minutes):
        n_steps = int(60 * settings.minutes / per_step)
    if settings.eval_interval:
        n_evaluations = ceil(n_steps / settings.eval_interval)
    n_batches = min(len(run.validation), settings.eval_batches or len(run.validation))
    return n_steps * per_step + n_evaluations * n_batches * per_batch * FORWARD


def measure(run: Run, found: Forecast) -> tuple[float, float]:
    """The seconds of one batch, forward and backward, and of one update. All weights are 0, which is as slow."""
    settings, kernels, end = found.settings, run.kernels, perf_counter() + LIMIT
    model = run.pipeline.build_model(run.tokenizer.vocab_size)
    model.allocate(run.pipeline.stored)
    loss = BatchLoss(
        model, settings.label_smoothing, kernels, recompute=settings.recompute, accumulates=settings.accumulation > 1
    )
    named = update_ops(run.pipeline, run.registry)
    update = Update(
        model, run.pipeline.optimizer.build(), settings.grad_clip, kernels, named, settings.accumulation > 1
    )
    whole, n_tokens = run.batches.batch(0), 1
    per_batch = seconds_per_flop(kernels, run.pipeline.stored) * found.micro.flops
    while per_batch * n_tokens / len(whole.tokens) < end - perf_counter():
        piece = part(whole, n_tokens)
        seconds = timed(loss, piece)
        if piece is whole:
            per_batch = mean_of_batches(run, loss, end)
            break
        # of packed documents, tokens: each sees only its own, and FLOPs are counted as if it saw them all
        share = n_tokens / len(whole.tokens) if run.batching == "packed" else loss.flops / found.micro.flops
        per_batch, n_tokens = seconds / share, min(2 * n_tokens, len(whole.tokens))
    per_update = SLOWER * per_batch * found.update.flops / found.micro.flops
    if per_update < max(end - perf_counter(), LIMIT / 4):
        update.allocate()
        update(0.0, 0)  # the first has its plan to make
        per_update = seconds_of(lambda: update(0.0, 1))
    return per_batch, per_update


def mean_of_batches(run: Run, loss: BatchLoss, end: float) -> float:
    """Of the first batches, as many as there is time for: they may be of different lengths."""
    seconds: list[float] = []
    while not seconds or len(seconds) < MOST_BATCHES and perf_counter() + 2 * seconds[-1] < end:
        seconds.append(timed(loss, run.batches.batch(len(seconds))))
    return sum(seconds) / len(seconds)


def timed(loss: BatchLoss, batch: Batch) -> float:
    """The seconds of a batch, without those of its plan."""
    for inputs in loss.window_inputs([batch]):
        loss.training.replay_for(*inputs)
    return seconds_of(lambda: loss.train([batch]))


def seconds_of(act: Callable[[], object]) -> float:
    start = perf_counter()
    act()
    return perf_counter() - start


def part(batch: Batch, n_tokens: int) -> Batch:
    """The first tokens of a batch: some of its first row, or some rows; the batch itself where that is all of it."""
    width = min(n_tokens, batch.shape[1])
    rows = n_tokens // width
    n = rows * width
    if n == len(batch.tokens):
        return batch
    targets = batch.targets[:n]
    n_targets = max(1, len(targets) - targets.count(IGNORED))
    return Batch(batch.tokens[:n], targets, batch.positions[:n], (rows, width), n_targets)


def seconds_per_flop(kernels: Kernels, precision: str, n_rows: int = 16, width: int = 64) -> float:
    """Of a small matrix product: a first guess, and all there is to go by where one token would take too long."""
    x, w = (tensor([[0.0] * width] * n_rows, precision) for _ in range(2))
    product = capture(ops.linear, x, w, kernels=kernels)
    product(x, w)
    return seconds_of(lambda: product(x, w)) / product.plan.flops
