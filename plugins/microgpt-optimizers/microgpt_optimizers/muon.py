"""Muon for matrices, and another optimizer for the rest. The arithmetic is in updates/muon_update.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, ClassVar, Literal

from microgpt_core.components import Optimizer, Rule, Shape
from microgpt_core.errors import require
from microgpt_core.training.optimizers import AdamW
from microgpt_optimizers.limits import check_above, check_count, check_not_below, check_share
from microgpt_optimizers.patterns import check_patterns, matches
from microgpt_optimizers.wrapper import at_rate

TABLES = ["wte", "wpe", "lm_head"]  # matrices whose rows are looked up or scored one by one, not multiplied as a whole


@dataclass
class Muon(Optimizer):
    """Muon: matrices move by their momentum made orthogonal; embeddings, head and vectors by another optimizer.

    Fields:
        lr: learning rate of the matrices
        momentum: how slowly the mean of the gradients forgets
        nesterov: look ahead along the momentum
        weight_decay: the share of each matrix, times lr, that goes away at each step
        scale: how far a matrix of n rows and m columns moves: adamw, by 0.2 sqrt(max(n, m)), about as far as AdamW
            would, so that its learning rate fits; original, by sqrt(max(1, n / m))
        iterations: rounds of Newton and Schulz's iteration
        others: the matrices that `rest` moves, by name: wte, block.*.attention; vectors it always does
        rest: what moves everything else
    """

    name = "muon"
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({}, {"others": [], "scale": "original"})

    lr: float = 1e-3
    momentum: float = 0.95
    nesterov: bool = True
    weight_decay: float = 0.1
    scale: Literal["adamw", "original"] = "adamw"
    iterations: int = 5
    others: list[str] = field(default_factory=lambda: list(TABLES))
    rest: Optimizer = field(default_factory=AdamW)

    def __post_init__(self) -> None:
        check_above("lr", self.lr)
        check_share("momentum", self.momentum)
        check_not_below("weight_decay", self.weight_decay)
        require(self.scale in ("adamw", "original"), "scale", self.scale, "adamw or original")
        check_count("iterations", self.iterations)
        require(self.rest.average is None, "rest", self.rest.name, "an average outside: {use: average}")

    @property
    def updates(self) -> Sequence[str]:
        return ["muon_update", *self.rest.updates]

    def check(self, parameters: Mapping[str, Shape]) -> None:
        if self.others != TABLES:  # not every model has all three
            check_patterns("others", self.others, parameters)
        self.rest.check({name: shape for name, shape in parameters.items() if not self.is_muons(name, shape)})

    def is_muons(self, name: str, shape: Shape) -> bool:
        return len(shape) == 2 and not matches(name, self.others)

    def rules(self, name: str, shape: Shape, decay: bool) -> Sequence[Rule]:
        if not self.is_muons(name, shape):
            return at_rate(self.rest.rules(name, shape, decay), self.rest.lr / self.lr)
        n, m = shape
        attributes = {
            "momentum": self.momentum, "nesterov": self.nesterov, "iterations": self.iterations,
            "weight_decay": self.weight_decay if decay else 0.0,
            "scale": 0.2 * sqrt(max(n, m)) if self.scale == "adamw" else sqrt(max(1.0, n / m)),
        }  # fmt: skip
        return [Rule("muon_update", {"m": "like w"}, attributes)]
