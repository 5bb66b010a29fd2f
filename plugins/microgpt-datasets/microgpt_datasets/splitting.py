"""Training and validation of documents that come one after the other and may be more than memory holds."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from microgpt_core.components.text import Split
from microgpt_core.errors import DataError, UnknownNameError
from microgpt_core.text.split import SPLITS, SplitDataset, few_and_long, place_of, split_documents, split_text

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

        Then the share is met about, and a document that is there twice is on one side all the same. Where even the few
        that memory holds are huge, each is cut as one would be that is alone.
        """
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        every = self.all_documents()
        first, size = list[str](), 0
        for text in every:
            first.append(text)
            size += len(text)
            if len(first) > FEW or (size > SMALL and len(first) > 1):
                huge = few_and_long(set(first), self.validation)
                return (piece for text in chain(first, every) for piece in self.sides(text, huge)[SPLITS.index(split)])
        if not first:
            raise DataError(f"{self.name}: there is no text to read")
        return iter(split_documents(first, self.validation, self.split_seed)[SPLITS.index(split)])

    def sides(self, text: str, huge: bool) -> tuple[list[str], list[str]]:
        """What of a document, that is one of many or of a few huge ones, is (train, validation)."""
        if huge and few_and_long([text], self.validation):
            return split_text(text, self.validation)
        return ([], [text]) if self.held_out(text) else ([text], [])

    def held_out(self, text: str) -> bool:
        return int.from_bytes(place_of(text, self.split_seed)[:8], "big") < self.validation * 2**64
