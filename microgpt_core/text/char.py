"""One character, one id: the smallest tokenizer that is of use, and the whole of the vocabulary readable.

It has no word for a character that it never saw; encoding one is an error, not a replacement.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from microgpt_core.components.text import Tokenizer
from microgpt_core.errors import CheckpointError, DataError
from microgpt_core.text.normal import FORMS, Form, check_form, normalized

FORMAT_VERSION = 1
SHOWN = 100  # how many characters of the vocabulary an error lists


@dataclass(eq=False)
class Char(Tokenizer):
    """BOS is id 0 (unless `add_bos` is false), then the distinct characters of the training texts, sorted.

    A character is a Unicode code point. `normalize` names the Unicode form that texts are brought to before
    anything else; then decode(encode(text)) is that form of the text.

    Fields:
        add_bos: whether id 0 stands before and after each document
        normalize: a Unicode form to bring texts to first; null: as they are
    """

    name: ClassVar[str] = "char"

    add_bos: bool = True
    normalize: Form | None = None

    def __post_init__(self) -> None:
        check_form(self.normalize)
        self.bos = 0 if self.add_bos else None
        self._learn([])

    def train(self, texts: Iterable[str]) -> Self:
        """Learn the characters. Raises DataError where there are none."""
        found: set[str] = set()
        for text in texts:
            found.update(normalized(text, self.normalize))
        if not found:
            raise DataError("char tokenizer: the training texts hold no character; give it at least one non-empty text")
        if surrogate := next((c for c in found if "\ud800" <= c <= "\udfff"), None):
            raise DataError(f"char tokenizer: {name_character(surrogate)} is half a UTF-16 pair, no character")
        self._learn(sorted(found))
        return self

    def _learn(self, characters: Sequence[str]) -> None:
        self._pieces = [""] * self.add_bos + list(characters)  # id -> text
        self._ids = {c: i for i, c in enumerate(self._pieces) if c}  # text -> id
        self.vocab_size = len(self._pieces)

    def encode(self, text: str) -> list[int]:
        text = normalized(text, self.normalize)
        try:
            return list(map(self._ids.__getitem__, text))
        except KeyError:
            raise self._unknown(text) from None

    def decode(self, ids: Sequence[int]) -> str:
        if outside := [i for i in ids if not 0 <= i < self.vocab_size]:
            raise DataError(f"id {outside[0]} is outside the vocabulary; allowed: 0 to {self.vocab_size - 1}")
        return "".join([self._pieces[i] for i in ids])

    def to_dict(self) -> dict[str, Any]:
        return {
            "use": self.name,
            "version": FORMAT_VERSION,
            "add_bos": self.add_bos,
            "normalize": self.normalize,
            "characters": "".join(self._ids),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        if (version := state.get("version")) != FORMAT_VERSION:
            raise CheckpointError(f"char tokenizer: format version {version!r}, this microgpt reads {FORMAT_VERSION}")
        add_bos, normalize, characters = (state.get(key) for key in ("add_bos", "normalize", "characters"))
        if not isinstance(add_bos, bool) or not isinstance(characters, str) or len(set(characters)) < len(characters):
            raise CheckpointError("char tokenizer: needs `add_bos`, true or false, and `characters`, each of them once")
        if normalize not in (None, *FORMS):
            raise CheckpointError(f"char tokenizer: `normalize` is {normalize!r}, allowed: null, {', '.join(FORMS)}")
        tokenizer = cls(add_bos, normalize)
        tokenizer._learn(characters)
        return tokenizer

    def _unknown(self, text: str) -> DataError:
        """The error for the first character of `text` that isn't in the vocabulary."""
        if not self._ids:
            return DataError("char tokenizer: it knows no character yet; call train(texts) first")
        position, character = next((i, c) for i, c in enumerate(text) if c not in self._ids)
        allowed = "".join(list(self._ids)[:SHOWN])
        more = f" and {len(self._ids) - SHOWN} more" if len(self._ids) > SHOWN else ""
        return DataError(
            f"unknown character {name_character(character)} at position {position}; allowed: {allowed!r}{more}. "
            "Leave it out, or train on text that has it"
        )


def name_character(character: str) -> str:
    """A character so that it is seen even where it can't be printed: `'é' (U+00E9)`."""
    return f"{character!r} (U+{ord(character):04X})"
