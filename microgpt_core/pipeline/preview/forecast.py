"""What a pipeline will compute and need, from its plans: known before any memory is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from microgpt_core.engine.capture import MOST_PLANS
from microgpt_core.engine.plan import Plan
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import DoesNotFitError
from microgpt_core.models.model import Model
from microgpt_core.pipeline.preview.movers import movers
from microgpt_core.pipeline.reading.settings import Pipeline
from microgpt_core.pipeline.runs.backends import find_kernels, update_ops
from microgpt_core.pipeline.runs.machine import available_disk, available_memory, in_units, resident_bytes
from microgpt_core.plugins.registry import Registry
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.settings import TrainSettings
from microgpt_core.training.update import Update

PLANNED_CALL = 1500  # bytes that a call takes in a plan, as Python objects
# What takes most of the memory -> the keys that make it so much, where it isn't the model's width.
CAUSES = {
    "batches": "train.accumulation or train.batch_size",
    "values": "train.batch_size or model.block_size",
    "workspace": "train.batch_size, model.block_size or model.n_embd",
    "plans": "model.n_layer",
}


@dataclass
class Forecast:
    """The two plans of a training step, and the bytes of everything that lives outside them."""

    model: Model
    batch: tuple[int, int]  # (B, T): the largest batch
    shapes: int  # of batches, each with a plan of its own
    micro: Plan
    update: Plan
    passes: list[str]  # that have rewritten them
    movers: Mapping[str, list[str]]  # what the optimizer does -> the parameters that it does it to
    settings: TrainSettings
    optimizer_bytes: int
    held_out: bool  # whether there is text to find the best weights by
    process_bytes: int  # resident now: Python, packs and text
    highest_bytes: int  # and at most so far

    @property
    def parameter_bytes(self) -> int:
        return sum(p.value.nbytes for p in self.model.parameters())

    @cached_property
    def memory(self) -> Mapping[str, int]:
        """The bytes of each thing that will be in memory at once."""
        keeps_best = self.settings.restore_best and self.settings.eval_interval > 0 and self.held_out
        n_rows, n_columns = self.batch
        return {
            "process and text": self.process_bytes,
            "parameters": self.parameter_bytes,
            "gradients": sum(p.value.nbytes for p in self.model.parameters() if p.requires_grad),
            "optimizer": self.optimizer_bytes,
            "best weights": self.parameter_bytes if keeps_best else 0,
            "batches": self.settings.accumulation * n_rows * n_columns * 3 * 4,
            "values": self.micro.region_bytes + self.update.region_bytes,
            "workspace": max(self.micro.workspace_bytes, self.update.workspace_bytes),
            "plans": (len(self.micro.calls) * self.shapes + len(self.update.calls)) * PLANNED_CALL,
        }

    @property
    def peak_bytes(self) -> int:
        return max(self.highest_bytes, sum(self.memory.values()))

    @property
    def checkpoint_bytes(self) -> int:
        return self.parameter_bytes + self.optimizer_bytes

    @property
    def disk_bytes(self) -> int:
        """The most that the run folder will hold: an old checkpoint goes when its successor is whole."""
        best_and_last = 3 * self.parameter_bytes
        return (self.settings.keep_checkpoints + 1) * self.checkpoint_bytes + best_and_last

    @property
    def step_flops(self) -> int:
        return self.micro.flops * self.settings.accumulation + self.update.flops

    def to_dict(self) -> dict[str, Any]:
        return {
            "parameters": self.model.n_parameters,
            "batch": list(self.batch),
            "memory": {**self.memory, "peak": self.peak_bytes, "available": available_memory()},
            "disk": {"checkpoint": self.checkpoint_bytes, "peak": self.disk_bytes},
            "flops_per_step": self.step_flops,
            "passes": self.passes,
            "movers": dict(self.movers),
            "micro": self.micro.to_dict() | {"digest": self.micro.digest},
            "update": self.update.to_dict() | {"digest": self.update.digest},
        }

    def require_room(self, folder: Path, forced: bool = False) -> None:
        """Raise DoesNotFitError, with the numbers, where memory or the folder's disk won't do.

        It names --force as a way out, unless that is given already.
        """
        anyway = "" if forced else ", or start anyway: --force"
        memory, disk = available_memory(), available_disk(folder)
        more = sum(self.memory.values()) - self.process_bytes
        if memory is not None and more > memory:
            largest = sorted(list(self.memory.items())[1:], key=lambda item: -item[1])[:3]  # of what is to come
            parts = ", ".join(f"{name} {in_units(n)}" for name, n in largest)
            most = largest[0][0]
            recompute = ", or set train.recompute: 1" if most == "values" and not self.settings.recompute else ""
            smaller = CAUSES.get(most, "the model (model.n_embd, model.n_layer)")
            raise DoesNotFitError(
                f"the run needs {in_units(more)} of memory ({parts}) and {in_units(memory)} are free; "
                f"make {smaller} smaller{recompute}{anyway}"
            )
        if self.disk_bytes > disk:
            raise DoesNotFitError(
                f"the run writes {in_units(self.disk_bytes)} (a checkpoint is {in_units(self.checkpoint_bytes)}) and "
                f"{in_units(disk)} are free in {folder}; lower train.keep_checkpoints, or choose another "
                f"--output{anyway}"
            )


def forecast(pipeline: Pipeline, registry: Registry, vocab_size: int, batching: str, held_out: bool = True) -> Forecast:
    """The plans of a pipeline's training step on its largest batch. Nothing is allocated."""
    model = pipeline.build_model(vocab_size)
    model.set_precision(pipeline.stored)
    kernels = find_kernels(pipeline, registry)
    settings, optimizer = pipeline.train, pipeline.optimizer.build()
    rows, width = settings.batch_size, model.block_size
    if batching == "packed":
        rows, width = 1, rows * width
    watch = [pattern for analyzer in pipeline.analyzers for pattern in analyzer.build().watch]
    loss = BatchLoss(
        model, settings.label_smoothing, kernels,
        recompute=settings.recompute, accumulates=settings.accumulation > 1, watch=watch,
    )  # fmt: skip
    named = update_ops(pipeline, registry)
    update = Update(model, optimizer, settings.grad_clip, kernels, named, settings.accumulation > 1)
    inputs = [Tensor(Value((rows, width), "i")) for _ in ("tokens", "targets", "positions")]
    inputs.append(Tensor(Value((1,), next(iter(model.parameters())).value.format)))
    if model.noisy:
        inputs.append(Tensor(Value((3,), "i")))
    return Forecast(
        model=model,
        batch=(rows, width),
        shapes=min(width, MOST_PLANS) if batching == "documents" else 1,
        micro=loss.training.plan_for(*inputs),
        update=update.plan.plan_for(*update.inputs()),
        passes=[each.name for each in kernels.passes],
        movers=movers(update),
        settings=settings,
        optimizer_bytes=sum(t.value.nbytes for t in update.state.values()),
        held_out=held_out,
        process_bytes=resident_bytes(),
        highest_bytes=resident_bytes(peak=True),
    )
