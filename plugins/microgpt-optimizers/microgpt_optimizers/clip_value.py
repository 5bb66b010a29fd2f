"""Clipping by value, before whatever optimizer comes then."""

from collections.abc import Sequence
from dataclasses import dataclass

from microgpt_core.components import Rule, Shape
from microgpt_optimizers.limits import check_above
from microgpt_optimizers.wrapper import Wrapper


@dataclass
class ClipValue(Wrapper):
    """Another optimizer on gradients of which no number is larger than a limit.

    Fields:
        optimizer: what moves the parameters
        limit: the largest size of a number in a gradient, after clipping by norm (train.grad_clip)
    """

    name = "clip-value"

    limit: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above("limit", self.limit)

    @property
    def updates(self) -> Sequence[str]:
        return ["clip_value", *super().updates]

    def rules(self, name: str, shape: Shape, decay: bool) -> Sequence[Rule]:
        return [Rule("clip_value", {}, {"limit": self.limit}), *super().rules(name, shape, decay)]
