"""How parameters move: an optimizer says where to, a schedule how far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from microgpt_core.components.buffer import Shape


class Rule(NamedTuple):
    """One op of a parameter's update: the state that it keeps there, its settings, and its share of the learning rate.

    Rules of one parameter that name the same state share it.
    """

    update: str
    state: Mapping[str, str] = {}
    attributes: Mapping[str, Any] = {}
    lr_factor: float = 1.0


@dataclass
class Optimizer:
    """How parameters move. The arithmetic is an op that mutates a parameter and its state.

    `update` names that op: its inputs are the parameter `w`, then `grad`, `factor` (of clipping), `lr` and
    `step` (from 0), then the buffers of `state`, which says what each looks like: "like w", "rows of w", "columns of
    w", "one number". An optimizer that does more than one thing, or not the same to all parameters, has `rules` and
    `updates` of its own instead.
    """

    name: ClassVar[str]
    update: ClassVar[str]
    state: ClassVar[Mapping[str, str]] = {}  # {"m": "like w"}
    average: ClassVar[str | None] = None  # the state that is an average of w: what is evaluated and saved in its place

    lr: float = 1e-3

    def attributes(self, decay: bool) -> dict[str, Any]:
        """The update op's attributes for one parameter; `decay` is False for biases and gains."""
        return {}

    def rules(self, name: str, shape: Shape, decay: bool) -> Sequence[Rule]:
        """What happens to one parameter at each step, in this order."""
        return [Rule(self.update, self.state, self.attributes(decay))]

    @property
    def updates(self) -> Sequence[str]:
        """The ops that `rules` may name."""
        return [self.update]

    def check(self, parameters: Mapping[str, Shape]) -> None:
        """Raise ConfigurationError where it doesn't fit a model with these parameters."""


@dataclass
class Schedule:
    """How the learning rate moves: step -> factor of `lr`."""

    name: ClassVar[str]
    # The step and the validation loss of every evaluation so far. A trainer sets it, and a resumed one to the same: it
    # is an attribute but no YAML key. A factor may depend on those up to its step.
    evaluations: Sequence[tuple[int, float]] = field(default=(), init=False, repr=False, compare=False)

    warmup_steps: int = 0

    def factor(self, step: int, max_steps: int) -> float:
        """The factor at `step` in range(max_steps): (step + 1) / warmup_steps first, then `after_warmup`."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return self.after_warmup((step - self.warmup_steps) / max(1, max_steps - self.warmup_steps))

    def after_warmup(self, progress: float) -> float:
        """The factor at `progress` in [0, 1) of the steps after warm-up."""
        raise NotImplementedError
