"""Training and validation of documents that come one after the other and may be more than memory holds."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from microgpt_core.components.text import Split
from microgpt_core.errors import DataError, UnknownNameError
from microgpt_core.text.split import SPLITS, SplitDataset, place_of, split_documents

FEW = 10_000  # documents, and
SMALL = 1 << 26  # characters, that are looked at together


@dataclass(kw_only=True)
class ReadInOrder(SplitDataset):
    """A dataset whose documents come one after the other: only the first few are held to be split."""

    @abstractmethod
    def all_documents(self) -> Iterator[str]:
        """Every document, in the source's order. Raises DataError for what can't be read."""
        raise NotImplementedError

    def documents(self, split: Split) -> Iterator[str]:
        """Those of a split. Few documents are split as the core splits them; of many, each by itself, by its hash.

        Then the share is met about, and a document that is there twice is on one side all the same.
        """
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        every = self.all_documents()
        first, size = list[str](), 0
        for text in every:
            first.append(text)
            size += len(text)
            if len(first) > FEW or (size > SMALL and len(first) > 1):
                return (text for text in chain(first, every) if self.held_out(text) == (split == "validation"))
        if not first:
            raise DataError(f"{self.name}: there is no text to read")
        return iter(split_documents(first, self.validation, self.split_seed)[SPLITS.index(split)])

    def held_out(self, text: str) -> bool:
        return int.from_bytes(place_of(text, self.split_seed)[:8], "big") < self.validation * 2**64
