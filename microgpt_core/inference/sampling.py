"""How texts go on: what the choice of tokens depends on. The choice itself is ops.sample."""

from dataclasses import dataclass
from math import isfinite
from random import Random

from microgpt_core.errors import require


@dataclass(frozen=True)
class Sampling:
    """How a text goes on: how bold each choice is and among how many (see ops/sample.py), and for how long."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None  # until it ends by itself, or the block is full

    def __post_init__(self) -> None:
        require(isfinite(self.temperature) and self.temperature >= 0, "temperature", self.temperature, "0 or more")
        require(self.top_k is None or self.top_k >= 1, "top_k", self.top_k, "1 or more")
        require(self.top_p is None or 0 < self.top_p <= 1, "top_p", self.top_p, "more than 0, up to 1")
        limit = self.max_new_tokens
        require(limit is None or limit >= 0, "max_new_tokens", limit, "0 or more")


def sample_rng(seed: int | None, sample: int) -> Random:
    """The random stream of one sample of many, whichever are drawn beside it."""
    return Random() if seed is None else Random(f"{seed}/{sample}")
