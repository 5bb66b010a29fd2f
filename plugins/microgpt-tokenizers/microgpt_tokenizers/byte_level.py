"""The tokenizer `bytes`: a byte of UTF-8, an id. Nothing to learn, nothing it can't say, and texts are long."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from microgpt_core.components import Tokenizer
from microgpt_core.errors import CheckpointError, DataError
from microgpt_core.text.normal import Form, check_form, normalized
from microgpt_tokenizers.surrogates import without_surrogates

FORMAT_VERSION = 1


@dataclass(eq=False)
class Bytes(Tokenizer):
    """Id i is the byte i; 256 stands between documents, unless `add_bos` is false.

    Bytes that are no UTF-8, as a model may write them, decode to U+FFFD.

    Fields:
        add_bos: whether id 256 stands before and after each document
        normalize: a Unicode form to bring texts to first; null: as they are
    """

    name: ClassVar[str] = "bytes"

    add_bos: bool = True
    normalize: Form | None = None

    def __post_init__(self) -> None:
        check_form(self.normalize)
        self.bos = 256 if self.add_bos else None
        self.vocab_size = 256 + self.add_bos

    def train(self, texts: Iterable[str]) -> Self:  # noqa: ARG002 - there is nothing to learn
        return self

    def encode(self, text: str) -> list[int]:
        return list(without_surrogates(normalized(text, self.normalize)).encode())

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(map(self.decode_bytes, ids)).decode("utf-8", "replace")

    def decode_bytes(self, token: int) -> bytes:
        if not 0 <= token < self.vocab_size:
            raise DataError(f"id {token} is outside the vocabulary; allowed: 0 to {self.vocab_size - 1}")
        return b"" if token == self.bos else bytes([token])

    def to_dict(self) -> dict[str, Any]:
        return {"use": self.name, "version": FORMAT_VERSION, "add_bos": self.add_bos, "normalize": self.normalize}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        if (version := state.get("version")) != FORMAT_VERSION:
            raise CheckpointError(f"bytes tokenizer: format version {version!r}, this microgpt reads {FORMAT_VERSION}")
        if not isinstance(add_bos := state.get("add_bos"), bool):
            raise CheckpointError(f"bytes tokenizer: `add_bos` is {add_bos!r:.60}, expected true or false")
        return cls(add_bos, state.get("normalize"))
