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
    summary: str = ""  # what a run says of it after training, such as how much of the text it doesn't know
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
    # Documents to shuffle among, where there are more than memory holds: they are read in order, once an epoch.
    # 0: all of them are held.
    buffer: ClassVar[int] = 0
    # The folder that relative paths start from; None is the current one. A pipeline sets it to its file's
    # folder after making the dataset, so it is an attribute but no YAML key.
    base: Path | None = field(default=None, init=False, repr=False, compare=False)

    def documents(self, split: Split) -> Iterator[str]:
        """The documents of `"train"` or `"validation"`, in the same order at each call.

        Raises DataError where there is nothing to read.
        """
        raise NotImplementedError

    def tokens(self, split: Split) -> Sequence[int] | None:
        """The ids of a split, for a source that is numbers already: a sequence to be sliced, such as of a mapped file.

        They are one long text, with whatever stands between its documents. A subclass that has them says by
        `tokenizer` what they mean, and its `documents` isn't asked. None: it is made of documents.
        """
        return None

    def tokenizer(self) -> Path | None:
        """The folder with the `tokenizer.json` of the tokenizer that `tokens` come from."""
        return None

    def digest(self) -> str | None:
        """What tells these tokens from others. None: they are read from end to end to find out."""
        return None


@dataclass
class Transform:
    """What is done to documents before a tokenizer sees them. Subclass it as a dataclass; its fields are YAML keys."""

    name: ClassVar[str]

    def apply(self, texts: Iterable[str], split: Split) -> Iterator[str]:
        """The documents of a split, changed, or without some of them: the same ones at each call.

        Give each as soon as it can be given: they may be more than memory holds. What is remembered of those before
        belongs in a local variable, since a run reads its documents more than once.
        """
        raise NotImplementedError
