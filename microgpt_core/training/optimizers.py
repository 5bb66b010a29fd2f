"""The core's optimizers. Each names the op that moves a parameter; the formulas stand there."""

from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

from microgpt_core.components import Optimizer
from microgpt_core.errors import require


@dataclass
class SGD(Optimizer):
    """Stochastic gradient descent.

    Fields:
        lr: learning rate
        momentum: share of the last step's direction that is kept; 0 keeps none, and no state
        nesterov: look ahead along the momentum first
    """

    name = "sgd"
    update = "sgd_update"

    lr: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        check_lr(self.lr)
        check_share("momentum", self.momentum)
        require(
            not self.nesterov or self.momentum > 0, "nesterov", "true without momentum", "true with momentum above 0"
        )

    @property
    def state(self) -> dict[str, str]:  # type: ignore[override]
        return {"m": "like w"} if self.momentum else {}

    def attributes(self, decay: bool) -> dict[str, Any]:
        return {"momentum": self.momentum, "nesterov": self.nesterov}


@dataclass
class Adam(Optimizer):
    """Adam, bias-corrected.

    Fields:
        lr: learning rate
        betas: how slowly the mean and the mean square of the gradients forget
        eps: keeps the division finite
    """

    name = "adam"
    update = "adam_update"
    state: ClassVar[dict[str, str]] = {"m": "like w", "v": "like w"}

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        check_lr(self.lr)
        require(len(self.betas) == 2, "betas", self.betas, "two numbers")
        for beta in self.betas:
            check_share("betas", beta)
        require(isfinite(self.eps) and self.eps > 0, "eps", self.eps, "more than 0")

    def attributes(self, decay: bool) -> dict[str, Any]:
        return {"beta1": self.betas[0], "beta2": self.betas[1], "eps": self.eps}


@dataclass
class AdamW(Adam):
    """Adam with weight decay that doesn't pass through the gradient.

    Fields:
        lr: learning rate
        betas: how slowly the mean and the mean square of the gradients forget
        eps: keeps the division finite
        weight_decay: the share of each matrix, times lr, that goes away at each step
    """

    name = "adamw"
    update = "adamw_update"

    weight_decay: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(isfinite(self.weight_decay) and self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")

    def attributes(self, decay: bool) -> dict[str, Any]:
        return {**super().attributes(decay), "weight_decay": self.weight_decay if decay else 0.0}


def check_lr(value: float) -> None:
    require(isfinite(value) and value > 0, "lr", value, "more than 0")


def check_share(field: str, value: float) -> None:
    require(0.0 <= value < 1.0, field, value, "0 to 1, without 1")
