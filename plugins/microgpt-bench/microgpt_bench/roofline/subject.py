"""What is put under the roof: a training step of a golden model, of a preset, of a pipeline or a run. No memory is
taken before a step is to be timed.
"""

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from microgpt_bench.golden import GOLDEN, SEED
from microgpt_bench.roofline.points import Point, points_of
from microgpt_bench.work.kernels import kernels_of
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.plan import Plan
from microgpt_core.errors import ConfigurationError
from microgpt_core.pipeline import builtin
from microgpt_core.pipeline.folders import RESOLVED, RUNS, find_run
from microgpt_core.pipeline.preview.timing import seconds_per_flop
from microgpt_core.pipeline.reading.presets import PRESETS
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.pipeline.runs.backends import find_kernels, update_ops
from microgpt_core.pipeline.runs.run import Run
from microgpt_core.plugins.loader import load
from microgpt_core.text.batch import Batch
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update

LONGEST = 30.0  # seconds that a step may take to be timed


@dataclass
class Subject:
    """A training step: the loss of `accumulation` batches, then the update."""

    name: str
    loss: BatchLoss
    update: Update
    batch: Batch
    kernels: Kernels
    precision: str = "float32"
    accumulation: int = 1

    def plans(self) -> tuple[Plan, Plan]:
        """Of forward and backward, and of the update; without memory."""
        (inputs,) = self.loss.window_inputs([self.batch])
        return self.loss.training.plan_for(*inputs), self.update.plan.plan_for(*self.update.inputs())

    def points(self, times_ns: tuple[Sequence[float], Sequence[float]] | None = None) -> list[Point]:
        """Of every call of a step."""
        (micro, update), (micro_ns, update_ns) = self.plans(), times_ns or (None, None)
        return points_of(micro, micro_ns) * self.accumulation + points_of(update, update_ns, update=True)

    def allocate(self) -> None:
        """Take the memory of a training. All weights are 0, which is as slow. Raises ConfigurationError where a step
        would take minutes.
        """
        seconds = sum(plan.flops for plan in self.plans()) * seconds_per_flop(self.kernels, self.precision)
        if seconds > LONGEST:
            names = " and ".join(b.name for b in self.kernels.backends) or "reference"
            raise ConfigurationError(
                f"a step of {self.name} would take about {seconds / 60:,.1f} minutes on {names}; choose a faster "
                "--backend, a smaller model, or look at it without times: --no-time"
            )
        self.loss.model.allocate(self.precision)
        self.update.allocate()


def find_subject(name: str, backend: str = "auto", overrides: Sequence[str] = ()) -> Subject:
    """By the name of a golden model or a preset, or else a pipeline or a run, each by its name or path.

    Raises ConfigurationError where none is of this name, and for overrides of a golden model, which never changes.
    """
    if name not in GOLDEN:
        return of_pipeline(name, backend, overrides)
    if overrides:
        raise ConfigurationError(f"{name} is a golden model, which is always the same; leave --set out")
    golden, kernels = GOLDEN[name], kernels_of(backend)
    model = golden.shape()
    model.set_precision("float32")
    loss = BatchLoss(model, kernels=kernels, accumulates=False)
    update = Update(model, golden.optimizer(), kernels=kernels, accumulates=False)
    return Subject(name, loss, update, golden.batches(1)[0], kernels)


def of_pipeline(name: str, backend: str, overrides: Sequence[str]) -> Subject:
    """Of a pipeline or a run, or of a preset with all else as it is by default, on a batch of its largest shape."""
    registry, preset = load(builtin), PRESETS.get(name)
    chosen = [f"backend={backend}"] if backend != "auto" else []
    changes = [*([f"model.preset={name}"] if preset else []), *overrides, *chosen]
    pipeline = read_pipeline("names" if preset else pipeline_of(name), registry, changes)
    run = Run(pipeline, registry, Path())
    model = pipeline.build_model(preset.vocab_size if preset else run.tokenizer.vocab_size)
    model.set_precision(pipeline.stored)
    kernels, settings = find_kernels(pipeline, registry), pipeline.train
    shape = settings.batch_size, model.block_size
    if not preset and run.batching == "packed":
        shape = 1, shape[0] * shape[1]
    loss = BatchLoss(
        model, settings.label_smoothing, kernels, recompute=settings.recompute, accumulates=settings.accumulation > 1
    )
    named, optimizer = update_ops(pipeline, registry), pipeline.optimizer.build()
    update = Update(model, optimizer, settings.grad_clip, kernels, named, settings.accumulation > 1)
    batch = any_batch(shape, model.vocab_size, model.block_size)
    return Subject(name, loss, update, batch, kernels, pipeline.precision, settings.accumulation)


def pipeline_of(name: str) -> str | Path:
    """What a run resolved its pipeline to, where the name, the folder or `latest` is a run's."""
    is_run = name == "latest" or any((folder / name / RESOLVED).is_file() for folder in (Path(), RUNS))
    return find_run(name) / RESOLVED if is_run else name


def any_batch(shape: tuple[int, int], vocab_size: int, block_size: int) -> Batch:
    """Random tokens, which take as long as a text."""
    rng, n = random.Random(SEED), shape[0] * shape[1]
    tokens, targets = (array("i", [rng.randrange(vocab_size) for _ in range(n)]) for _ in range(2))
    return Batch(tokens, targets, array("i", [i % block_size for i in range(n)]), shape, n)
