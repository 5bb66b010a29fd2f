"""Groups of parameters: the same optimizer with other fields for some, such as the learning rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from microgpt_core.components import Optimizer, Rule, Shape
from microgpt_core.errors import ConfigurationError, UnknownNameError, require
from microgpt_optimizers.patterns import check_patterns, listed, matches
from microgpt_optimizers.wrapper import Wrapper, at_rate


@dataclass
class Groups(Wrapper):
    """An optimizer whose fields aren't the same for all parameters.

    Fields:
        optimizer: what moves the parameters, with the fields of those that are in no group
        groups: a list of mappings, each of `match`, a pattern or a list of them (wte, block.0, block.*.mlp), and of
            the optimizer's fields that are different there; the first group that matches a parameter has it
    """

    name = "groups"
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"groups": [{"match": "wte", "lr": 1e-4, "weight_decay": 0.0}]},)

    groups: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.groups), "groups", self.groups, "one or more, such as {match: wte, lr: 1e-4}")
        self.members = [(listed(f"groups.{i}.match", group.get("match")), self.member(i, group))
                        for i, group in enumerate(self.groups)]  # fmt: skip

    def member(self, i: int, group: Mapping[str, Any]) -> Optimizer:
        """The optimizer of one group. Raises ConfigurationError where it can't be."""
        changed = {key: value for key, value in group.items() if key != "match"}
        known = [f.name for f in fields(self.optimizer) if f.init]
        for key in changed:
            if key not in known:
                raise UnknownNameError(f"field of {self.optimizer.name} in groups.{i}", key, ["match", *known])
        try:
            return replace(self.optimizer, **changed)
        except (ConfigurationError, TypeError) as error:
            raise ConfigurationError(f"groups.{i}: {error}") from error

    def check(self, parameters: Mapping[str, Shape]) -> None:
        super().check(parameters)
        for i, (patterns, _) in enumerate(self.members):
            check_patterns(f"groups.{i}.match", patterns, parameters)

    def rules(self, name: str, shape: Shape, decay: bool) -> Sequence[Rule]:
        for patterns, member in self.members:
            if matches(name, patterns):
                return at_rate(member.rules(name, shape, decay), member.lr / self.lr)
        return super().rules(name, shape, decay)
