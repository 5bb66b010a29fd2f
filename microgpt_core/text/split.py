"""Training and validation: which documents are held out, so that a model is judged on text it never saw."""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from microgpt_core.components.text import Dataset, Split
from microgpt_core.errors import ConfigurationError, UnknownNameError

SPLITS = ("train", "validation")
LARGEST = 0.5
SHORTEST_END = 100  # characters held out of each of a few documents, in the mean: of fewer, little can be said


@dataclass(kw_only=True)
class SplitDataset(Dataset):
    """A dataset that reads all of its documents and holds the fraction `validation` of them out.

    Fields:
        validation: the share that is held out: of the documents, or of each of a few long ones its end
        split_seed: chooses which; it isn't the run's seed, so that runs can be compared
    """

    validation: float = 0.1
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_fraction(self.validation)

    @abstractmethod
    def all_documents(self) -> Iterable[str]:
        """Every document, in the source's order. Raises DataError where there is nothing to read."""
        raise NotImplementedError

    def documents(self, split: Split) -> Iterator[str]:
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        sides = split_documents(list(self.all_documents()), self.validation, self.split_seed)
        return iter(sides[SPLITS.index(split)])


def split_documents(documents: Sequence[str], validation: float, seed: int) -> tuple[list[str], list[str]]:
    """(train, validation), without a document that is on both sides, each in the source's order.

    The fraction is of the distinct documents, rounded, but at least one where any is asked for; copies follow
    their original. A single document is cut in two (`split_text`), and so is each of a few long ones: where a whole
    one is more than was asked for.
    """
    check_fraction(validation)
    if len(documents) == 1:
        return split_text(documents[0], validation)
    distinct = set(documents)
    if few_and_long(distinct, validation):
        cuts = [split_text(document, validation) for document in documents]
        train, ends = ([piece for cut in cuts for piece in cut[side]] for side in (0, 1))
        if set(train).isdisjoint(ends):
            return train, ends
    held_out = choose(distinct, validation, seed)
    return [d for d in documents if d not in held_out], [d for d in documents if d in held_out]


def few_and_long(distinct: Collection[str], validation: float) -> bool:
    """Whether one of these documents is more than the fraction of them, while their ends are enough to judge by."""
    n, characters = len(distinct), sum(map(len, distinct))
    return 0 < n * validation < 1 and characters * validation >= SHORTEST_END * n


def split_text(text: str, validation: float) -> tuple[list[str], list[str]]:
    """One long document, split by position: its last characters are the validation. An empty side is no document."""
    cut = int(len(text) * (1 - validation))
    return [text[:cut]] if cut else [], [text[cut:]] if cut < len(text) else []


def choose(distinct: set[str], validation: float, seed: int) -> set[str]:
    """The documents whose hashes come first.

    A hash, not a shuffle: the choice doesn't depend on the documents' order or on Python's generator, and
    when documents are added later, nearly all of the others stay on their side.
    """
    if not validation or len(distinct) < 2:
        return set()
    count = max(1, round(validation * len(distinct)))
    return set(sorted(distinct, key=lambda document: place_of(document, seed))[:count])


def place_of(document: str, seed: int) -> bytes:
    """Where a document comes in the order by which some are held out: its hash, 32 bytes."""
    return sha256(f"{seed}/{document}".encode("utf-8", "surrogatepass")).digest()


def check_fraction(validation: float) -> None:
    """Raise ConfigurationError unless `validation` is a fraction that leaves most of the text to learn from."""
    if not 0 <= validation <= LARGEST:
        raise ConfigurationError(f"validation: found {validation!r}, allowed: 0 (hold nothing out) to {LARGEST}")
