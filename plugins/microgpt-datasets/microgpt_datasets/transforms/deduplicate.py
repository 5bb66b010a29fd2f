"""Each document once: what comes again is learned by heart, and is judged twice."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import ClassVar

from microgpt_core.components import Transform
from microgpt_core.components.text import Split

WIDTH = 16  # bytes of a digest: two texts of a trillion share one with a chance of 1 in 10^14


@dataclass
class Deduplicate(Transform):
    """Leaves out a document that is the same, to the letter, as one before it in its split.

    Memory holds a digest of each, some 70 bytes, not the documents. What differs in white space or case isn't the same:
    put `normalise` or `lower` before it.
    """

    name: ClassVar[str] = "deduplicate"

    def apply(self, texts: Iterable[str], split: Split) -> Iterator[str]:
        seen = set[bytes]()
        for text in texts:
            digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=WIDTH).digest()
            if digest not in seen:
                seen.add(digest)
                yield text
