"""Momentum (Polyak 1964). Its arithmetic is an op of the core, so every backend that has a kernel of it serves."""

from dataclasses import dataclass
from typing import ClassVar

from microgpt_core.components import Optimizer
from microgpt_core.hookspecs import hookimpl


@dataclass
class HeavyBall(Optimizer):
    """Gradient descent that always keeps nine tenths of its last direction.

    Fields:
        lr: learning rate
    """

    name = "heavy-ball"
    update = "sgd_update"
    state: ClassVar = {"m": "like w"}

    lr: float = 0.1

    def attributes(self, decay):
        return {"momentum": 0.9}


@hookimpl
def microgpt_optimizers():
    return {"heavy-ball": HeavyBall}
