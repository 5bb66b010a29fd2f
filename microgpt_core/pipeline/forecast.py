"""What a pipeline will compute and need, from its plans: known before any memory is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from microgpt_core.engine.capture import plan_of
from microgpt_core.engine.plan import Plan
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.models.model import Model
from microgpt_core.pipeline.backends import find_kernels
from microgpt_core.pipeline.settings import Pipeline
from microgpt_core.pipeline.stages import update_op
from microgpt_core.plugins.registry import Registry
from microgpt_core.training.loss import BatchLoss
from microgpt_core.training.update import Update


@dataclass
class Forecast:
    """The two plans of a training step, and the bytes of everything that lives outside them."""

    model: Model
    batch: tuple[int, int]  # (B, T): the largest batch
    micro: Plan
    update: Plan
    accumulation: int
    optimizer_bytes: int

    @property
    def parameter_bytes(self) -> int:
        return sum(p.value.nbytes for p in self.model.parameters())

    @property
    def gradient_bytes(self) -> int:
        return sum(p.value.nbytes for p in self.model.parameters() if p.requires_grad)

    @property
    def peak_bytes(self) -> int:
        values = self.micro.region_bytes + self.update.region_bytes
        return self.parameter_bytes + self.gradient_bytes + self.optimizer_bytes + values

    @property
    def step_flops(self) -> int:
        return self.micro.flops * self.accumulation + self.update.flops

    def to_dict(self) -> dict[str, Any]:
        return {
            "parameters": self.model.n_parameters,
            "batch": list(self.batch),
            "memory": {
                "parameters": self.parameter_bytes,
                "gradients": self.gradient_bytes,
                "optimizer": self.optimizer_bytes,
                "values": self.micro.region_bytes + self.update.region_bytes,
                "peak": self.peak_bytes,
            },
            "flops_per_step": self.step_flops,
            "micro": self.micro.to_dict() | {"digest": self.micro.digest},
            "update": self.update.to_dict() | {"digest": self.update.digest},
        }


def forecast(pipeline: Pipeline, registry: Registry, vocab_size: int, batching: str) -> Forecast:
    """The plans of a pipeline's training step on its largest batch. Nothing is allocated."""
    model = pipeline.build_model(vocab_size)
    model.set_precision(pipeline.precision)
    kernels = find_kernels(pipeline, registry)
    settings = pipeline.train
    rows, width = settings.batch_size, model.block_size
    if batching == "packed":
        rows, width = 1, rows * width
    loss = BatchLoss(model, settings.label_smoothing, kernels, recompute=settings.recompute)
    optimizer = pipeline.optimizer.build()
    update = Update(model, optimizer, settings.grad_clip, kernels, update_op(pipeline, registry))
    ids = [Tensor(Value((rows, width), "i")) for _ in ("tokens", "targets", "positions")]
    scale = Tensor(Value((1,), loss_format(model)))
    micro = plan_of(loss.step, *ids, scale, kernels=kernels, recompute=loss.segments)
    moved = plan_of(update.step, *update.inputs(), kernels=kernels)
    optimizer_bytes = sum(t.value.nbytes for t in update.state.values())
    return Forecast(model, (rows, width), micro, moved, settings.accumulation, optimizer_bytes)


def loss_format(model: Model) -> str:
    return next(iter(model.parameters())).value.format
