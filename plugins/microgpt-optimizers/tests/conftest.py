"""Steps of an optimizer on a small model whose gradients are drawn, so that another program can take the same ones."""

from collections.abc import Callable, Mapping
from importlib import import_module
from random import Random
from typing import Any

import pytest

from microgpt_core.components import Op, Optimizer, flat, write
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.models.gpt import GPT
from microgpt_core.ops import OPS
from microgpt_core.training.update import Update
from microgpt_optimizers.plugin import microgpt_ops

Numbers = dict[str, list[float]]


def op(place: str) -> Op:
    module, name = place.split(":")
    made: Op = getattr(import_module(module), name)()
    return made


UPDATE_OPS: Mapping[str, Op] = {**OPS, **{name: op(place) for name, place in microgpt_ops().items()}}


class Steps:
    """A model of some matrices, tall and wide ones, and vectors. `observe` is given every step's gradients first."""

    def __init__(self, optimizer: Optimizer, precision: str = "float64", kernels: Kernels = REFERENCE) -> None:
        self.model = GPT(7, block_size=4, n_head=1, n_embd=6, bias=True, norm="layernorm", norm_weight=True)
        self.model.allocate(precision)
        self.model.initialise(Random("weights"))
        self.optimizer = optimizer
        self.update = Update(self.model, optimizer, kernels=kernels, update_ops=UPDATE_OPS)
        self.update.allocate()

    def weights(self) -> Numbers:
        return {p.name: flat(p.data).tolist() for p in self.update.trained}

    def run(self, steps: int = 50, observe: Callable[[int, Numbers], Any] = lambda step, grads: None) -> Numbers:
        """The weights after so many steps."""
        for step in range(steps):
            grads = {}
            for p in self.update.trained:
                rng = Random(f"{p.name} {step}")
                grads[p.name] = [rng.gauss(0.0, 1.0) * (1.0 + step % 7) for _ in range(p.value.size)]
                write(p.grad.data, grads[p.name])
            observe(step, grads)
            self.update(self.optimizer.lr, step)
        return self.weights()


@pytest.fixture(scope="session")
def steps() -> type[Steps]:
    return Steps
