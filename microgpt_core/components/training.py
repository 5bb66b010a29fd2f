"""How parameters move: an optimizer says where to, a schedule how far."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass
class Optimizer:
    """How parameters move. The arithmetic is an op that mutates a parameter and its state.

    `update` names that op: its inputs are the parameter `w`, then `grad`, `factor` (of clipping), `lr` and
    `step` (from 0), then the buffers of `state`, which says what each looks like.
    """

    name: ClassVar[str]
    update: ClassVar[str]
    state: ClassVar[Mapping[str, str]] = {}  # {"m": "like w"}

    lr: float = 1e-3

    def attributes(self, decay: bool) -> dict[str, Any]:
        """The update op's attributes for one parameter; `decay` is False for biases and gains."""
        return {}


@dataclass
class Schedule:
    """How the learning rate moves: step -> factor of `lr`."""

    name: ClassVar[str]

    warmup_steps: int = 0

    def factor(self, step: int, max_steps: int) -> float:
        """The factor at `step` in range(max_steps): (step + 1) / warmup_steps first, then `after_warmup`."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return self.after_warmup((step - self.warmup_steps) / max(1, max_steps - self.warmup_steps))

    def after_warmup(self, progress: float) -> float:
        """The factor at `progress` in [0, 1) of the steps after warm-up."""
        raise NotImplementedError
