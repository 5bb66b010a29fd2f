"""Lion. The arithmetic is in updates/lion_update.py."""

from dataclasses import dataclass
from typing import Any

from microgpt_core.components import Optimizer
from microgpt_core.errors import require
from microgpt_optimizers.limits import check_above, check_not_below, check_share


@dataclass
class Lion(Optimizer):
    """Lion: every number moves by lr, up or down; half of AdamW's state.

    Fields:
        lr: learning rate; a third to a tenth of AdamW's
        betas: how slowly the mean of the gradients forgets, where it decides on a step and where it is kept
        weight_decay: the share of each matrix, times lr, that goes away at each step; three to ten times AdamW's
    """

    name = "lion"
    update = "lion_update"
    state = {"m": "like w"}

    lr: float = 3e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.3

    def __post_init__(self) -> None:
        check_above("lr", self.lr)
        require(len(self.betas) == 2, "betas", self.betas, "two numbers")
        for beta in self.betas:
            check_share("betas", beta)
        check_not_below("weight_decay", self.weight_decay)

    def attributes(self, decay: bool) -> dict[str, Any]:
        beta1, beta2 = self.betas
        return {"beta1": beta1, "beta2": beta2, "weight_decay": self.weight_decay if decay else 0.0}
