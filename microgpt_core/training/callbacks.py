"""The core's callbacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal

from microgpt_core.components import Callback
from microgpt_core.errors import require


@dataclass
class StopAt(Callback):
    """Ends training once the loss is low enough.

    Fields:
        loss: the loss that is low enough, in nats
        of: whose loss: the validation text's, as often as it is evaluated, or each step's batches'
    """

    name = "stop-at"
    loss: float
    of: Literal["validation", "train"] = "validation"

    def __post_init__(self) -> None:
        require(isfinite(self.loss) and self.loss > 0, "loss", self.loss, "more than 0")

    def on_step(self, metrics: Mapping[str, Any]) -> str | None:
        key = "val/loss" if self.of == "validation" else "train/loss"
        return "stop" if metrics.get(key, inf) <= self.loss else None
