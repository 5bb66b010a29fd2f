"""Two optimizers: one for the parameters that a pattern means, another for the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from microgpt_core.components import Optimizer, Rule, Shape
from microgpt_core.errors import require
from microgpt_core.training.optimizers import AdamW
from microgpt_optimizers.patterns import check_patterns, listed, matches
from microgpt_optimizers.wrapper import Wrapper, at_rate


@dataclass
class Split(Wrapper):
    """An optimizer of their own for some parameters.

    Fields:
        optimizer: what moves all other parameters
        match: the parameters that `matched` moves, a pattern or a list of them: wte, block.0, block.*.mlp
        matched: what moves those
    """

    name = "split"
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"match": "wte"},)

    match: str | list[str] = ""
    matched: Optimizer = field(default_factory=AdamW)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.patterns = listed("match", self.match or None)
        both = [self.optimizer, self.matched]
        require(not any(one.average for one in both), "optimizer", "average", "average outside: {use: average}")

    @property
    def updates(self) -> Sequence[str]:
        return list(dict.fromkeys([*super().updates, *self.matched.updates]))

    def check(self, parameters: Mapping[str, Shape]) -> None:
        check_patterns("match", self.patterns, parameters)
        for optimizer, wanted in ((self.matched, True), (self.optimizer, False)):
            optimizer.check({n: shape for n, shape in parameters.items() if matches(n, self.patterns) == wanted})

    def rules(self, name: str, shape: Shape, decay: bool) -> Sequence[Rule]:
        if matches(name, self.patterns):
            return at_rate(self.matched.rules(name, shape, decay), self.matched.lr / self.lr)
        return super().rules(name, shape, decay)
