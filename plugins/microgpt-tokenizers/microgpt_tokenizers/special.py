"""Special tokens: ids with a meaning for the model, such as the end of a document, and no text of their own.

Their names are ordinary text to a tokenizer, unless it is told which of them to obey: else whoever writes the
text could write the end of the document, or somebody else's turn in a conversation.
"""

import re
from collections.abc import Collection, Iterator

from microgpt_core.errors import ConfigurationError


def cut(text: str, names: Collection[str]) -> Iterator[tuple[str, bool]]:
    """The pieces of a text in order, each with whether it is one of the names. The longest name wins."""
    if not names:
        yield text, False
        return
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    for i, piece in enumerate(re.split(f"({'|'.join(map(re.escape, longest_first))})", text)):
        if piece:
            yield piece, i % 2 == 1


def check_names(field: str, names: Collection[str]) -> None:
    """Raise ConfigurationError unless special tokens have names, each its own."""
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise ConfigurationError(f"{field}: found {list(names)!r:.200}, allowed: names such as <|pad|>, each once")
