"""Where text comes from and how it becomes numbers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

Split = str  # "train" or "validation"
IGNORED = -1  # a target that doesn't count


class Tokenizer:
    """Text to numbers and back. Subclass it as a dataclass; its fields are its YAML keys."""

    name: ClassVar[str]
    vocab_size: int
    bos: int | None = None  # the id that stands before and after a document
    lossless: ClassVar[bool] = True  # False where decode(encode(text)) may be another text, for which it is itself

    def train(self, texts: Iterable[str]) -> Self:
        """Learn the vocabulary from documents. Returns itself."""
        raise NotImplementedError

    def encode(self, text: str) -> list[int]:
        """The ids of a text, each in range(vocab_size), without `bos`. Raises DataError for what it can't say."""
        raise NotImplementedError

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; `bos` stands for nothing. decode(encode(text)) == text, if it is `lossless`."""
        raise NotImplementedError

    def decode_bytes(self, token: int) -> bytes:
        """The UTF-8 bytes of one id, perhaps a part of a character: what streaming is made of."""
        return self.decode([token]).encode()

    def to_dict(self) -> dict[str, Any]:
        """All that `from_dict` needs to make a tokenizer that encodes the same, as JSON has it.

        `"use"` holds the tokenizer's name, by which the reader of a saved model finds the class.
        """
        raise NotImplementedError

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """The tokenizer that `to_dict` described. Raises CheckpointError where it doesn't describe one."""
        raise NotImplementedError


@dataclass
class Dataset:
    """Where documents come from; never batches. Subclass it as a dataclass; its fields are its YAML keys."""

    name: ClassVar[str]
    # False where a document is a piece of one long text, so that windows may run across its end.
    separate: ClassVar[bool] = True
    # The folder that relative paths start from; None is the current one. A pipeline sets it to its file's
    # folder after making the dataset, so it is an attribute but no YAML key.
    base: Path | None = field(default=None, init=False, repr=False, compare=False)

    def documents(self, split: Split) -> Iterator[str]:
        """The documents of `"train"` or `"validation"`, in the same order at each call.

        Raises DataError where there is nothing to read.
        """
        raise NotImplementedError
