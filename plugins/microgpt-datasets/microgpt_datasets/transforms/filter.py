"""Documents that fit a pattern, or don't."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from microgpt_core.components import Transform
from microgpt_core.components.text import Split
from microgpt_core.errors import ConfigurationError


@dataclass
class Filter(Transform):
    """Keeps documents in which `keep` is found, and leaves out those in which `drop` is.

    Both are Python's regular expressions, looked for anywhere in the document: \\A and \\Z are its start and end.

    Fields:
        keep: what has to be in a document; null: nothing has to
        drop: what mustn't be in one; null: anything may
    """

    name: ClassVar[str] = "filter"
    examples: ClassVar[list[dict[str, str]]] = [{"keep": "[aeiou]"}, {"drop": "n", "keep": "a"}]

    keep: str | None = None
    drop: str | None = None

    def __post_init__(self) -> None:
        if self.keep is None and self.drop is None:
            raise ConfigurationError("keep: neither this nor `drop` is given, so nothing is filtered; set one of them")
        for field, pattern in (("keep", self.keep), ("drop", self.drop)):
            try:
                re.compile(pattern or "")
            except re.error as error:
                raise ConfigurationError(f"{field}: {pattern!r} is no regular expression: {error}") from None

    def apply(self, texts: Iterable[str], split: Split) -> Iterator[str]:
        keep = re.compile(self.keep or "")
        drop = re.compile(self.drop) if self.drop is not None else None
        return (text for text in texts if keep.search(text) and not (drop and drop.search(text)))
