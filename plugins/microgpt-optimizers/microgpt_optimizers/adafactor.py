"""Adafactor. The arithmetic is in updates/adafactor_update.py."""

from dataclasses import dataclass
from typing import Any

from microgpt_core.components import Optimizer
from microgpt_optimizers.limits import check_above, check_not_below


@dataclass
class Adafactor(Optimizer):
    """Adafactor: next to no state, a number for each row and each column of a matrix.

    Fields:
        lr: learning rate, as a share of the size of what moves; from step t on at most 1 / sqrt(t)
        decay_power: how soon mean squares stop to forget; step t counts t^-decay_power of the whole
        eps: the smallest size that a gradient is taken to have
        min_scale: the smallest size that a parameter is taken to have
        clip: the largest root mean square of a parameter's move, before the learning rate
        weight_decay: the share of each matrix, times lr, that goes away at each step
    """

    name = "adafactor"
    update = "adafactor_update"
    state = {"r": "rows of w", "c": "columns of w"}

    lr: float = 1e-2
    decay_power: float = 0.8
    eps: float = 1e-12
    min_scale: float = 1e-3
    clip: float = 1.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for field in ("lr", "decay_power", "eps", "min_scale", "clip"):
            check_above(field, getattr(self, field))
        check_not_below("weight_decay", self.weight_decay)

    def attributes(self, decay: bool) -> dict[str, Any]:
        return {
            "decay_power": self.decay_power, "eps": self.eps, "min_scale": self.min_scale, "clip": self.clip,
            "weight_decay": self.weight_decay if decay else 0.0,
        }  # fmt: skip
