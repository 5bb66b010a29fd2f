"""Small letters: fewer characters to learn, and none of them at a sentence's start alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from microgpt_core.components import Transform
from microgpt_core.components.text import Split


@dataclass
class Lower(Transform):
    """Every letter small, as Unicode has it for all scripts."""

    name: ClassVar[str] = "lower"

    def apply(self, texts: Iterable[str], split: Split) -> Iterator[str]:
        return (text.lower() for text in texts)
