"""Documents of a sensible length."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from microgpt_core.components import Transform
from microgpt_core.components.text import Split
from microgpt_core.errors import ConfigurationError, require


@dataclass
class Length(Transform):
    """Leaves out documents that are too short or too long.

    Fields:
        min: characters that a document has at least
        max: characters that it has at most; null: any number
    """

    name: ClassVar[str] = "length"
    examples: ClassVar[list[dict[str, int]]] = [{"min": 3}, {"min": 2, "max": 20}]

    min: int = 0
    max: int | None = None

    def __post_init__(self) -> None:
        require(self.min >= 0, "min", self.min, "0 or more")
        require(self.max is None or self.max >= self.min, "max", self.max, f"null, or min ({self.min}) or more")
        if self.min == 0 and self.max is None:
            raise ConfigurationError("max: neither this nor `min` is given, so nothing is left out; set one of them")

    def apply(self, texts: Iterable[str], split: Split) -> Iterator[str]:
        return (text for text in texts if self.min <= len(text) and (self.max is None or len(text) <= self.max))
