"""What a run learns from: a dataset's documents as its transforms leave them, or the numbers that it has already.

Documents are held in memory, but for a dataset that says that they are too many; those are read again each time.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from hashlib import sha256

from microgpt_core.components import Dataset, Transform
from microgpt_core.errors import ConfigurationError, DataError

SPLITS = ("train", "validation")
PIECE = 1 << 16  # tokens


class Texts:
    """Documents that are read when they are asked for, each time anew. To count them it reads them once."""

    def __init__(self, read: Callable[[], Iterator[str]]) -> None:
        self.read = read

    def __iter__(self) -> Iterator[str]:
        return self.read()

    @cached_property
    def count(self) -> int:
        return sum(1 for _ in self)

    def __len__(self) -> int:
        return self.count


class Corpus:
    """Both splits of a dataset."""

    def __init__(self, dataset: Dataset, transforms: Sequence[Transform], name: str) -> None:
        self.dataset, self.transforms, self.name = dataset, transforms, name
        self.streamed: tuple[str, ...] = ("train",) if dataset.buffer else ()  # read again each time, never held
        self.counts: dict[str, list[int]] = {}  # split -> documents given, and left by each transform
        if transforms and self.tokens:
            how = "they are applied to text, by what makes the numbers: microgpt data prepare"
            raise ConfigurationError(f"transforms: dataset {name!r} holds numbers, not text; {how}")

    @cached_property
    def tokens(self) -> dict[str, Sequence[int]] | None:
        """The ids of each split, where the dataset is made of numbers. Raises DataError where there are none."""
        train, validation = (self.dataset.tokens(split) for split in SPLITS)
        if train is None:
            return None
        if not len(train):
            raise DataError(f"dataset {self.name!r} has no tokens to train on")
        return {"train": train, "validation": validation or ()}

    @cached_property
    def documents(self) -> dict[str, list[str] | Texts]:
        """The texts of each split, from the transforms. Raises DataError where there is none to train on."""
        documents: dict[str, list[str] | Texts] = {}
        for split in SPLITS:  # a list isn't made of Texts: it would ask for their number first
            streamed = split in self.streamed
            documents[split] = Texts(partial(self.texts, split)) if streamed else list(self.texts(split))
        if not documents["train"]:
            given = self.counts["train"][0]
            left = f"; its {given:,} were left out by the transforms" if given else ""
            raise DataError(f"dataset {self.name!r} has no documents to train on{left}")
        return documents

    @property
    def everything(self) -> Iterable[str]:
        """The documents of both splits, for a tokenizer to learn from: it must say whatever is in either."""
        return Texts(lambda: (text for documents in self.documents.values() for text in documents))

    def texts(self, split: str) -> Iterator[str]:
        """The documents of a split, one after the other. When the last was read, `counts` is known."""
        counts = [0] * (len(self.transforms) + 1)
        texts = counted(self.dataset.documents(split), counts, 0)
        for i, transform in enumerate(self.transforms, start=1):
            texts = counted(transform.apply(texts, split), counts, i)
        yield from texts
        self.counts[split] = counts

    @cached_property
    def amounts(self) -> dict[str, int]:
        """How much there is of each split: documents, or tokens."""
        return {split: len(found) for split, found in (self.tokens or self.documents).items()}

    def amount(self, split: str) -> str:
        """That as a person reads it."""
        n, unit = self.amounts[split], "token" if self.tokens else "document"
        return f"{n:,} {unit}{'s' * (n != 1)}"

    def tally(self) -> list[str]:
        """What the transforms have left, split by split: `train: 5,163 documents, 5,100 after deduplicate`."""
        found = []
        for split, (given, *left) in self.counts.items() if self.transforms else ():
            after = (f", {n:,} after {transform.name}" for n, transform in zip(left, self.transforms))
            found.append(f"{split}: {given:,} documents{''.join(after)}")
        return found

    @cached_property
    def digest(self) -> str:
        """Of the texts of both splits, in their order; of numbers, what the dataset says of them."""
        if self.tokens:
            return self.dataset.digest() or token_digest(self.tokens)
        total = sha256()
        for documents in self.documents.values():
            total.update(f"{len(documents)} documents\n".encode())
            for text in documents:
                data = text.encode("utf-8", "surrogatepass")
                total.update(f"{len(data)} bytes\n".encode() + data)
        return total.hexdigest()


def counted(texts: Iterable[str], counts: list[int], i: int) -> Iterator[str]:
    for text in texts:
        counts[i] += 1
        yield text


def token_digest(tokens: dict[str, Sequence[int]]) -> str:
    """Of numbers whose dataset keeps no digest of its own."""
    total = sha256()
    for ids in tokens.values():
        total.update(f"{len(ids)} tokens\n".encode())
        for start in range(0, len(ids), PIECE):
            total.update(array("q", ids[start : start + PIECE]).tobytes())
    return total.hexdigest()
