"""What a tokenizer makes of texts: how many tokens, how evenly used, how much of it unknown."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import log2
from typing import Any

from microgpt_core.components import Tokenizer
from microgpt_core.errors import DataError


@dataclass(frozen=True)
class Statistics:
    """Counts over some texts. `n_unknown` is None where the tokenizer has no token for what it doesn't know."""

    vocab_size: int
    n_characters: int
    n_bytes: int  # of UTF-8
    counts: Counter[int]  # how often each id came
    n_unknown: int | None

    @property
    def n_tokens(self) -> int:
        return self.counts.total()

    @property
    def characters_per_token(self) -> float:
        return self.n_characters / self.n_tokens

    @property
    def bytes_per_token(self) -> float:
        return self.n_bytes / self.n_tokens

    @property
    def unknown_rate(self) -> float | None:
        """The share of the tokens that are the unknown one."""
        return None if self.n_unknown is None else self.n_unknown / self.n_tokens

    @property
    def entropy(self) -> float:
        """Bits a token: what a token says on average to somebody who knows how frequent each is, and nothing else.

        At most log2 of the vocabulary's size, which it is where all tokens are equally frequent.
        """
        return -sum(n / self.n_tokens * log2(n / self.n_tokens) for n in self.counts.values())

    def to_dict(self) -> dict[str, Any]:
        return {
            "vocab_size": self.vocab_size, "used": len(self.counts), "characters": self.n_characters,
            "bytes": self.n_bytes, "tokens": self.n_tokens, "characters_per_token": self.characters_per_token,
            "bytes_per_token": self.bytes_per_token, "entropy": self.entropy, "unknown_rate": self.unknown_rate,
        }  # fmt: skip


def measure(tokenizer: Tokenizer, texts: Iterable[str]) -> Statistics:
    """Count what the tokenizer makes of the texts. Raises DataError where they are empty."""
    n_characters, n_bytes, counts = 0, 0, Counter[int]()
    for text in texts:
        n_characters, n_bytes = n_characters + len(text), n_bytes + len(text.encode())
        counts.update(tokenizer.encode(text))
    if not counts:
        raise DataError("there is nothing to count: the texts are empty")
    unknown = getattr(tokenizer, "unknown_id", None)
    return Statistics(tokenizer.vocab_size, n_characters, n_bytes, counts, None if unknown is None else counts[unknown])
