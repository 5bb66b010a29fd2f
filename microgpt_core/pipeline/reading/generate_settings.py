"""What the `generate:` section of a pipeline says: which texts to begin with, and how to choose what follows."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from microgpt_core.errors import require


@dataclass
class GenerateSettings:
    """Which texts to begin with, and how to choose what follows.

    Fields:
        prompts: what samples begin with
        max_new_tokens: tokens to add at most; null: until the text ends or the block is full
        temperature: below 1 the likely gets likelier; 0 always takes the likeliest
        top_k: choose among this many likeliest tokens; null: among all
        top_p: choose among the likeliest that have this probability together; null: among all
        num_samples: samples for each prompt
        seed: of the choices; null: the run's own random stream goes on
    """

    prompts: list[str] = field(default_factory=lambda: [""])
    max_new_tokens: int | None = None
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    num_samples: int = 20
    seed: int | None = None

    def __post_init__(self) -> None:
        require(bool(self.prompts), "prompts", "an empty list", 'at least one text, perhaps the empty one: [""]')
        require(isfinite(self.temperature) and self.temperature >= 0, "temperature", self.temperature, "0 or more")
        for name in ("max_new_tokens", "top_k", "num_samples"):
            value = getattr(self, name)
            require(value is None or value >= 1, name, value, "1 or more")
        require(self.top_p is None or 0 < self.top_p <= 1, "top_p", self.top_p, "more than 0, up to 1, or null")
        require(self.seed is None or self.seed >= 0, "seed", self.seed, "0 or more, or null")

    def arguments(self) -> dict[str, Any]:
        """Those that `LanguageModel.stream` takes too."""
        return {name: getattr(self, name) for name in ("max_new_tokens", "temperature", "top_k", "top_p")}
