"""How texts go on: what the choice of tokens depends on. The choice itself is ops.sample."""

from dataclasses import dataclass
from random import Random

from microgpt_core import ops
from microgpt_core.errors import require


@dataclass(frozen=True)
class Sampling:
    """How a text goes on: how bold each choice is and among how many (see ops/sample.py), and for how long."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None  # until it ends by itself, or the block is full

    def __post_init__(self) -> None:
        # The op checks what it is asked for.
        ops.sample.shapes((1, 1), (1,), temperature=self.temperature, top_k=self.top_k, top_p=self.top_p)
        require((self.max_new_tokens or 0) >= 0, "max_new_tokens", self.max_new_tokens, "0 or more")


def sample_rng(seed: int | None, sample: int) -> Random:
    """The random stream of one sample of many, whichever are drawn beside it."""
    return Random() if seed is None else Random(f"{seed}/{sample}")
