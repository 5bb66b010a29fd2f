"""Adagrad. The arithmetic is in updates/adagrad_update.py."""

from dataclasses import dataclass
from typing import Any

from microgpt_core.components import Optimizer
from microgpt_optimizers.limits import check_above


@dataclass
class Adagrad(Optimizer):
    """Adagrad: what has moved much moves less, and never faster again.

    Fields:
        lr: learning rate
        eps: keeps the division finite
    """

    name = "adagrad"
    update = "adagrad_update"
    state = {"v": "like w"}

    lr: float = 1e-2
    eps: float = 1e-10

    def __post_init__(self) -> None:
        check_above("lr", self.lr)
        check_above("eps", self.eps)

    def attributes(self, decay: bool) -> dict[str, Any]:
        return {"eps": self.eps}
