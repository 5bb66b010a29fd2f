"""Cutting a text into the chunks that merges don't cross: words with their space, numbers, marks, white space.

The patterns here are the definition, run by the `regex` package. Compiled scanners do the same to the three that
have a name (see `native`); a pattern of one's own always comes here.
"""

from collections.abc import Iterator
from re import fullmatch

import regex  # type: ignore[import-untyped,unused-ignore]

from microgpt_core.errors import ConfigurationError, UnknownNameError

PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k": "|".join(
        [
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        ]
    ),
}


class Splitter:
    """Cuts texts by a named pattern, or by a pattern of one's own in the syntax of the `regex` package.

    Raises UnknownNameError for a name that isn't known, ConfigurationError for what is no pattern.
    """

    def __init__(self, pattern: str) -> None:
        if pattern not in PATTERNS and fullmatch(r"[\w-]*", pattern):  # a misspelt name, not a pattern
            raise UnknownNameError("pattern", pattern, PATTERNS, "A pattern of your own is a regular expression")
        try:
            self._pattern = regex.compile(PATTERNS.get(pattern, pattern))
        except regex.error as error:
            raise ConfigurationError(f"pattern: {error}, in {pattern!r:.200}") from None

    def chunks(self, text: str) -> Iterator[str]:
        """The chunks, which joined are the text: what the pattern passes over is a chunk too."""
        end = 0
        for match in self._pattern.finditer(text):
            start = match.start()
            if start > end:
                yield text[end:start]
            if match.end() > start:
                yield match.group()
            end = match.end()
        if end < len(text):
            yield text[end:]
