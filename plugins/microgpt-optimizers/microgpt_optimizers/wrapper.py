"""An optimizer around another one: what is common to those that add a rule before its rules, or after them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from microgpt_core.components import Optimizer, Rule, Shape
from microgpt_core.training.optimizers import AdamW


@dataclass
class Wrapper(Optimizer):
    """Its learning rate, its rules and its average are those of the optimizer inside."""

    optimizer: Optimizer = field(default_factory=AdamW)
    lr: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.lr = self.optimizer.lr

    @property
    def updates(self) -> Sequence[str]:
        return self.optimizer.updates

    @property
    def average(self) -> str | None:  # type: ignore[override]
        return self.optimizer.average

    def rules(self, name: str, shape: Shape, decay: bool) -> Sequence[Rule]:
        return self.optimizer.rules(name, shape, decay)

    def check(self, parameters: Mapping[str, Shape]) -> None:
        self.optimizer.check(parameters)


def at_rate(rules: Sequence[Rule], share: float) -> list[Rule]:
    """The same rules with a share of the learning rate."""
    return [rule._replace(lr_factor=rule.lr_factor * share) for rule in rules]
