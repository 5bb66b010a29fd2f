"""Characters numbered from the last to the first: of a to z, z is 0, a is 25, and 26 stands between documents."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

from microgpt_core.components import Tokenizer
from microgpt_core.errors import CheckpointError, DataError


class Reverse(Tokenizer):
    """The characters of the training texts, the last in the alphabet first; then bos."""

    name = "reverse"

    def train(self, texts: Iterable[str]) -> Self:
        return self.learn(sorted(set().union(*texts), reverse=True))

    def learn(self, characters: Sequence[str]) -> Self:
        self.pieces = [*characters, ""]  # id -> text; bos, the last, stands for none
        self.ids = {c: i for i, c in enumerate(characters)}  # text -> id
        self.bos, self.vocab_size = len(characters), len(self.pieces)
        return self

    def encode(self, text: str) -> list[int]:
        if unknown := set(text) - set(self.ids):
            raise DataError(f"reverse tokenizer: {min(unknown)!r} is none of {''.join(self.ids)!r:.60}")
        return [self.ids[c] for c in text]

    def decode(self, ids: Sequence[int]) -> str:
        if outside := [i for i in ids if not 0 <= i < self.vocab_size]:
            raise DataError(f"reverse tokenizer: id {outside[0]} is none of 0 to {self.vocab_size - 1}")
        return "".join([self.pieces[i] for i in ids])

    def to_dict(self) -> dict[str, Any]:
        return {"use": self.name, "characters": "".join(self.ids)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        if not isinstance(characters := state.get("characters"), str):
            raise CheckpointError(f"reverse tokenizer: `characters` is {characters!r:.60}, expected text")
        return cls().learn(characters)
