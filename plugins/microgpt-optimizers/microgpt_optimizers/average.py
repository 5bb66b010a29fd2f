"""An average of the weights, after whatever optimizer moved them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from microgpt_core.components import Rule, Shape
from microgpt_core.errors import require
from microgpt_optimizers.limits import check_fraction
from microgpt_optimizers.wrapper import Wrapper


@dataclass
class Average(Wrapper):
    """Another optimizer, and an average of the weights that it makes: that is what is evaluated and saved.

    Fields:
        optimizer: what moves the parameters
        decay: how slowly the average forgets, bias-corrected; 0.999 is a mean of about the last 1,000 steps; with 1,
            all steps since `start` count alike
        start: steps before the average begins; until then it is the weights as they are
    """

    name = "average"
    average = "average"
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({}, {"decay": 1.0, "start": 3})

    decay: float = 0.999
    start: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("decay", self.decay)
        require(self.start >= 0, "start", self.start, "0 or more")
        require(self.optimizer.average is None, "optimizer", self.optimizer.name, "one that keeps no average itself")

    @property
    def updates(self) -> Sequence[str]:
        return [*super().updates, "average_update"]

    def rules(self, name: str, shape: Shape, decay: bool) -> Sequence[Rule]:
        state, attributes = {"average": "like w", "seen": "one number"}, {"decay": self.decay, "start": self.start}
        return [*super().rules(name, shape, decay), Rule("average_update", state, attributes)]
