"""An analyzer for watch.yaml: how large what attention adds to each block is, every few steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from microgpt_core.components import Analyzer, Buffer, flat


@dataclass
class AttentionNorms(Analyzer):
    """The root mean square of every block's attention.

    Fields:
        every: steps between looks
    """

    name = "attention_norms"
    watch = ("block.*.attention",)

    every: int = 10

    def __post_init__(self) -> None:
        self.seen: dict[int, dict[str, float]] = {}

    def observe(self, step: int, values: Mapping[str, Buffer]) -> None:
        if step % self.every == 0:
            self.seen[step] = {scope: sqrt(sum(v * v for v in flat(x)) / len(flat(x))) for scope, x in values.items()}

    def report(self) -> dict[str, Any]:
        return {"root mean square by step": self.seen}
