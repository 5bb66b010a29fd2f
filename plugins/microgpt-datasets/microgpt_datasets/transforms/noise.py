"""Misprints on purpose, so that a model doesn't trip over those of others. What is judged stays clean."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal

from microgpt_core.components import Transform
from microgpt_core.components.text import Split
from microgpt_core.errors import UnknownNameError, require

KINDS = ("drop", "swap", "repeat", "case")


@dataclass
class Noise(Transform):
    """Changes characters of the training split at random: left out, changed for the next, doubled, or in another case.

    The same documents in the same order get the same noise: chance depends on the seed and on a document's place.

    Fields:
        rate: the chance of each character to be changed
        kinds: which changes there may be
        seed: of the chance; it isn't the run's seed
    """

    name: ClassVar[str] = "noise"
    examples: ClassVar[list[dict[str, object]]] = [{"rate": 0.2}, {"rate": 0.1, "kinds": ["swap"], "seed": 3}]

    rate: float = 0.02
    kinds: list[Literal["drop", "swap", "repeat", "case"]] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require(0 < self.rate <= 1, "rate", self.rate, "above 0, up to 1")
        require(
            self.kinds is None or bool(self.kinds), "kinds", "an empty list", f"some of {', '.join(KINDS)}, or null"
        )
        for kind in self.kinds or ():
            if kind not in KINDS:
                raise UnknownNameError("kind of noise", kind, KINDS)

    def apply(self, texts: Iterable[str], split: Split) -> Iterator[str]:
        if split != "train":
            yield from texts
            return
        for i, text in enumerate(texts):
            yield self.noisy(text, Random(f"{self.seed}/{i}"))

    def noisy(self, text: str, rng: Random) -> str:
        kinds, found, i = self.kinds or KINDS, list[str](), 0
        while i < len(text):
            character, i = text[i], i + 1
            if rng.random() >= self.rate:
                found.append(character)
                continue
            kind = rng.choice(kinds)
            if kind == "repeat":
                found += [character, character]
            elif kind == "case":
                found.append(character.swapcase())
            elif kind == "swap":
                found += [*text[i : i + 1], character]
                i += 1
        return "".join(found)
