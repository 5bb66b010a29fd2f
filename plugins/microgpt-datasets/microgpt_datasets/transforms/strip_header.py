"""Source code without the licence at its head: thousands of copies of it teach nothing but the licence."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from microgpt_core.components import Transform
from microgpt_core.components.text import Split

LEGAL = re.compile(
    r"copyright|licen[sc]e|all rights reserved|SPDX-|\(c\) *\d{4}|redistribut|warrant(y|ies)", re.IGNORECASE
)
HASH_BANG = re.compile(r"\A#![^\n]*\n")
# A comment at the very start, in the languages that there are: /* */, <!-- -->, lines of //, #, --, ; or %.
HEADER = re.compile(
    r"\s*(?:/\*.*?\*/|<!--.*?-->|\(\*.*?\*\)|(?:(?://|#|--|;|%)[^\n]*(?:\n|\Z))+)[^\S\n]*\n*", re.DOTALL
)


@dataclass
class StripHeader(Transform):
    """Takes comments with a copyright or a licence in them off the head of a file; a `#!` line stays.

    A comment that speaks of neither is the author's own words, and stays as well.
    """

    name: ClassVar[str] = "strip-header"

    def apply(self, texts: Iterable[str], split: Split) -> Iterator[str]:
        return (stripped(text) for text in texts)


def stripped(text: str) -> str:
    """A file's text without the legal comments at its start."""
    first = HASH_BANG.match(text)
    head, rest = (first[0], text[first.end() :]) if first else ("", text)
    while (comment := HEADER.match(rest)) and LEGAL.search(comment[0]):
        rest = rest[comment.end() :]
    return head + rest
