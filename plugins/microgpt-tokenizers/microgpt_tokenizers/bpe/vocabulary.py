"""What byte-pair encoding has learned, whoever learned it: tokens, merges, special tokens, and how texts are cut."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

from microgpt_core.errors import DataError
from microgpt_core.text.normal import Form
from microgpt_tokenizers.interchange.alphabet import TO_BYTE, to_bytes

Merge: TypeAlias = tuple[bytes, bytes]

LARGEST_ID = (1 << 22) - 1  # twenty times the largest vocabulary known; an id is a row of the model


@dataclass
class Vocabulary:
    """`merges` in their order; None where joined bytes that are a token may be joined, the lowest id first.

    Ids may leave gaps. Special tokens are named by their text and are no tokens of any text.
    """

    tokens: dict[bytes, int]
    merges: list[Merge] | None
    pattern: str
    special: dict[str, int] = field(default_factory=dict)
    normalize: Form | None = None

    @property
    def size(self) -> int:
        """How many ids there are, gaps included."""
        return 1 + max([*self.tokens.values(), *self.special.values()])

    def with_special(self, names: Iterable[str]) -> Self:
        """This, and special tokens of these names behind it, where it lacks them."""
        new = [name for name in names if name not in self.special]
        return replace(self, special=self.special | {name: self.size + i for i, name in enumerate(new)})

    def checked(self) -> Self:
        """Itself. Raises DataError for what can't be a vocabulary."""
        if lacking := sum(bytes([i]) not in self.tokens for i in range(256)):
            raise DataError(
                f"it has no token for {lacking} of the 256 bytes, so that it couldn't say every text; a byte-level "
                "vocabulary has them all"
            )
        check_ids([*self.tokens.values(), *self.special.values()])
        check_merges(self.merges or [], self.tokens)
        check_special(self.special, self.tokens)
        return self


def check_ids(ids: list[int]) -> None:
    if wrong := [i for i in ids if type(i) is not int or not 0 <= i <= LARGEST_ID]:
        raise DataError(f"found the id {wrong[0]!r:.60}, allowed: whole numbers from 0 to {LARGEST_ID:,}")
    if len(set(ids)) < len(ids):
        ((twice, _),) = Counter(ids).most_common(1)
        raise DataError(f"the id {twice} is that of two tokens")


def check_merges(merges: Iterable[Merge], tokens: Mapping[bytes, int]) -> None:
    seen = set()
    for left, right in merges:
        if (left, right) in seen:
            raise DataError(f"the merge of {left!r:.60} and {right!r:.60} is there twice")
        seen.add((left, right))
        if unknown := [part for part in (left, right, left + right) if part not in tokens]:
            raise DataError(f"the merge of {left!r:.60} and {right!r:.60}: {unknown[0]!r:.60} is no token")


def check_special(names: Iterable[str], tokens: Mapping[bytes, int]) -> None:
    """A name that is written as a token is: in a tokenizer.json, or a vocab.json, the two would be one."""
    for name in names:
        if set(name) <= TO_BYTE.keys() and to_bytes(name) in tokens:
            raise DataError(f"the special token {name!r:.60} is spelled as a token is; call it <|{name:.60}|>, say")


def learned(
    pairs: Iterable[tuple[int, int]], special: Iterable[str], pattern: str, normalize: Form | None
) -> Vocabulary:
    """The vocabulary of what `train_merges` gives: the bytes, what each merge makes, then the special tokens."""
    tokens = [bytes([i]) for i in range(256)]
    merges: list[Merge] = []
    for left, right in pairs:
        merges.append((tokens[left], tokens[right]))
        tokens.append(tokens[left] + tokens[right])
    ids = {token: i for i, token in enumerate(tokens)}
    return Vocabulary(ids, merges, pattern, {name: i for i, name in enumerate(special, len(tokens))}, normalize)
