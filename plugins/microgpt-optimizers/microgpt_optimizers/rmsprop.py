"""RMSprop. The arithmetic is in updates/rmsprop_update.py."""

from dataclasses import dataclass
from typing import Any, ClassVar

from microgpt_core.components import Optimizer
from microgpt_optimizers.limits import check_above, check_share


@dataclass
class RMSprop(Optimizer):
    """RMSprop: each number moves by its gradient over the gradient's usual size.

    Fields:
        lr: learning rate
        beta: how slowly the mean square of the gradients forgets
        eps: keeps the division finite
        momentum: share of the last step's direction that is kept; 0 keeps none, and no second state
    """

    name = "rmsprop"
    update = "rmsprop_update"
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({}, {"momentum": 0.9})

    lr: float = 1e-3
    beta: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0

    def __post_init__(self) -> None:
        check_above("lr", self.lr)
        check_share("beta", self.beta)
        check_above("eps", self.eps)
        check_share("momentum", self.momentum)

    @property
    def state(self) -> dict[str, str]:  # type: ignore[override]
        return {"v": "like w", "m": "like w"} if self.momentum else {"v": "like w"}

    def attributes(self, decay: bool) -> dict[str, Any]:
        return {"beta": self.beta, "eps": self.eps, "momentum": self.momentum}
